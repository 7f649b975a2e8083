"""The environment can name the Python, and so the packages, of programs in the local sandbox."""

import json
import sys
import venv
from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.opening import PYTHON_VARIABLE, named_python
from tests.command import Command, warm
from tests.doubling import draft, write, write_script

USES = "import mine\ndef f():\n    return mine.word\nprint(f())\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a venv with one package and without pytest."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    write(packages / "mine.py", "word = 'found'\n")
    (packages / "mine-1.0.dist-info").mkdir()
    write(packages / "mine-1.0.dist-info" / "METADATA", "Name: mine\nVersion: 1.0\n")
    return folder


@pytest.fixture
def command(tmp_path: Path) -> Command:
    write_script(tmp_path / "s.toml", [draft(USES)])
    return Command(tmp_path, warm)


def test_a_program_imports_the_packages_of_the_named_python(
    command: Command, environment: Path
) -> None:
    arguments = ["solve", "Print a word.", "-m", "scripted:s.toml", "--turns", "1"]
    done = command.with_environment(**{PYTHON_VARIABLE: str(environment)})(*arguments)
    assert done.status == 0, done.stderr
    assert "found" in command("show", "latest").stdout
    assert command(*arguments).status == 1
    assert "No module named 'mine'" in command("show", "latest").stdout


def test_tests_in_python_are_refused_where_it_has_no_pytest(
    command: Command, environment: Path
) -> None:
    tests = write(command.home / "t.py", "from solution import f\nassert f() == 'found'\n")
    named = command.with_environment(**{PYTHON_VARIABLE: str(environment / "bin" / "python")})
    done = named("solve", "Write f().", "--tests", tests, "-m", "scripted:s.toml")
    assert done.status == 2
    assert "need pytest, which the Python of the sandbox does not have" in done.stderr


def test_doctor_lists_the_packages(command: Command, environment: Path) -> None:
    done = command.with_environment(**{PYTHON_VARIABLE: str(environment)})("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["sandbox"]["checks"]}
    assert f"1 beside {environment}/bin/python: mine" in checks["packages"]["detail"]
    assert not checks["packages"]["ok"]


@pytest.mark.parametrize("named", ["/no/such/venv", "/etc/passwd", "/etc"])
def test_what_is_not_a_python_is_refused(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, named)
    with pytest.raises(InputError, match="is not a Python"):
        named_python()


def test_without_the_variable_it_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    assert named_python() is None
