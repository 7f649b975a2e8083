"""Wrong arguments and files: one clear line, exit status 2, and nothing is stored or written."""

from pathlib import Path

import pytest

from tests.command import Command, Done, installed, warm
from tests.doubling import TASK, TESTS, draft, write, write_script


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with files of all kinds."""
    home = tmp_path_factory.mktemp("bad")
    write_script(home / "script.toml", [draft("print(1)\n")])
    for name, text in {
        "tests.py": TESTS,
        "words.txt": "Some words.",
        "empty.py": " \n",
        "broken.py": "def double(:\n",
        "untested.py": "import math\n",
        "list.jsonl": "[1, 2]\n",
        "shape.jsonl": '{"args": [1], "wanted": 2}\n',
        "mixed.jsonl": '{"args": [1], "expected": 2}\n{"stdin": "1", "stdout": "2"}\n',
        "third.jsonl": '{"args": [1], "expected": 2}\n\n{"args": 1, "expected": 2}\n',
        "broken.toml": "[[coder]\n",
        "silent.toml": "title = 'no replies'\n",
        "odd.toml": '[[coder]]\nrepli = "x"\n',
        "dollar.txt": "Costs 5 $ a piece.",
        "value.txt": "Look at $nothing.",
    }.items():
        write(home / name, text)
    (home / "binary.py").write_bytes(b"\xff\xfe\x00\x01" * 10)
    return home


@pytest.fixture
def command(home: Path, tmp_path: Path) -> Command:
    """Return a command beside those files, with a new store."""
    return Command(home, warm, {"XDG_DATA_HOME": str(tmp_path)})


def check(command: Command, done: Done, *says: str) -> None:
    """Check that a command was refused in one line that holds `says`, and left nothing behind."""
    assert (done.status, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("opencodeinterpreter: ")
    for text in says:
        assert text in line
    assert command("runs").stdout == ""
    assert not [path for path in command.home.iterdir() if ".partial" in path.name]


FILES = {
    "tests, missing": (("--tests", "no.py"), "no.py"),
    "tests, a folder": (("--tests", "."), "."),
    "tests, no text": (("--tests", "binary.py"), "binary.py", "UTF-8"),
    "tests, empty": (("--tests", "empty.py"), "empty.py", "empty"),
    "tests, no Python": (("--tests", "broken.py"), "broken.py, line 1"),
    "tests, none in it": (("--tests", "untested.py"), "untested.py", "no assertion"),
    "tests, another kind": (("--tests", "words.txt"), "words.txt", ".jsonl"),
    "cases, no object": (("--tests", "list.jsonl"), "list.jsonl, line 1", "list"),
    "cases, another shape": (("--tests", "shape.jsonl"), "shape.jsonl, line 1", "wanted"),
    "cases, two shapes": (("--tests", "mixed.jsonl"), "mixed.jsonl, line 2", "two shapes"),
    "cases, wrong arguments": (("--tests", "third.jsonl"), "third.jsonl, line 3", "args"),
    "draft, missing": (("--draft", "no.py"), "draft file no.py"),
    "draft, a folder": (("--draft", "."), "draft file ."),
    "draft, no text": (("--draft", "binary.py"), "binary.py", "UTF-8"),
    "draft, empty": (("--draft", "empty.py"), "empty"),
    "reference, missing": (("--reference", "no.py"), "reference file no.py"),
    "reference, empty": (("--critic", "oracle", "--reference", "empty.py"), "empty"),
    "reference, not given": (("--critic", "oracle"), "--reference"),
    "prompt, missing": (("--prompt", "judge=no.txt"), "prompt file no.txt"),
    "prompt, unknown": (("--prompt", "cook=words.txt"), "'cook'", "judge"),
    "prompt, no file": (("--prompt", "judge"), "NAME=VALUE"),
    "prompt, a stray $": (("--prompt", "judge=dollar.txt"), "judge", "$$"),
    "prompt, unknown value": (("--prompt", "judge=value.txt"), "$nothing", "$task"),
    "output, no folder": (("-o", "nowhere/out.py"), "nowhere/out.py"),
    "output, a folder": (("-o", "."), "."),
}


@pytest.mark.parametrize(("options", "says"), [(e[0], e[1:]) for e in FILES.values()], ids=FILES)
def test_a_wrong_file_is_named(command: Command, options: list[str], says: list[str]) -> None:
    done = command("solve", TASK, "--model", "scripted:script.toml", *options)
    check(command, done, *says)


MODELS = {
    "no scheme": ("gpt", "'gpt'", "local:NAME"),
    "unknown scheme": ("cook:soup", "cook"),
    "no name": ("openai:", "'openai:'"),
    "no URL": ("openai:m@http://", "URL"),
    "a password": ("openai:m@http://me:secret@example.org/v1", "password"),
    "no model file": ("local:no.gguf", "no.gguf"),
    "another model file": ("local:words.gguf", "words.gguf"),
    "no script": ("scripted:no.toml", "no.toml"),
    "no TOML": ("scripted:broken.toml", "broken.toml", "line 1"),
    "no replies": ("scripted:silent.toml", "silent.toml", "[[coder]]"),
    "an odd key": ("scripted:odd.toml", "odd.toml", "coder entry 1", "'repli'"),
    "a binary script": ("scripted:binary.py", "binary.py"),
    "unknown role": ("cook=scripted:script.toml", "'cook'", "coder, judge, critic"),
    "no key": ("openai:gpt", "OPENAI_API_KEY"),
}


@pytest.mark.parametrize(("spec", "says"), [(e[0], e[1:]) for e in MODELS.values()], ids=MODELS)
def test_a_wrong_model_is_named(command: Command, spec: str, says: list[str]) -> None:
    done = command("solve", TASK, "--model", spec)
    check(command, done, *says)
    assert "secret" not in done.stderr


BIG = "9" * 30
SETTINGS = {
    "no value": ("limits.turns", "NAME=VALUE"),
    "unknown": ("cook=1", "cook"),
    "unknown part": ("limits.cook=1", "limits.cook"),
    "no parts": ("drafts.x=1", "'drafts' is a value, not a group of settings"),
    "negative": ("limits.turns=-1", "limits.turns", "-1"),
    "nothing": ("sandbox.wall_seconds=0", "sandbox.wall_seconds"),
    "endless": ("limits.seconds=Infinity", "limits.seconds"),
    "no number": ("limits.seconds=NaN", "limits.seconds"),
    "another kind": ("limits=3", "limits"),
    "unknown critic": ("critic=cook", "critic", "'oracle'"),
    "unknown role": ("models.cook=local:smollm2", "models.cook"),
    "unknown model": ("models.coder=gpt", "'gpt'", "local:NAME"),
    "no coder": ("models={}", "coder"),
    "too many turns": (f"limits.turns={BIG}", "limits.turns", BIG),
    "too many calls": (f"limits.calls={BIG}", "limits.calls"),
    "too many tokens": (f"limits.tokens={BIG}", "limits.tokens"),
    "too long an answer": (f"sampling.coder.max_tokens={BIG}", "sampling.coder.max_tokens"),
    "too big a seed": (f"sampling.coder.seed={BIG}", "sampling.coder.seed"),
    "too small a seed": (f"sampling.coder.seed=-{BIG}", "sampling.coder.seed"),
    "too much memory": (f"sandbox.memory_mb={BIG}", "sandbox.memory_mb"),
    "too much time": ("sandbox.cpu_seconds=1e300", "sandbox.cpu_seconds"),
    "too much disk": (f"sandbox.disk_mb={BIG}", "sandbox.disk_mb"),
    "too much output": (f"sandbox.output_bytes={BIG}", "sandbox.output_bytes"),
    "too many processes": (f"sandbox.processes={BIG}", "sandbox.processes"),
    "too many retries": (f"client.retries={BIG}", "client.retries"),
    "too big an option": (f'client.engine={{"a":{{"b":[{BIG}]}}}}', "client.engine", BIG),
    "an endless option": ('client.engine={"a":NaN}', "client.engine", "nan"),
    "too high a price": ('client.prices={"m:x":{"input":1e400,"output":1}}', "prices.m:x.input"),
    "hot": ("sampling.coder.temperature=-1", "sampling.coder.temperature"),
}


@pytest.mark.parametrize(("text", "says"), [(e[0], e[1:]) for e in SETTINGS.values()], ids=SETTINGS)
def test_a_wrong_setting_is_named(command: Command, text: str, says: list[str]) -> None:
    done = command("solve", TASK, "--model", "scripted:script.toml", "--set", text)
    check(command, done, *says)


@pytest.mark.parametrize("task", ["", " \n\t"])
def test_an_empty_task_is_refused(command: Command, task: str) -> None:
    check(command, command("solve", task, "--model", "scripted:script.toml"), "task is empty")
    done = command("solve", "-", "--model", "scripted:script.toml", stdin=task)
    check(command, done, "task is empty")


def test_input_that_is_not_utf_8_is_refused(command: Command) -> None:
    script = ("--model", "scripted:script.toml")
    check(command, command("solve", "-", *script, stdin="Add \udcff."), "task is not UTF-8")
    check(command, command("solve", "Add \udcff.", *script), "task is not UTF-8")
    option = ("--set", "client.key_variable=a\udcff")
    check(command, command("solve", TASK, *script, *option), "client.key_variable", "UTF-8")


def test_a_name_that_can_be_no_file_names_no_run(command: Command) -> None:
    check(command, command("show", "a" * 5000), "the store holds none yet")


@pytest.mark.parametrize("seconds", ["-1", "0", "nan"])
def test_a_deadline_is_a_positive_number(command: Command, seconds: str) -> None:
    options = ("--model", "scripted:script.toml", "--deadline", seconds)
    done = command("solve", TASK, *options)
    assert (done.status, done.stdout) == (2, "")
    assert "deadline" in done.stderr
    assert command("runs").stdout == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--turns", "-1"), "--turns"),
        (("--turns", "two"), "--turns"),
        (("--drafts", "0"), "--drafts"),
        (("--drafts", "65"), "--drafts"),
        (("--critic", "cook"), "--critic"),
        (("--deadline", "soon"), "--deadline"),
        (("--cook",), "--cook"),
    ],
)
def test_a_wrong_option_shows_the_usage(
    command: Command, options: tuple[str, ...], says: str
) -> None:
    done = command("solve", TASK, "--model", "scripted:script.toml", *options)
    assert (done.status, done.stdout) == (2, "")
    usage, *_, error = done.stderr.splitlines()
    assert usage.startswith("Usage: opencodeinterpreter solve")
    assert error.startswith("Error: ")
    assert says in error
    assert command("runs").stdout == ""


def test_wrong_use_of_the_installed_command(tmp_path: Path) -> None:
    command = Command(tmp_path, installed)
    check(command, command("--log-level", "loud", "runs"), "'loud'", "debug, info")
    done = command("cook")
    assert (done.status, done.stdout) == (2, "")
    assert "No such command 'cook'" in done.stderr
