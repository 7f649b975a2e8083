"""Artifacts: files that a program writes are kept with the run by content hash."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from opencodeinterpreter.graph.runs import Origin, create_run, open_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.artifacts import KEPT_BYTES
from opencodeinterpreter.testing import ScriptedModel, ScriptedRunner, draft, ran
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import Artifact, Execution
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.traces.importing import import_trace
from opencodeinterpreter.traces.replay import replay
from opencodeinterpreter.traces.trace import read_trace, trace_of
from tests.command import Command, warm
from tests.doubling import draft as reply
from tests.doubling import write_script
from tests.scripts import World

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
FAKE_PYPLOT = """
import atexit
shown = [7, 9]
atexit.register(shown.clear)
def get_fignums(): return shown
def close(which): pass
class figure:
    def __init__(self, number): self.number = number
    def savefig(self, where, **_):
        with open(where, "w") as file: file.write(f"figure {self.number}")
"""
"""Stands for matplotlib, which need not be installed: what a program's end asks of it."""


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def artifact(path: str, content: bytes) -> Artifact:
    text = base64.b64encode(content).decode()
    return Artifact(path=path, size=len(content), sha256=sha(content), content=text)


def world(*runs: Execution) -> World:
    """Return a world whose drafts end in an error with these executions, one a turn."""
    codes = [f"print({number})" for number in range(len(runs))]
    failing = [run.model_copy(update={"status": "error"}) for run in runs]
    table = dict(zip(codes, failing, strict=True))
    return World(coder=ScriptedModel([draft(code) for code in codes]), runner=ScriptedRunner(table))


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(str(tmp_path / "runs.sqlite")) as opened:
        yield opened


@pytest.mark.asyncio(loop_scope="module")
async def test_a_run_returns_what_the_program_wrote_and_changed(runner: SandboxRunner) -> None:
    program = Program(
        code=(
            "import os, part\n"
            "os.mkdir('out'); open('out/a.bin', 'wb').write(bytes([0, 255]))\n"
            "open('changed.txt', 'a').write('!'); open('kept.txt').read()"
        ),
        files={"part.py": "x = 1", "changed.txt": "a", "kept.txt": "b"},
    )
    told = (await runner.run(program)).artifacts
    assert [each.path for each in told] == ["changed.txt", "out/a.bin"]
    assert told[1].sha256 == sha(b"\x00\xff")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("saves", "kept"),
    [
        ("", {"figure-1.png": b"figure 7", "figure-2.png": b"figure 9"}),
        ("open('own.svg', 'w').write('s')", {"own.svg": b"s"}),
    ],
)
async def test_open_figures_are_kept_unless_the_program_saved_its_own(
    runner: SandboxRunner, saves: str, kept: dict[str, bytes]
) -> None:
    files = {"matplotlib/__init__.py": "", "matplotlib/pyplot.py": FAKE_PYPLOT, "in.png": "given"}
    told = await runner.run(Program(code=f"import matplotlib.pyplot\n{saves}", files=files))
    assert {each.path: base64.b64decode(each.content or "") for each in told.artifacts} == kept


@pytest.mark.asyncio(loop_scope="module")
async def test_many_and_long_files_are_bounded(runner: SandboxRunner) -> None:
    code = (
        "import os\n"
        "for n in range(200): open(f'{n:03}', 'w').write('x')\n"
        "os.mkdir('.cache'); open('.cache/fonts', 'w').write('x')\n"
        "deep = '/'.join(['d' * 200] * 4); os.makedirs(deep); open(f'{deep}/f', 'w')"
    )
    told = (await runner.run(Program(code=code))).artifacts
    assert (len(told), told[-1].path) == (64, "063")


async def test_a_record_keeps_each_content_once_and_gives_its_bytes() -> None:
    first = ran("", artifacts=(artifact("a.png", PICTURE), artifact("b.png", PICTURE)))
    record = await world(first, ran("", artifacts=(artifact("c.png", PICTURE),))).solve()
    assert list(record.artifacts) == [sha(PICTURE)]
    assert record.artifact(sha(PICTURE)) == PICTURE
    assert record.artifact(sha(b"other")) is None
    assert [each.path for each in record.written] == ["c.png"]
    runs = [run for turn in record.turns for run in turn.executions or () if run]
    assert not any(each.content for run in runs for each in run.artifacts)


async def test_a_content_that_was_changed_is_not_given() -> None:
    record = await world(ran("", artifacts=(artifact("a.png", PICTURE),))).solve()
    changed = record.model_copy(update={"artifacts": {sha(PICTURE): "AAAA"}})
    with pytest.raises(InputError, match="was changed"):
        changed.artifact(sha(PICTURE))


async def test_a_run_keeps_at_most_so_many_bytes() -> None:
    half = KEPT_BYTES // 2
    big = [artifact(f"{n}", bytes([n]) * (half if n else half - 10)) for n in range(3)]
    record = await world(*[ran("", artifacts=(each,)) for each in big]).solve()
    assert list(record.artifacts) == [big[0].sha256, big[1].sha256]
    assert (record.written[0].sha256, record.written[0].size) == (big[2].sha256, half)


async def test_a_trace_carries_artifacts_and_replays(store: Store) -> None:
    run = await world(ran("", artifacts=(artifact("a.png", PICTURE),)), ran("")).run(store)
    lines = list(trace_of(run).lines())
    trace = read_trace(lines, "trace")
    assert trace.record.artifact(sha(PICTURE)) == PICTURE
    assert (await replay(trace)).identical
    lines = [line.replace(base64.b64encode(PICTURE).decode(), "AAAA") for line in lines]
    changed = read_trace(lines, "trace")
    assert not (await replay(changed)).identical
    with pytest.raises(InputError, match="was changed"):
        await import_trace(store, changed)


async def test_an_imported_run_has_its_artifacts(store: Store, tmp_path: Path) -> None:
    run = await world(ran("", artifacts=(artifact("a.png", PICTURE),))).run(store)
    async with open_store(str(tmp_path / "other.sqlite")) as other:
        row = await import_trace(other, trace_of(run))
        assert (await open_run(other, row.id)).record.artifact(sha(PICTURE)) == PICTURE


async def test_a_branch_has_the_artifacts_of_the_turns_that_it_keeps(store: Store) -> None:
    seams = world(
        *[ran("", artifacts=(artifact("a", bytes([number])),)) for number in range(3)], ran("")
    )
    run = await seams.run(store)
    seed = branch_seed(run.record, run.row.short, 2, Edit(feedback="No."))
    row = await create_run(store, seed, Origin(parent=run.row.id, parent_turn=2))
    branch = await open_run(store, row.id)
    assert list(branch.record.artifacts) == [sha(b"\x00"), sha(b"\x01")]


async def test_storage_grows_by_each_content_once(store: Store, tmp_path: Path) -> None:
    contents = [bytes([number]) * 1_000_000 for number in range(4)]
    await world(*[ran("", artifacts=(artifact("a", each),)) for each in contents]).run(store)
    size = sum(path.stat().st_size for path in tmp_path.glob("runs.sqlite*"))
    held = sum(len(base64.b64encode(each)) for each in contents)
    assert size < 2.5 * held  # the database and its log


WRITES = (
    "import pathlib\n"
    "pathlib.Path('plot.png').write_bytes(bytes([137, 80, 78, 71]))\n"
    "pathlib.Path('solution.py').write_text('other')\n"
    "pathlib.Path('12:30.txt').write_text('late')\n"
    "pathlib.Path('big').write_bytes(bytes(3 << 20))\n"
)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with one run whose program wrote files; tests only read it."""
    made = Command(tmp_path_factory.mktemp("artifacts"), warm)
    spec = write_script(made.home / "s.toml", [reply(WRITES)])
    done = made("solve", "Draw a plot.", "--model", spec, "-o", f"{made.home}/out/", "--json")
    assert done.status == 0, done.stderr
    (made.home / "ended.json").write_text(done.stdout)
    return made


def test_output_in_a_folder_has_what_the_program_wrote(command: Command) -> None:
    out = command.home / "out"
    assert sorted(path.name for path in out.iterdir()) == ["plot.png", "solution.py"]
    assert (out / "plot.png").read_bytes() == b"\x89PNG"
    assert (out / "solution.py").read_text() == WRITES


def test_json_lists_artifacts_with_their_content(command: Command) -> None:
    ended = json.loads((command.home / "ended.json").read_text())
    found = {each["path"]: each for each in ended["artifacts"]}
    assert base64.b64decode(found["plot.png"]["content"]) == b"\x89PNG"
    assert found["plot.png"]["sha256"] == sha(b"\x89PNG")
    assert (found["big"]["size"], found["big"]["content"]) == (3 << 20, None)


def test_show_lists_artifacts_and_writes_them(command: Command) -> None:
    assert (
        "The program wrote: 12:30.txt (4 bytes), big (3,145,728" in command("show", "latest").stdout
    )
    done = command("show", "latest", "--files", str(command.home / "shown"))
    assert (command.home / "shown" / "plot.png").read_bytes() == b"\x89PNG"
    assert done.stderr.splitlines() == [
        "not written: 12:30.txt: its path is not safe",
        "not written: big: 3,145,728 bytes were too many to be kept",
        "not written: solution.py: a file of the program has this path",
    ]
