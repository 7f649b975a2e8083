"""Runs in the sandbox, in the examiner: tests written in Python, collected and run by pytest.

What `pytest FILE` would run is what runs. Beside that, a statement at the top level of the file
that asserts something is a test of its own, coroutine functions are run, and a `check(candidate)`
that nobody calls (the form of HumanEval) is called with the entry point.
"""

import ast
import asyncio
import contextlib
import inspect
import os
import sys
import types
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import _pytest.assertion.util as pytest_assertions
import pytest
from _pytest.assertion.rewrite import rewrite_asserts
from _pytest.config import default_plugins

from opencodeinterpreter.tools.grading.inside.blank import BlankError, BlankModule
from opencodeinterpreter.tools.grading.inside.cases import shown, told_of
from opencodeinterpreter.tools.grading.inside.link import (
    HarnessError,
    Link,
    OverError,
    TimedOutError,
)
from opencodeinterpreter.tools.grading.inside.reach import (
    asserting_functions,
    is_case,
    named_like_tests,
    names_of_tests,
    never_run,
)

for _plugin in default_plugins:
    # Loaded once in the zygote, not by each run.
    import_module(f"_pytest.{_plugin}")

_CASE = "@case"
"""The name by which wrapped statements find `_Case`; no program can write it."""
_NAME = 200
_TEXT = 1900
_WITHOUT = "cacheprovider faulthandler terminal junitxml pastebin doctest stepwise"


def examine(job: dict[str, Any], link: Link) -> list[dict[str, str]]:
    """Run the job's `file`, which stands in the work folder; return an outcome of each test."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.modules["solution"] = BlankModule("solution") if job["alone"] else link.module(0)
    examination = Examination(job, link)
    without = [part for name in _WITHOUT.split() for part in ("-p", f"no:{name}")]
    # Descriptors are left alone: they lead nowhere, and a kernel may be fed through the first.
    options = ("--capture=sys", "--rootdir=.", "--basetemp=.pytest")
    arguments = [*without, *options, job["file"]]
    pytest.main(arguments, plugins=[examination])
    return examination.result()


class Told(NamedTuple):
    """What became of a test."""

    status: str
    message: str
    word: str = ""
    """The candidate's own operator on which a pass rests, if any."""


def outcome(name: str, told: Told, strict: bool = False) -> dict[str, str]:
    """Return the outcome of a test as the host is told it."""
    status, message, word = told
    if strict and status == "passed" and word:
        status, message = "failed", f"it passes by the program's own `{word}` alone"
    return {"name": name, "status": status, "message": message[:_TEXT], "word": word}


class Examination:
    """A pytest plugin that notes what became of each test."""

    def __init__(self, job: dict[str, Any], link: Link) -> None:
        self.job = job
        self.link = link
        self.outcomes: dict[str, dict[str, str]] = {}
        self.compared: tuple[str, str, str] | None = None
        """Operator and both sides of the last comparison that did not hold."""
        self.tree: ast.Module | None = None
        self.problem: Told | None = None
        """What kept the file from being loaded."""
        self.collected: set[str] = set()
        self.cases: list[tuple[str, Told]] = []
        """The statements that are tests, and what became of each when the file was loaded."""

    def result(self) -> list[dict[str, str]]:
        """Return all outcomes, in the order in which the tests ran."""
        found = list(self.outcomes.values())
        if self.problem is not None:
            found = self._interrupted(self.problem)
        elif not any(each["status"] != "not run" for each in found):
            message = "no test ran: a test is a function test_*, or an assertion at the top level"
            found.append({"name": self.job["file"], "status": "error", "message": message})
        if self.job["alone"] and self.tree is not None:
            blank = self.problem is not None and self.problem.status == "blank"
            collected = named_like_tests(self.tree) if blank else self.collected
            never = [
                {"name": f"line {line}", "status": "never", "message": f"{place} is never called"}
                for line, place in never_run(self.tree, collected)
            ]
            # What keeps assertions from running says more than that no test ran.
            return never + found
        return found

    def _interrupted(self, problem: Told) -> list[dict[str, str]]:
        """Return the outcomes of a file that could not be loaded to its end.

        What stands before the trouble ran; the first test after it tells of the trouble.
        """
        file = self.job["file"]
        ran = [outcome(f"{file}::{name}", told, self.job["strict"]) for name, told in self.cases]
        names = [f"{file}::{name}" for name in names_of_tests(self.job["source"])]
        first, *others = names[len(ran) :] or [file]
        not_run = [outcome(name, Told("not run", "")) for name in others]
        return [*ran, outcome(first, problem), *not_run]

    def note(self, key: str, name: str, told: Told) -> None:
        """Note a test's outcome; one that is wrong already stays so."""
        before = self.outcomes.get(key, {"status": "passed"})
        if before["status"] in ("passed", "skipped"):
            self.outcomes[key] = outcome(name[:_NAME], told, strict=self.job["strict"])

    # What pytest calls.

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> Any:
        """Collect the job's own file in our way."""
        if module_path.name != self.job["file"]:
            return None
        return TestsModule.from_parent(parent, path=module_path, examination=self)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Note which functions and classes were collected."""
        for item in items:
            self.collected.update(str(part.name).partition("[")[0] for part in item.listchain())

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file that could not be collected."""
        if report.failed and self.problem is None:
            self.problem = Told("error", str(report.longrepr))

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> object:
        """Run a test that is a coroutine function."""
        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        names = pyfuncitem._fixtureinfo.argnames
        arguments = {name: pyfuncitem.funcargs[name] for name in names}
        asyncio.run(pyfuncitem.obj(**arguments))
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: Any) -> Iterator[None]:
        """Begin a test."""
        self.link.begin_test()
        self.compared = None
        yield

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: Any) -> Iterator[None]:
        """Hear of comparisons that fail."""
        with self.comparisons():
            yield

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
        """Note what became of a phase of a test."""
        report = yield
        if isinstance(item, _Case):
            self.note(f"{item.nodeid} {item.number}", item.nodeid, item.told)
        elif report.failed or report.skipped or call.when == "call" or self.link.trouble:
            self.note(item.nodeid, item.nodeid, self._phase(report, call))
        return report

    def _phase(self, report: Any, call: Any) -> Told:
        if self.link.trouble is not None:
            return self.troubled(self.link.trouble)
        if report.skipped:
            expected = getattr(report, "wasxfail", None)
            return Told("skipped", "" if expected is None else f"fails as expected: {expected}")
        if report.failed and call.excinfo is not None:
            return self.told(call.excinfo.value)
        if report.failed:
            return Told("failed", str(report.longrepr))
        return Told("passed", "", self.link.own_word)

    # What is made of exceptions.

    @contextlib.contextmanager
    def comparisons(self) -> Iterator[None]:
        """Note comparisons that do not hold, as pytest's assertions tell of them."""
        before, pytest_assertions._reprcompare = pytest_assertions._reprcompare, self._compared
        try:
            yield
        finally:
            pytest_assertions._reprcompare = before

    def _compared(self, operator: str, left: Any, right: Any) -> str:
        self.compared = operator, shown(left), shown(right)
        return f"{self.compared[1]} {operator} {self.compared[2]}"

    def troubled(self, trouble: HarnessError) -> Told:
        """Return what to tell of a test that ran into the boundary."""
        if isinstance(trouble, BlankError):
            return Told("blank", "")
        if isinstance(trouble, OverError):
            return Told("not run", "")
        return Told("timeout" if isinstance(trouble, TimedOutError) else "error", str(trouble))

    def told(self, error: BaseException) -> Told:
        """Return what to tell of a test that ended in an exception."""
        if isinstance(error, HarnessError) or self.link.trouble is not None:
            return self.troubled(self.link.trouble or error)  # type: ignore[arg-type]
        if isinstance(error, AssertionError | pytest.fail.Exception):
            return Told("failed", self._failed(error))
        if isinstance(error, pytest.FixtureLookupError):
            return Told("error", f"fixture {error.argname!r} not found")
        if hasattr(error, "told"):
            return Told("error", told_of(error))
        lines = "".join(f"  in the tests, line {line}\n" for line in self._lines(error))
        return Told("error", f"{told_of(error)}\n{lines}".rstrip())

    def _failed(self, error: BaseException) -> str:
        """Return the assertion that failed, and both sides of its comparison."""
        node, line = self._assertion(error)
        if node is None:
            return f"{line}\n{error}".strip()
        test = node.test
        text = ast.unparse(ast.Assert(test))
        said = str(error)
        note = said.partition("\nassert ")[0] if node.msg is not None else ""
        notes = [note] if note else []
        if self.compared and isinstance(test, ast.Compare) and len(test.ops) == 1:
            operator, left, right = self.compared
            if isinstance(test.left, ast.Constant):
                left, right = right, left
            heads = ("Expected: ", "Actual: ") if operator == "==" else ("Right: ", "Left: ")
            sides = [heads[0] + right, heads[1] + left]
            return "\n".join([text, *(sides if operator == "==" else reversed(sides)), *notes])
        why = [part.strip() for part in said.splitlines() if part.strip().startswith("+")]
        return "\n".join([text, *why, *notes])

    def _assertion(self, error: BaseException) -> tuple[ast.Assert | None, str]:
        """Return the assertion from which an error comes, and the line of the tests it is on."""
        lines = self._lines(error)
        if not lines or self.tree is None:
            return None, ""
        asserts = [node for node in ast.walk(self.tree) if isinstance(node, ast.Assert)]
        for node in asserts:
            if node.lineno <= lines[-1] <= (node.end_lineno or node.lineno):
                return node, ""
        source = self.job["source"].splitlines()
        return None, source[lines[-1] - 1].strip() if lines[-1] <= len(source) else ""

    def _lines(self, error: BaseException) -> list[int]:
        """Return the lines of the tests' file in an error's traceback, the innermost last."""
        found: list[int] = []
        trace = error.__traceback__
        while trace is not None:
            if Path(trace.tb_frame.f_code.co_filename).name == self.job["file"]:
                found.append(trace.tb_lineno)
            trace = trace.tb_next
        return found


class TestsModule(pytest.Module):
    """The file of tests, whose top level is run when it is collected."""

    __test__ = False

    def __init__(self, examination: Examination, **named: Any) -> None:
        super().__init__(**named)
        self._examination = examination
        self._cases = examination.cases

    def _getobj(self) -> types.ModuleType:
        examination = self._examination
        source = examination.job["source"]
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError) as error:
            examination.problem = Told("error", f"the tests are broken: {error}")
            raise self.CollectError(examination.problem.message) from None
        examination.tree = ast.parse(source)
        names = self._wrap(tree)
        rewrite_asserts(tree, source.encode("utf-8", "replace"), str(self.path), self.config)
        module = types.ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        module.__dict__[_CASE] = lambda at: _Run(examination, names[at], self._cases)
        module.__dict__["__source_of_tests__"] = source
        sys.modules[self.path.stem] = module
        code = compile(tree, str(self.path), "exec", dont_inherit=True)
        try:
            with examination.comparisons():
                exec(code, module.__dict__)  # noqa: S102
        except BaseException as error:
            examination.problem = examination.told(error)
            raise self.CollectError(examination.problem.message) from None
        return module

    def _wrap(self, tree: ast.Module) -> list[str]:
        """Put each statement that is a test into a `with` of ours; return the tests' names."""
        asserting = asserting_functions(tree)
        names: list[str] = []
        for at, statement in enumerate(tree.body):
            if not is_case(statement, asserting):
                continue
            call = ast.Call(ast.Name(_CASE, ast.Load()), [ast.Constant(len(names))], [])
            wrapped = ast.With([ast.withitem(call)], [statement])
            ast.copy_location(wrapped, statement)
            tree.body[at] = wrapped
            names.append(ast.unparse(statement).splitlines()[0])
        ast.fix_missing_locations(tree)
        return names

    def collect(self) -> Any:
        """Yield the statements that are tests, then what pytest finds."""
        module = self.obj
        for number, (name, told) in enumerate(self._cases):
            yield _Case.from_parent(self, name=name, number=number, told=told)
        found = list(super().collect())
        yield from found
        if not found and not self._cases and callable(check := getattr(module, "check", None)):
            yield _Check.from_parent(self, name="check", check=check)


class _Run:
    """Runs a statement at the top level and notes its outcome."""

    def __init__(self, examination: Examination, name: str, cases: list[tuple[str, Told]]) -> None:
        self._examination = examination
        self._name = name
        self._cases = cases

    def __enter__(self) -> None:
        self._examination.link.begin_test()
        self._examination.compared = None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        examination = self._examination
        trouble = examination.link.trouble
        failure = error or trouble
        told = Told("passed", "", examination.link.own_word)
        self._cases.append((self._name, examination.told(failure) if failure else told))
        return True


class _Case(pytest.Item):
    """A statement at the top level, which ran when the file was collected."""

    def __init__(self, number: int, told: "Told", **named: Any) -> None:
        super().__init__(**named)
        self.number = number
        self.told = told

    def runtest(self) -> None:
        """Do nothing: it ran already."""

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the statement stands."""
        return self.path, None, self.name


class _Check(pytest.Item):
    """HumanEval's `check(candidate)`, called with the entry point."""

    def __init__(self, check: Any, **named: Any) -> None:
        super().__init__(**named)
        self._check = check

    def runtest(self) -> None:
        """Call it."""
        examination: Examination = self.parent._examination  # type: ignore[union-attr]
        name = examination.job["entry_point"]
        if not name:
            raise TypeError("check(candidate) needs a function: name it with --entry-point NAME")
        self._check(getattr(sys.modules["solution"], name))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the function stands."""
        return self.path, None, self.name
