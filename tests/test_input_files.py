"""Input files of a task: the program and its tests find them in their work folder."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.conversation import task_message
from opencodeinterpreter.nodes.prompts import installed_prompts
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests, StdinCase
from opencodeinterpreter.tools.input_files import MOST_BYTES, Binary, Content
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner
from tests.command import Command, warm
from tests.doubling import draft, write, write_script

NOISE = bytes([255, 0, 254])
FILES: dict[str, Content] = {
    "in/data.csv": "a,b\n1,2\n",
    "noise.bin": Binary(base64=base64.b64encode(NOISE).decode()),
}
READS = (
    "def size(path):\n    return len(open(path, 'rb').read())\n"
    "if __name__ == '__main__':\n    print(size('in/data.csv'), size('noise.bin'))\n"
)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "tests",
    [
        None,
        PythonTests(
            source=(
                "from solution import size\n"
                "def test_both():\n"
                "    assert size('in/data.csv') == len(open('in/data.csv').read())\n"
                "    assert open('noise.bin', 'rb').read() == bytes([255, 0, 254])\n"
                "    assert size('noise.bin') == 3\n"
            )
        ),
        CaseTests(cases=(CallCase(args=("noise.bin",), expected=3),)),
        CaseTests(cases=(StdinCase(stdin="", stdout="8 3"),)),
    ],
    ids=["no tests", "tests in Python", "calls", "input and output"],
)
async def test_every_run_finds_them(runner: SandboxRunner, tests: Any) -> None:
    if tests is not None:
        await runner.check(tests, "size", READS, FILES)
    program = Program(code=READS, inputs=FILES, entry_point="size", tests=tests)
    execution = await runner.run(program)
    assert (execution.status, execution.artifacts) == ("ok", ())
    assert execution.passed if tests else execution.logs.stdout == "8 3\n"


@pytest.mark.asyncio(loop_scope="module")
async def test_as_many_bytes_as_a_task_may_bring_arrive(runner: SandboxRunner) -> None:
    full = {"big": "x" * MOST_BYTES}
    code = "import os; print(os.path.getsize('big')); open('out', 'w').write('new')"
    execution = await runner.run(Program(code=code, inputs=full))
    assert execution.logs.stdout == f"{MOST_BYTES}\n"
    assert [artifact.path for artifact in execution.artifacts] == ["out"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("change", ["open(path, 'w').write('')", "__import__('os').remove(path)"])
async def test_a_program_that_changes_what_the_tests_read_never_passes(
    runner: SandboxRunner, change: str
) -> None:
    code = f"def size(path):\n    {change}\n    return 0\n"
    source = (
        "import pathlib\nfrom solution import size\n"
        "def test_size():\n    got = size('in/data.csv')\n"
        "    found = pathlib.Path('in/data.csv')\n"
        "    assert got == (len(found.read_bytes()) if found.exists() else 0)\n"
    )
    program = Program(code=code, inputs=FILES, tests=PythonTests(source=source))
    assert not (await runner.run(program)).passed


def test_a_program_without_input_files_keeps_its_digest() -> None:
    assert "inputs" not in Program(code="x").model_dump()
    assert Program(code="x").digest != Program(code="x", inputs=FILES).digest


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"/etc/x": ""}, "not a path below"),
        ({"../x": ""}, "not a path below"),
        ({"": ""}, "not a path below"),
        ({"a\nb": ""}, "not a path below"),
        ({"solution.py": ""}, "the program's own name"),
        ({"big": "x" * (MOST_BYTES + 1)}, "16 MiB"),
        ({str(number): "" for number in range(300)}, "300 files"),
        ({"x": {"base64": "?"}}, "base64"),
    ],
)
def test_files_that_cannot_be_used_are_refused(files: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        task_seed({"prompt": "Read.", "files": files}, Settings())


def test_the_coder_is_told_their_names_sizes_and_beginnings() -> None:
    text = task_message(Task(prompt="Read.", files=FILES), installed_prompts())
    assert "in/data.csv (8 bytes)\n    a,b\n    1,2\nnoise.bin (3 bytes)" in text
    assert "These files" not in task_message(Task(prompt="Read."), installed_prompts())


def test_the_command_takes_them_records_them_and_replays(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    spec = write_script(tmp_path / "s.toml", [draft(READS.replace("in/", ""))])
    write(tmp_path / "data.csv", "a,b\n1,2\n")
    (tmp_path / "noise.bin").write_bytes(NOISE)
    given = ["--file", f"{tmp_path}/data.csv", "--file", f"{tmp_path}/noise.bin"]
    done = command("solve", "Read the files.", "--model", spec, *given)
    assert done.status == 0, done.stderr
    record = json.loads(command("show", "latest", "--json").stdout)
    assert record["tasks"][0]["files"] == {
        "data.csv": "a,b\n1,2\n",
        "noise.bin": {"base64": base64.b64encode(NOISE).decode()},
    }
    assert "files: data.csv (8 bytes), noise.bin (3 bytes)" in command("show", "latest").stdout
    assert command("export", "latest", "-o", f"{tmp_path}/t.jsonl").status == 0
    assert command("replay", f"{tmp_path}/t.jsonl").status == 0


def test_a_helper_of_the_tests_is_not_given_to_the_program(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    cheat = "import helper\ndef f():\n    return helper.secret\n"
    spec = write_script(tmp_path / "s.toml", [draft(cheat)])
    tests = write(
        tmp_path / "tests.py", "import solution, helper\nassert solution.f() == helper.secret\n"
    )
    helper = write(tmp_path / "helper.py", "secret = 7\n")
    arguments = ["solve", "Write f().", "--tests", tests, "--file", helper, "--model", spec]
    done = command(*arguments, "--turns", "1")
    assert done.status == 1
    assert "ModuleNotFoundError" in command("show", "latest").stdout


def test_two_files_of_one_name_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    (tmp_path / "a").mkdir()
    spec = write_script(tmp_path / "s.toml")
    first, second = write(tmp_path / "x", "1"), write(tmp_path / "a" / "x", "2")
    for given, why in (([first, second], "another file has the name x"), (["no"], "cannot be")):
        options = [word for path in given for word in ("--file", path)]
        done = command("solve", "Read.", "-m", spec, *options)
        assert (done.status, why in done.stderr) == (2, True), done.stderr
