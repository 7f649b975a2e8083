"""Fetching a catalogue model from a package index in a folder: tiny wheels, real pip (or uv)."""

import asyncio
import hashlib
import tarfile
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE, CatalogueModel, Part
from opencodeinterpreter.tools.models.llama.fetching import fetch_model, keep_file

CHUNKS = (b"GGUF, the first part;", b"the second;", b"the last.")
CONTENT = b"".join(CHUNKS)
MODEL = CatalogueModel(
    name="tiny",
    title="A model of three parts",
    file="tiny.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="Apache-2.0",
    context=512,
    parts=tuple(
        Part(f"ocitiny-part{number}==1.0", f"ocitiny_part{number}/data/part.bin", len(chunk))
        for number, chunk in enumerate(CHUNKS, 1)
    ),
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty package index in a folder, the only one there is, beside an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def publish(index: Path, number: int, content: bytes | None = None) -> Path:
    """Put the wheel of a part into `index`; its code fails when it is imported."""
    name = f"ocitiny_part{number}"
    wheel = index / f"{name}-1.0-py3-none-any.whl"
    files: dict[str, bytes | str] = {
        f"{name}/__init__.py": b"raise SystemExit('imported')",
        f"{name}/data/part.bin": CHUNKS[number - 1] if content is None else content,
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        record = "".join(f"{path},,\n" for path in [*files, f"{name}-1.0.dist-info/RECORD"])
        archive.writestr(f"{name}-1.0.dist-info/RECORD", record)
    return wheel


def kept() -> list[str]:
    """Return what the cache holds."""
    return sorted(path.name for path in MODEL.path.parent.iterdir())


async def test_the_parts_are_joined_in_order_and_nothing_else_stays(index: Path) -> None:
    for number in (1, 2, 3):
        publish(index, number)
    told: list[int] = []
    path = await fetch_model(MODEL, told.append)
    assert path.read_bytes() == CONTENT
    assert kept() == ["tiny.gguf"]
    assert told[0] == 0 and told[-1] == MODEL.size
    assert all(earlier <= later for earlier, later in pairwise(told))


async def test_an_interrupted_fetch_resumes_after_its_last_whole_part(index: Path) -> None:
    wheels = [publish(index, number) for number in (1, 2)]
    with pytest.raises(ModelError, match=r"local:tiny could not be fetched .*ocitiny-part3==1\.0"):
        await fetch_model(MODEL)
    assert kept() == ["tiny.gguf.partial"]
    for wheel in wheels:
        wheel.unlink()  # what is there already must not be asked for again
    publish(index, 3)
    assert (await fetch_model(MODEL)).read_bytes() == CONTENT
    assert kept() == ["tiny.gguf"]


async def test_a_part_that_was_cut_by_a_crash_is_fetched_again(index: Path) -> None:
    publish(index, 2)
    publish(index, 3)
    MODEL.path.parent.mkdir(parents=True)
    MODEL.path.with_name("tiny.gguf.partial").write_bytes(CHUNKS[0] + CHUNKS[1][:4])
    stale = MODEL.path.with_name("tiny.gguf.wheels")
    stale.mkdir()
    (stale / "stale.whl").write_bytes(b"of a process that died")
    assert (await fetch_model(MODEL)).read_bytes() == CONTENT
    assert kept() == ["tiny.gguf"]


async def test_bytes_of_the_right_length_and_another_checksum_are_not_kept(index: Path) -> None:
    for number in (1, 2, 3):
        publish(index, number)
    publish(index, 2, CHUNKS[1].upper())
    with pytest.raises(ModelError, match="without the sha256"):
        await fetch_model(MODEL)
    assert kept() == []
    publish(index, 2)
    assert (await fetch_model(MODEL)).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"", CHUNKS[0] * 1000])
async def test_a_part_of_another_size_is_refused_before_it_is_copied(
    index: Path, content: bytes
) -> None:
    publish(index, 1, content)
    with pytest.raises(ModelError, match=rf"part\.bin has {len(content)} bytes"):
        await fetch_model(MODEL)
    assert kept() == []


async def test_a_source_archive_is_never_built(index: Path, tmp_path: Path) -> None:
    marker, setup = tmp_path / "ran", tmp_path / "setup.py"
    setup.write_text(f"open({str(marker)!r}, 'w'); from setuptools import setup; setup()")
    with tarfile.open(index / "ocitiny-part1-1.0.tar.gz", "w:gz") as archive:
        archive.add(setup, "ocitiny-part1-1.0/setup.py")
    with pytest.raises(ModelError, match="could not be fetched"):
        await fetch_model(MODEL)
    assert not marker.exists()


async def test_fetches_at_the_same_time_write_one_file(index: Path) -> None:
    for number in (1, 2, 3):
        publish(index, number)
    paths = await asyncio.gather(*(fetch_model(MODEL) for _ in range(3)))
    assert set(paths) == {MODEL.path} and MODEL.path.read_bytes() == CONTENT
    assert kept() == ["tiny.gguf"]


async def test_a_cancelled_fetch_leaves_no_half_file_and_no_lock(index: Path) -> None:
    for number in (1, 2, 3):
        publish(index, number)
    fetching = asyncio.create_task(fetch_model(MODEL))
    await asyncio.sleep(0.3)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert not MODEL.path.exists()
    assert (await fetch_model(MODEL)).read_bytes() == CONTENT


async def test_too_little_space_is_told_before_anything_is_fetched(index: Path) -> None:
    huge = replace(MODEL, size=10**18)
    with pytest.raises(ModelError, match=r"needs 1000000000\.0 GB of space in .*XDG_CACHE_HOME"):
        await fetch_model(huge)
    assert kept() == []


async def test_a_file_that_the_user_has_is_checked_and_copied(index: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(InputError, match=f"not the file of tiny.*{MODEL.sha256}"):
        await keep_file(MODEL, mine)
    with pytest.raises(InputError, match=r"none\.gguf"):
        await keep_file(MODEL, tmp_path / "none.gguf")
    mine.write_bytes(CONTENT)
    assert (await keep_file(MODEL, mine)).read_bytes() == CONTENT
    assert kept() == ["tiny.gguf"] and mine.exists()


HUB_CLIENT = """
import pathlib, sys
HERE = pathlib.Path(__file__).parent
def try_to_load_from_cache(repository, name):
    found = HERE / repository / name
    return str(found) if found.exists() else None
def hf_hub_download(repository, name):
    print("noise of the client", file=sys.stderr)
    raise OSError("the hub cannot be reached")
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a hub client whose cache is the folder returned, and which reaches no hub."""
    folder = tmp_path / "site" / "huggingface_hub"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(HUB_CLIENT)
    (folder / "constants.py").write_text(f"HF_HUB_CACHE = {str(folder)!r}")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("PYTHONPATH", str(folder.parent))
    return folder


ON_HUB = replace(MODEL, repository="Owner/Tiny-GGUF")


async def test_a_file_in_the_hubs_cache_comes_before_the_index(index: Path, hub: Path) -> None:
    file = hub / "Owner" / "Tiny-GGUF" / "tiny.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    assert (await fetch_model(ON_HUB)).read_bytes() == CONTENT
    assert kept() == ["tiny.gguf"] and file.exists()


@pytest.mark.parametrize("cached", [None, CONTENT.upper()])
async def test_a_hub_that_fails_or_brings_another_file_leaves_it_to_the_index(
    index: Path, hub: Path, cached: bytes | None
) -> None:
    file = hub / "Owner" / "Tiny-GGUF" / "tiny.gguf"
    file.parent.mkdir(parents=True)
    if cached:
        file.write_bytes(cached)
    for number in (1, 2, 3):
        publish(index, number)
    assert (await fetch_model(ON_HUB)).read_bytes() == CONTENT


async def test_the_hub_helps_out_when_the_index_fails_halfway(index: Path, hub: Path) -> None:
    publish(index, 1)
    with pytest.raises(ModelError):
        await fetch_model(ON_HUB)
    file = hub / "Owner" / "Tiny-GGUF" / "tiny.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    assert (await fetch_model(ON_HUB)).read_bytes() == CONTENT


async def test_the_message_of_a_failed_hub_is_shown(index: Path, hub: Path) -> None:
    with pytest.raises(ModelError, match=r"huggingface_hub: the hub cannot be reached; .*pip"):
        await fetch_model(ON_HUB)


def test_each_catalogue_model_is_described_consistently() -> None:
    for name, model in CATALOGUE.items():
        assert model.name == name and model.file.endswith(".gguf")
        assert sum(part.size for part in model.parts) == model.size
        assert all(part.size > 0 for part in model.parts)
        assert len(bytes.fromhex(model.sha256)) == 32
    sizes = [model.size for model in CATALOGUE.values()]
    assert sizes == sorted(sizes)
