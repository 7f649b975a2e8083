"""Loading the benchmarks: official files, their variants, and errors in other files."""

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.tools.benchmarks.files import SOURCES, BenchmarkName
from opencodeinterpreter.tools.benchmarks.mbpp_inputs import json_inputs, python_inputs
from opencodeinterpreter.tools.benchmarks.tasks import AssertionTask, InputTask, load_benchmark
from opencodeinterpreter.tools.errors import InputError

DATA = Path(__file__).parent.parent.parent / "shared" / "data"
FILES: dict[BenchmarkName, str] = {
    "humaneval": "HumanEval.jsonl.xz",
    "humaneval+": "HumanEvalPlus-v0.1.10.jsonl.xz",
    "mbpp": "mbpp.jsonl.xz",
    "mbpp+": "MbppPlus-v0.2.0.jsonl.xz",
}
TASK: dict[str, Any] = {
    "task_id": "HumanEval/0",
    "prompt": "def f(x):\n",
    "entry_point": "f",
    "canonical_solution": "    return x\n",
    "base_input": [[1]],
    "plus_input": [],
    "atol": 0,
}


@pytest.mark.parametrize("name", FILES)
async def test_an_official_file_has_its_checksum_and_all_tasks(name: BenchmarkName) -> None:
    path = DATA / FILES[name]
    if not path.exists():
        pytest.skip(f"the official file {path.name} is not here")
    benchmark = await load_benchmark(name, path)
    assert benchmark.sha256 == SOURCES[name].sha256
    counts = {"humaneval": 164, "humaneval+": 164, "mbpp": 974, "mbpp+": 378}
    assert len(benchmark.tasks) == counts[name]
    kind = InputTask if name.endswith("+") else AssertionTask
    assert all(isinstance(task, kind) for task in benchmark.tasks.values())


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
async def test_a_local_file_may_be_packed(tmp_path: Path, suffix: str) -> None:
    content = json.dumps(TASK).encode()
    packing: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}
    path = tmp_path / f"tasks.jsonl{suffix}"
    path.write_bytes(packing[suffix](content) if suffix else content)
    task = (await load_benchmark("humaneval+", path)).tasks["HumanEval/0"]
    assert task.reference == "def f(x):\n    return x\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "no task in it"),
        ("\n{", "line 2: no task of humaneval+"),
        (json.dumps({"task_id": "x"}), "line 1: no task of humaneval+: it has no 'prompt'"),
        (json.dumps({**TASK, "atol": "x"}), "line 1: atol: "),
        (json.dumps([1]), "line 1: no task of humaneval+"),
    ],
)
async def test_another_file_is_refused_with_its_line(
    tmp_path: Path, content: str, problem: str
) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=problem.replace("+", r"\+")):
        await load_benchmark("humaneval+", path)


async def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such benchmark file"):
        await load_benchmark("mbpp", tmp_path / "none.jsonl")
    (tmp_path / "bad.xz").write_bytes(b"no xz")
    with pytest.raises(InputError, match="cannot be read"):
        await load_benchmark("mbpp", tmp_path / "bad.xz")


async def test_assertions_of_mbpp_name_what_they_call(tmp_path: Path) -> None:
    fields = {
        "text": "Add.",
        "code": "class P:\r\n  pass\r\ndef add(a):\r\n  return a",
        "task_id": 3,
        "test_setup_code": "x = P()",
        "test_list": ["assert set(add([P()])) == 1"],
        "challenge_test_list": ["assert add(2) == 2"],
    }
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps(fields))
    (task,) = (await load_benchmark("mbpp", path)).tasks.values()
    assert isinstance(task, AssertionTask)
    assert (task.task_id, task.entry_point) == ("Mbpp/3", "add")
    assert "\r" not in task.reference
    assert task.tests.endswith("x = P()\nassert set(add([P()])) == 1\nassert add(2) == 2")


@pytest.mark.parametrize(
    ("task_id", "given", "python", "back"),
    [
        ("Mbpp/2", [[1], [2]], [(1,), (2,)], [(1,), (2,)]),
        ("Mbpp/63", [[[1, 2]]], [[(1, 2)]], [[(1, 2)]]),
        ("Mbpp/115", [[[1], []]], [[{1}, {}]], [[[1], []]]),
        ("Mbpp/124", ["1", "2j"], [1.0, 2j], ["1.0", "2j"]),
        ("Mbpp/580", [[1, [2]]], [(1, (2,))], [(1, (2,))]),
        ("Mbpp/722", [{"a": [1]}, 2], [{"a": (1,)}, 2], [{"a": (1,)}, 2]),
        ("Mbpp/750", [[1], [2]], [[1], (2,)], [[1], (2,)]),
        ("Mbpp/1", [[1]], [[1]], [[1]]),
    ],
)
def test_inputs_of_mbpp_become_python_s_types(
    task_id: str, given: list[Any], python: list[Any], back: list[Any]
) -> None:
    (found,) = python_inputs(task_id, [given])
    assert repr([*found]) == repr(python)
    assert [[*args] for args in json_inputs(task_id, [found])] == [back]
