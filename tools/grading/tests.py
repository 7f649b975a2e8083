"""A task's tests: Python source or input/output cases, and how to read them from a file."""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_serializer, field_validator

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.grading.inside.reach import holds_assertion
from opencodeinterpreter.tools.input_files import Content
from opencodeinterpreter.tools.strict_json import (
    DEEPEST,
    TOO_DEEP,
    check_text,
    loads_given,
    name_of,
)
from opencodeinterpreter.tools.validation import first_problem

_WHOLE = "$int"
_LONG = re.compile(r"-?[0-9]{1,4300}", re.ASCII)


class PythonTests(Frozen):
    """A file of tests that imports the program as `solution`; pytest runs it."""

    kind: Literal["python"] = "python"
    source: str
    file: str = Field(
        default="tests.py", pattern=r"^[\w-]+\.py$", exclude_if=lambda name: name == "tests.py"
    )
    """The file's name, which is part of its tests' names."""
    files: Mapping[str, Content] = Field(default={}, exclude_if=lambda files: not files)
    """Other files that it uses, by relative path: `conftest.py`, helpers, data."""


class CallCase(Frozen):
    """Call the entry point with `args`; the result must equal `expected`."""

    args: tuple[Any, ...]
    expected: Any

    @field_validator("args", "expected", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return _revived(value)

    @field_serializer("args", "expected", when_used="json")
    def _write(self, value: Any) -> Any:
        return _storable(value)


def _storable(value: Any) -> Any:
    """Dump integers of more than 64 bits as `{"$int": "…"}`: checkpoints cannot hold them."""
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    if isinstance(value, int) and not _is_short(value):
        return {_WHOLE: str(value)}
    return value


def _is_short(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _revived(value: Any, levels: int = DEEPEST) -> Any:
    """Undo `_storable`; raises ValueError for an object of that form that it never writes.

    It also raises ValueError for what cannot be stored: half of a character, too many levels.
    """
    if levels < 0:
        raise ValueError(TOO_DEEP)
    if isinstance(value, str):
        check_text(value)
    if isinstance(value, list | tuple):
        return [_revived(item, levels - 1) for item in value]
    if isinstance(value, dict):
        if value.keys() == {_WHOLE}:
            return _revived_whole(value[_WHOLE])
        return {_revived(key): _revived(item, levels - 1) for key, item in value.items()}
    return value


def _revived_whole(text: object) -> int:
    if not isinstance(text, str) or not _LONG.fullmatch(text) or _is_short(int(text)):
        raise ValueError(
            f'{{"{_WHOLE}": …}} is how stored cases write integers of more than 64 bits; '
            "write the integer itself, or use tests in Python for such an object"
        )
    return int(text)


class StdinCase(Frozen):
    """Run the program with `stdin`; it must print `stdout` (trailing white space is ignored)."""

    stdin: str
    stdout: str
    tolerance: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, exclude_if=lambda value: value is None
    )
    """By how much numbers in the output may differ; `None` means not at all."""


class CaseTests(Frozen):
    """Input/output cases, all of one shape."""

    kind: Literal["cases"] = "cases"
    cases: tuple[CallCase, ...] | tuple[StdinCase, ...]

    @field_validator("cases")
    @classmethod
    def _some(
        cls, cases: tuple[CallCase, ...] | tuple[StdinCase, ...]
    ) -> tuple[CallCase, ...] | tuple[StdinCase, ...]:
        if not cases:
            raise ValueError("there is no case in it; add one, or leave the tests out")
        return cases

    @property
    def of_stdin(self) -> bool:
        """Whether the program is run with an input; otherwise its entry point is called."""
        return isinstance(self.cases[0], StdinCase)


Tests = Annotated[PythonTests | CaseTests, Field(discriminator="kind")]


_Some = TypeVar("_Some", PythonTests, PythonTests | CaseTests)


def with_files(tests: _Some, files: Mapping[str, Content]) -> _Some:
    """Return tests in Python with more files beside them; their own have precedence."""
    if not files or not isinstance(tests, PythonTests):
        return tests
    return tests.model_copy(update={"files": {**files, **tests.files}})


_SHAPES = 'either {"args": [...], "expected": ...} or {"stdin": "...", "stdout": "..."}'


def read_tests(path: Path) -> Tests:
    """Read tests from a `.py` file, or from a `.jsonl` file with one case per line.

    Raises InputError that names the file, the line and what is wrong.
    """
    readers: dict[str, Callable[[Path, str], Tests]] = {".py": _python, ".jsonl": _cases}
    reader = readers.get(path.suffix)
    if reader is None:
        raise InputError(f"{path}: tests are a .py or a .jsonl file, not {path.suffix or 'this'}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file of tests") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the tests: {error.strerror}") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty; it needs at least one test")
    return reader(path, text)


def _python(path: Path, text: str) -> PythonTests:
    try:
        found = _has_tests(ast.parse(text))
    except SyntaxError as error:
        raise InputError(f"{path}, line {error.lineno}: not valid Python: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid Python: {error}") from None
    if not found:
        raise InputError(f"{path}: no assertion and no test_* function; add one")
    return PythonTests(source=text, file=path.name if _is_free(path) else "tests.py")


def _is_free(path: Path) -> bool:
    """Return whether a file's name hides no module that the program or the tests import."""
    taken = {*sys.stdlib_module_names, "conftest", "pytest", "solution"}
    return re.fullmatch(r"[\w-]+\.py", path.name) is not None and path.stem not in taken


def _has_tests(tree: ast.Module) -> bool:
    """Return whether a file contains an assertion or something that pytest collects as a test."""
    named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return holds_assertion(tree) or any(
        isinstance(node, named) and node.name.lower().startswith("test") for node in ast.walk(tree)
    )


def _cases(path: Path, text: str) -> CaseTests:
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:
        return cases_of((f"line {number}", _loaded(number, line)) for number, line in lines)
    except ValueError as error:
        raise InputError(f"{path}, {error}") from None


def _loaded(number: int, line: str) -> Any:
    try:
        return loads_given(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number}: not JSON: {error.msg} at column {error.colno}") from None
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def cases_of(values: Iterable[tuple[str, Any]]) -> CaseTests:
    """Return the cases that JSON values are, each with the place that names it in an error.

    Raises ValueError that begins with the place.
    """
    calls: list[CallCase] = []
    runs: list[StdinCase] = []
    for place, value in values:
        try:
            case = _case(value)
        except ValidationError as error:
            raise ValueError(f"{place}: {first_problem(error).message}") from None
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        if isinstance(case, CallCase):
            calls.append(case)
        else:
            runs.append(case)
        if calls and runs:
            raise ValueError(f"{place}: two shapes of cases; all are {_SHAPES}")
    return CaseTests(cases=tuple(calls) if calls else tuple(runs))


def _case(value: Any) -> CallCase | StdinCase:
    """Return the case that a JSON value is; raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"a case is an object, {_SHAPES}; this is {name_of(value)}")
    keys = set(value)
    if keys == {"args", "expected"}:
        if not isinstance(value["args"], list):
            raise ValueError(f"`args` is a list, not {name_of(value['args'])}")
        return CallCase(args=tuple(value["args"]), expected=value["expected"])
    if keys - {"tolerance"} == {"stdin", "stdout"}:
        for key in ("stdin", "stdout"):
            if not isinstance(value[key], str):
                raise ValueError(f"`{key}` is a text, not {name_of(value[key])}")
        tolerance = value.get("tolerance")
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | None):
            raise ValueError(f"`tolerance` is a number, not {name_of(tolerance)}")
        if tolerance is not None and not 0 <= tolerance <= sys.float_info.max:
            raise ValueError(f"`tolerance` is a finite number from 0, not {str(tolerance)[:20]}")
        return StdinCase(stdin=value["stdin"], stdout=value["stdout"], tolerance=tolerance)
    named = ", ".join(sorted(keys)) or "none"
    raise ValueError(f"a case has the keys of {_SHAPES}; this has: {named}")
