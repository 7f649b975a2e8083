"""Reading tests from a file: what is accepted, and the errors for the rest."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.tests import (
    CallCase,
    CaseTests,
    PythonTests,
    StdinCase,
    read_tests,
)

CALL = '{"args": [1, 2], "expected": 3}'
STDIN = '{"stdin": "1 2", "stdout": "3"}'


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_python_file_is_kept_as_it_is(tmp_path: Path) -> None:
    text = "from solution import f\n\nassert f(1) == 2  # a comment\n"
    assert read_tests(write(tmp_path, "t.py", text)) == PythonTests(source=text, file="t.py")


@pytest.mark.parametrize("name", ["enum.py", "solution.py", "pytest.py", "conftest.py", "a b.py"])
def test_a_file_does_not_hide_a_module_by_its_name(tmp_path: Path, name: str) -> None:
    read = read_tests(write(tmp_path, name, "from solution import f\nassert f(1) == 2\n"))
    assert isinstance(read, PythonTests) and read.file == "tests.py"


def test_cases_are_read_a_line_each(tmp_path: Path) -> None:
    path = write(tmp_path, "t.jsonl", f"{CALL}\n\n{CALL}\n")
    assert read_tests(path) == CaseTests(cases=(CallCase(args=(1, 2), expected=3),) * 2)
    path = write(tmp_path, "u.jsonl", STDIN)
    assert read_tests(path) == CaseTests(cases=(StdinCase(stdin="1 2", stdout="3"),))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.txt", "x", ": tests are a .py or a .jsonl file, not .txt"),
        ("t", "x", ": tests are a .py or a .jsonl file"),
        ("t.py", "", ": the file is empty"),
        ("t.jsonl", " \n\n", ": the file is empty"),
        ("t.py", "x = 1\nassert (", ", line 2: not valid Python: "),
        ("t.py", "assert '\0'", "not valid Python: "),
        ("t.py", "x = 1", ": no assertion and no test_"),
        ("t.jsonl", f"{CALL}\n{{", ", line 2: not JSON: "),
        ("t.jsonl", "[1]", ", line 1: a case is an object"),
        ("t.jsonl", f"{CALL}\n{STDIN}", ", line 2: two shapes of cases"),
        ("t.jsonl", '{"args": [1]}', ", line 1: a case has the keys of "),
        ("t.jsonl", "{}", "this has: none"),
        ("t.jsonl", '{"args": [1], "expected": 1, "name": "x"}', "args, expected, name"),
        ("t.jsonl", '{"args": 1, "expected": 1}', ", line 1: `args` is a list, not a number"),
        ("t.jsonl", '{"stdin": 1, "stdout": ""}', ", line 1: `stdin` is a text, not a number"),
        ("t.jsonl", '{"stdin": "", "stdout": "", "tolerance": 1e999}', "too large for a float"),
        ("t.jsonl", '{"stdin": "", "stdout": "", "tolerance": -1}', "from 0, not -1"),
        ("t.jsonl", f'{{"stdin": "", "stdout": "", "tolerance": 1{"0" * 400}}}', "a finite number"),
        ("t.jsonl", '{"args": [NaN], "expected": 1}', ", line 1: NaN is not JSON"),
        ("t.jsonl", "[" * 100_000, ", line 1: "),
    ],
)
def test_bad_tests_are_one_clear_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(InputError) as caught:
        read_tests(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_tests(tmp_path / "none.py")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(InputError, match="cannot read"):
        read_tests(tmp_path / "folder.py")
    (tmp_path / "latin.py").write_bytes(b"assert '\xe9'")
    with pytest.raises(InputError, match="not UTF-8"):
        read_tests(tmp_path / "latin.py")


# The machine may be busy: how long an example takes says nothing.
calm = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@calm
@given(st.lists(st.tuples(st.lists(json_values, max_size=3), json_values), min_size=1, max_size=3))
def test_written_cases_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[list[Any], Any]]
) -> None:
    lines = [json.dumps({"args": args, "expected": expected}) for args, expected in pairs]
    path = write(tmp_path_factory.mktemp("cases"), "t.jsonl", "\n".join(lines))
    cases = tuple(CallCase(args=tuple(args), expected=expected) for args, expected in pairs)
    assert read_tests(path) == CaseTests(cases=cases)


@calm
@given(st.text())
def test_any_text_is_read_or_refused_with_its_path(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("t.py", "t.jsonl"):
        path = folder / name
        path.write_bytes(text.encode("utf-8", "replace"))
        try:
            read_tests(path)
        except InputError as error:
            assert str(error).startswith(str(path))
