"""Packages: the wheel holds one package with its data and no other top-level names."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("graph", "nodes", "tools", "traces", "cli", "testing")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=180)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks or would track."""
    folder = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.split("\n")
    for name in filter(None, listed):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            (folder / name).symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file():
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def build(source: Path, *kinds: str) -> Path:
    """Build into `source/dist`; return that folder."""
    built = run(sys.executable, "-m", "build", *kinds, "--no-isolation", cwd=source)
    assert built.returncode == 0, built.stdout + built.stderr
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    (found,) = build(source, "--wheel").glob("*.whl")
    return found


def test_the_wheel_holds_one_package_with_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2
    assert "opencodeinterpreter" in tops
    for room in ROOMS:
        assert f"opencodeinterpreter/{room}/py.typed" in names
    for folder, ending in (
        ("nodes/prompts", ".txt"),
        ("traces/examples", ".jsonl"),
        ("cli/demo_tasks", ".toml"),
        ("cli/demo_live", ".toml"),
    ):
        inside = {name for name in names if name.startswith(f"opencodeinterpreter/{folder}/")}
        tracked = {path.name for path in (ROOT / folder).glob(f"*{ending}")}
        assert tracked
        assert {Path(name).name for name in inside} == tracked


def test_an_installed_wheel_runs_and_takes_no_bare_names(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import importlib.util, sys\n"
        "sys.path = [p for p in sys.path if 'editable' not in p]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"sys.path.insert(0, {str(site)!r})\n"
        "import opencodeinterpreter.cli.main as main\n"
        f"assert main.__file__.startswith({str(site)!r}), main.__file__\n"
        f"found = [n for n in {ROOMS!r} if importlib.util.find_spec(n)]\n"
        "assert not found, found\n"
        "sys.argv = ['opencodeinterpreter', '--help']\n"
        "main.main()\n"
    )
    done = run(sys.executable, "-P", "-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "solve" in done.stdout


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    (archive,) = build(source, "--sdist").glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = opened.getnames()
        opened.extractall(tmp_path, filter="data")
    assert not [name for name in names if "/tests/" in name]
    (again,) = build(tmp_path / archive.name.removesuffix(".tar.gz"), "--wheel").glob("*.whl")
    assert contents(again) == contents(wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_a_checkout_without_symbolic_links_is_refused_in_one_line(
    source: Path, tmp_path: Path
) -> None:
    flat = tmp_path / "flat"
    shutil.copytree(source, flat, symlinks=True, ignore=shutil.ignore_patterns("build", "dist"))
    for room in ROOMS:
        link = flat / "opencodeinterpreter" / room
        target = str(link.readlink())
        link.unlink()
        link.write_text(target)
    said = "error: opencodeinterpreter/cli should be a symbolic link, and is a file; run: git"
    made = run("make", "setup", cwd=flat)
    assert made.returncode != 0
    assert made.stderr.startswith(said)
    built = run(sys.executable, "setup.py", "--version", cwd=flat)
    assert built.returncode == 1
    assert [line[: len(said)] for line in built.stderr.splitlines()] == [said]
