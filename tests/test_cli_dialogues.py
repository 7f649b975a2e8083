"""`dialogues`: runs, traces and batches become one file for fine-tuning, and a report."""

import json
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.traces.dialogues.format import Dialogue
from tests.command import Command, Done, warm
from tests.doubling import TASK, TESTS, draft, solved, write, write_script
from tests.test_page import EXAMPLES


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return a command with a run that is solved in its third turn; tests only read it."""
    made = Command(tmp_path_factory.mktemp("dialogues"), warm)
    solved(made)
    return made


def batch(home: Path) -> Path:
    """Solve the task in a batch; return its folder."""
    write_script(home / "batch.toml")
    task = {"id": "t/1", "prompt": TASK, "tests": TESTS, "scoring": "assert 'pelican' == 'hidden'"}
    tasks = write(home / "tasks.jsonl", json.dumps(task))
    done = Command(home, warm)(
        "batch", tasks, "--out", "out", "--model", f"scripted:{home / 'batch.toml'}"
    )
    assert done.status == 0, done.stderr
    return home / "out"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_runs_traces_and_batches_become_one_file_and_a_report(
    command: Command, tmp_path: Path
) -> None:
    path, folder = tmp_path / "data.jsonl", batch(tmp_path)
    pond = write(tmp_path / "pond.jsonl", json.dumps({"id": "Pond/1", "prompt": "A pond."}))
    sources = ("latest", str(folder), *map(str, EXAMPLES))
    done = command("dialogues", "build", *sources, "-o", str(path), "--against", pond)
    assert done.status == 0, done.stderr
    report = json.loads((tmp_path / "data.report.json").read_text("utf-8"))
    assert (report["read"], report["kept"]) == (len(EXAMPLES) + 2, len(rows(path)))
    assert done.stdout.startswith(f"{report['kept']} of {report['read']} kept: {path}")
    assert report["benchmarks"] == {pond: 1}
    assert report["reasons"]["near-duplicate"] == 1  # The batch solved the same task alike.
    (lost,) = [each for each in report["dropped"] if each["reason"] == "not solved"]
    assert lost["origin"].startswith("run ")
    assert "pelican" not in path.read_text("utf-8")


def test_each_line_has_what_trainers_and_readers_of_columns_take(
    command: Command, tmp_path: Path
) -> None:
    """The same fields of the same types in each line; messages are texts of three roles."""
    path = tmp_path / "data.jsonl"
    sources = map(str, EXAMPLES)
    done = command("dialogues", "build", "latest", *sources, "-o", str(path), "--answers", "1")
    assert done.status == 0, done.stderr
    found = rows(path)
    assert [row["id"] for row in found] == list(range(len(found)))
    for row in found:
        assert list(row) == ["id", "messages", "provenance"]
        assert [*map(type, row["provenance"].values())] == [
            *map(type, found[0]["provenance"].values())
        ]
        for message in row["messages"]:
            assert list(message) == ["role", "content"]
            assert message["role"] in ("user", "assistant", "system")
            assert isinstance(message["content"], str)
        Dialogue.model_validate({name: row[name] for name in Dialogue.model_fields})


def test_a_task_of_a_benchmark_that_was_planted_is_caught(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    prompt = (
        'def mirrored_pond(depths):\n    """Return the depths as a heron sees them from '
        'the far bank, the deepest first.\n    """\n'
    )
    reply = draft("def mirrored_pond(depths):\n    return depths\n")
    model = write_script(tmp_path / "script.toml", [draft("x = 1 / 0\n"), reply])
    assert command("solve", prompt, "--model", model).status == 0
    task = {"task_id": "Pond/3", "prompt": prompt, "canonical_solution": "    return depths\n"}
    against = write(tmp_path / "pond.jsonl", json.dumps(task))
    built = ("dialogues", "build", "latest", "-o", "data.jsonl")
    clean = command(*built)
    assert "no benchmark was looked for" in clean.stdout
    assert len(rows(tmp_path / "data.jsonl")) == 1
    done = command(*built, "--against", against, "--json")
    assert done.status == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["kept"], report["reasons"]) == (0, {"contaminated": 1})
    assert report["dropped"][0]["detail"].startswith("Pond/3: ")
    assert rows(tmp_path / "data.jsonl") == []


def refused(done: Done, *says: str) -> None:
    assert (done.status, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    for text in says:
        assert text in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing", "-o", "new.jsonl"), "no run 'nothing'"),
        (("no.sqlite", "-o", "new.jsonl"), "no.sqlite: there is no such store"),
        (("output", "-o", "new.jsonl"), "output: no batch here"),
        (("latest", "-o", "no/new.jsonl"), "there is no folder no"),
        (("latest", "-o", "-"), "name a file"),
        (("latest", "-o", "new.jsonl", "--against", "no.jsonl"), "no.jsonl: no such benchmark"),
    ],
)
def test_a_wrong_argument_is_one_line_and_no_file_is_written(
    command: Command, arguments: tuple[str, ...], says: str
) -> None:
    refused(command("dialogues", "build", *arguments), says)
    assert not list(command.home.glob("**/new*"))


def test_an_evaluation_s_runs_are_refused(command: Command, tmp_path: Path) -> None:
    """Its tasks measure models, and the protocol `paper` shows the tests that score."""
    write(tmp_path / "evaluation.json", "{}")
    store = str(tmp_path / "runs.sqlite")
    for arguments in ((str(tmp_path),), (store,), ("latest", "--store", store)):
        done = command("dialogues", "build", *arguments, "-o", str(tmp_path / "new.jsonl"))
        refused(done, "holds an evaluation", "cannot be measured by them")


def test_published_dialogues_are_read_and_filtered_alike(tmp_path: Path) -> None:
    """Both published forms; what is no dialogue and what repeats a benchmark is left out."""
    task = "Count the ponds of a park that no goose has visited this spring."
    pond = write(tmp_path / "pond.jsonl", json.dumps({"id": "Pond/1", "prompt": task}))
    said = [
        {"id": 7, "messages": _said("Sum a list.", "sum(xs)")},
        {"query": "Reverse a text.", "answer": "text[::-1]", "resource": "evol", "lang": "python"},
        {"query": f"Please: {task}", "answer": "ponds"},
        {"messages": _said("Only asked.")},
        {"text": "x"},
    ]
    source = write(tmp_path / "said.jsonl", "".join(f"{json.dumps(each)}\n" for each in said))
    path = tmp_path / "data.jsonl"
    command = Command(tmp_path, warm)
    arguments = ("dialogues", "read", source, "-o", str(path), "--answers", "1")
    done = command(*arguments, "--against", pond, "--json")
    assert done.status == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["reasons"] == {"contaminated": 1, "no dialogue": 2}
    assert [each["origin"] for each in report["dropped"]] == [
        f"{source}, line {number}" for number in (3, 4, 5)
    ]
    assert [row["messages"] for row in rows(path)] == [
        _said("Sum a list.", "sum(xs)"),
        _said("Reverse a text.", "text[::-1]"),
    ]
    assert {row["provenance"]["way"] for row in rows(path)} == {"published"}


def _said(*contents: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": content} for at, content in enumerate(contents)]
