"""Runs in the sandbox, in the examiner: tests written in Python, collected and run by pytest.

Everything that `pytest FILE` runs is run. In addition, each asserting statement at the top level of
the file is a separate test, coroutine functions are awaited, and a `check(candidate)` that the file
does not call (HumanEval's form) is called with the entry point.
"""

import ast
import asyncio
import contextlib
import functools
import inspect
import os
import sys
import tempfile
import threading
import types
from collections.abc import Generator, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import _pytest.assertion.util as pytest_assertions
import pytest
from _pytest.assertion.rewrite import rewrite_asserts
from _pytest.config import default_plugins

from opencodeinterpreter.tools.grading.inside.blank import (
    BlankError,
    BlankImporter,
    BlankModule,
    demand_program,
)
from opencodeinterpreter.tools.grading.inside.cases import shown, told_of
from opencodeinterpreter.tools.grading.inside.emptiness import Sides, demand_values
from opencodeinterpreter.tools.grading.inside.foreign_code import guard
from opencodeinterpreter.tools.grading.inside.link import (
    HarnessError,
    Link,
    OverError,
    TimedOutError,
)
from opencodeinterpreter.tools.grading.inside.never_run import Idle, never_run
from opencodeinterpreter.tools.grading.inside.ran import Marks, Ran
from opencodeinterpreter.tools.grading.inside.reach import (
    asserting_functions,
    bound_names,
    is_case,
    names_of_tests,
)
from opencodeinterpreter.tools.grading.inside.remote import Importer, Remote, RemoteType
from opencodeinterpreter.tools.grading.inside.surroundings import TEMPORARY

for _plugin in default_plugins:
    # Loaded once in the zygote, not by each run.
    import_module(f"_pytest.{_plugin}")

_REWRITING: Any = import_module("_pytest.assertion.rewrite")
"""What pytest's rewritten assertions call."""
_STRICT_WARNINGS = (
    *("-W", "error::pytest.PytestUnhandledThreadExceptionWarning"),
    *("-W", "error::pytest.PytestUnraisableExceptionWarning"),
)
"""Options that make an exception in a thread or a `__del__` of the tests an error."""
_CASE = "@case"
"""The name under which wrapped statements find `_Run`; it is not a valid identifier."""
_NAME = 200
_TEXT = 1900
_WITHOUT = "cacheprovider faulthandler terminal junitxml pastebin doctest stepwise"


def examine(job: dict[str, Any], link: Link) -> list[dict[str, str]]:
    """Run the job's `file` in the work folder; return the outcome of each test.

    The job's `solution` says what the tests import: the candidate in its own process (`apart`), a
    module without content (`blank`), or the candidate in this process (`here`).
    """
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    examination = Examination(job, link)
    if job["solution"] == "here":
        sys.path.insert(0, str(Path.cwd()))
    else:
        blank = job["solution"] == "blank"
        sys.modules["solution"] = BlankModule("solution") if blank else link.module(0)
        sys.meta_path.insert(0, BlankImporter() if blank else Importer(link))
        if blank:
            demand_program()
        guard(link)
        link.watch.start()
        texts = (path.read_text("utf-8", "replace") for path in Path.cwd().glob("*.py"))
        demand_values(texts, strict=job["strict"])
    # The candidate sees only what is below the work folder.
    tempfile.tempdir = str(Path.cwd() / TEMPORARY)
    Path(tempfile.tempdir).mkdir()
    without = [part for name in _WITHOUT.split() for part in ("-p", f"no:{name}")]
    # Only `sys` is captured: the descriptors lead nowhere, and may be a kernel's input.
    options = ("--capture=sys", "--rootdir=.", "--basetemp=.pytest", *_STRICT_WARNINGS)
    arguments = [*without, *options, job["file"]]
    pytest.main(arguments, plugins=[examination])
    return examination.result()


class Told(NamedTuple):
    """The outcome of a test."""

    status: str
    message: str
    word: str = ""
    """The candidate's own operator that made the test pass, if any."""


def outcome(name: str, told: Told, strict: bool = False) -> dict[str, str]:
    """Return a test's outcome in the form that the host reads."""
    status, message, word = told
    if strict and status == "passed" and word:
        status, message = "failed", f"it passes only by the program's own `{word}`"
    return {"name": name, "status": status, "message": message[:_TEXT], "word": word}


class Examination:
    """A pytest plugin that records the outcome of each test."""

    def __init__(self, job: dict[str, Any], link: Link) -> None:
        self.job = job
        self.link = link
        self.runner = asyncio.Runner()
        """Runs tests and fixtures that are coroutines, in one loop."""
        self.task: asyncio.Task[Any] | None = None
        """The task of the last test that was a coroutine."""
        self.outcomes: dict[str, dict[str, str]] = {}
        self.compared: tuple[str, str, str] | None = None
        """Operator and both sides of the last failed comparison."""
        self.tree: ast.Module | None = None
        self.problem: Told | None = None
        """Why the file could not be loaded."""
        self.collected: set[str] = set()
        self.begun: set[str] = set()
        """Node ids of the tests that pytest is to run."""
        self.ran = Ran()
        self.cases: list[tuple[str, Told]] = []
        """Top-level statements that are tests, with their outcomes from loading the file."""

    def result(self) -> list[dict[str, str]]:
        """Return all outcomes, in the order in which the tests ran."""
        # If something ended pytest itself, later tests did not run.
        lost = [outcome(name, Told("not run", "")) for name in self.begun - self.outcomes.keys()]
        found = [*self.outcomes.values(), *lost, *self._uncalled()]
        if self.problem is not None:
            found = self._interrupted(self.problem)
        elif not any(each["status"] != "not run" for each in found):
            message = "no test ran: a test is a function test_*, or an assertion at the top level"
            message = str(self.link.trouble or message)
            found.append({"name": self.job["file"], "status": "error", "message": message})
        # Assertions that never run come first: they may explain why no test ran.
        return [*self._never_run(), *found, *self._did_not_run(found)]

    def _did_not_run(self, found: list[dict[str, str]]) -> list[dict[str, str]]:
        """Return an outcome for each assertion that did not run, if all tests passed."""
        passed = all(each["status"] in ("passed", "skipped") for each in found)
        if not passed or self.job["solution"] != "apart":
            return []
        return self._idle("error", self.ran.lost())

    def _uncalled(self) -> list[dict[str, str]]:
        """Return an outcome for each asserting function that the program got and never called."""
        return [
            outcome(
                f"{self.job['file']}::{name}",
                Told(
                    "error", f"the program was given `{name}`, which asserts, and never called it"
                ),
            )
            for name in self.link.lending.uncalled()
        ]

    def _never_run(self) -> list[dict[str, str]]:
        """Return an outcome for each assertion that can never run."""
        if self.tree is None:
            return []
        collected = None if self.problem is not None else frozenset(self.collected)
        status = "never" if self.job["solution"] == "blank" else "error"
        return self._idle(status, never_run(self.tree, collected))

    def _idle(self, status: str, found: Iterable[Idle]) -> list[dict[str, str]]:
        file = self.job["file"]
        return [
            {"name": f"{file}, line {line}", "status": status, "message": f"this assertion {why}"}
            for line, why in found
        ]

    def _interrupted(self, problem: Told) -> list[dict[str, str]]:
        """Return the outcomes of a file that could not be loaded to its end.

        Tests before the problem keep their outcomes; the first test after it reports the problem.
        """
        file = self.job["file"]
        ran = [outcome(f"{file}::{name}", told, self.job["strict"]) for name, told in self.cases]
        names = [f"{file}::{name}" for name in names_of_tests(self.job["source"])]
        first, *others = names[len(ran) :] or [file]
        not_run = [outcome(name, Told("not run", "")) for name in others]
        return [*ran, outcome(first, problem), *not_run]

    def note(self, key: str, name: str, told: Told) -> None:
        """Record a test's outcome; a failure is never overwritten."""
        before = self.outcomes.get(key, {"status": "passed"})
        if before["status"] in ("passed", "skipped"):
            self.outcomes[key] = outcome(name[:_NAME], told, strict=self.job["strict"])

    # Hooks that pytest calls.

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> Any:
        """Collect the job's file as a `TestsModule`."""
        if module_path.name != self.job["file"]:
            return None
        return TestsModule.from_parent(parent, path=module_path, examination=self)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: object) -> list[Any] | None:
        """Collect nothing that is the candidate's: its own tests prove nothing."""
        if self._is_imported(name, obj):
            return []
        if not _is_of_program(obj):
            return None
        if name.lower().startswith("test") and self.tree and name in bound_names(self.tree):
            self._note_as_programs(f"{collector.nodeid}::{name}", name)
        return []

    def _is_imported(self, name: str, obj: object) -> bool:
        """Return whether an object is the program's own, in one process with the tests."""
        if self.job["solution"] != "here" or getattr(obj, "__module__", None) != "solution":
            return False
        return self.tree is not None and name not in bound_names(self.tree)

    def _note_as_programs(self, where: str, name: str) -> None:
        what = f"`{name}` is an object of the program, so that it cannot be run as a test"
        self.note(where, where, Told("error", f"{what}; is its decorator the program's?"))

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Record which tests were collected, as `TestIt.test_it`."""
        for item in items:
            if not isinstance(item, _Case):
                self.begun.add(item.nodeid)
            if _is_of_program(getattr(item, "obj", None)):
                # One of `unittest`, which is not collected by the method above.
                self._note_as_programs(item.nodeid, item.name)
            parts = [part for part in item.listchain() if isinstance(part, _NAMED)]
            self.collected.add(".".join(part.name.partition("[")[0] for part in parts))

    def pytest_collectreport(self, report: Any) -> None:
        """Record a file that could not be collected."""
        if report.failed and self.problem is None:
            self.problem = Told("error", str(report.longrepr))

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> object:
        """Run a test that is a coroutine function."""
        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        names = pyfuncitem._fixtureinfo.argnames
        arguments = {name: pyfuncitem.funcargs[name] for name in names}
        self.runner.run(self._awaited(pyfuncitem.obj(**arguments)))
        return True

    async def _awaited(self, test: Any) -> None:
        self.task = asyncio.current_task()
        await test

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        """Await a fixture that is a coroutine or an asynchronous generator."""
        function = fixturedef.func
        if inspect.iscoroutinefunction(function):
            fixturedef.func = lambda *given, **named: self.runner.run(function(*given, **named))
        elif inspect.isasyncgenfunction(function):
            fixturedef.func = self._read_to_its_end(function)
        try:
            return (yield)
        except HarnessError as error:
            # pytest records only ordinary exceptions, and would consider the fixture unfinished.
            key = fixturedef.cache_key(request)
            fixturedef.cached_result = (None, key, (error, error.__traceback__))
            raise
        finally:
            fixturedef.func = function

    def _read_to_its_end(self, function: Any) -> Any:
        """Return a generator function for an asynchronous one, which yields once."""

        def fixture(*given: Any, **named: Any) -> Iterator[Any]:
            values = function(*given, **named)
            yield self.runner.run(_next_of(values))
            with contextlib.suppress(StopAsyncIteration):
                self.runner.run(_next_of(values))

        return fixture

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> Generator[None, Any, Any]:
        """Begin a test, and end it."""
        self.link.begin_test()
        self.link.followed = nextitem is not None
        self.compared = None
        self.ran.begin()
        try:
            return (yield)
        finally:
            if self.outcomes.get(item.nodeid, {}).get("status") == "passed":
                self.ran.passed()
            self.link.end_test()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: Any) -> Iterator[None]:
        """Record comparisons that fail, and assertions that fail in other threads."""
        with self.comparisons(), self._assertions_elsewhere():
            yield

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
        """Record the outcome of a phase of a test."""
        report = yield
        if isinstance(item, _Case):
            self.note(f"{item.nodeid} {item.number}", item.nodeid, item.told)
        elif report.failed or report.skipped or call.when == "call" or self.link.troubled:
            self.note(item.nodeid, item.nodeid, self._phase(report, call))
        return report

    def _phase(self, report: Any, call: Any) -> Told:
        if self.link.trouble is not None:
            return self.troubled(self.link.trouble)
        if self.link.failure is not None:
            return self.told(self.link.failure)
        if report.skipped:
            expected = getattr(report, "wasxfail", None)
            why = report.longrepr[-1] if isinstance(report.longrepr, tuple) else ""
            if "got empty parameter set" in why and self.job["solution"] != "blank":
                return Told("error", "the program gives no parameters, so that this never runs")
            return Told("skipped", why if expected is None else f"fails as expected: {expected}")
        if report.failed and call.excinfo is not None:
            return self.told(call.excinfo.value)
        if report.failed:
            return Told("failed", str(report.longrepr))
        return Told("passed", "", self.link.own_word)

    # How exceptions become outcomes.

    @contextlib.contextmanager
    def comparisons(self) -> Iterator[None]:
        """Record failed comparisons, as pytest's assertions report them."""
        before, pytest_assertions._reprcompare = pytest_assertions._reprcompare, self._compared
        try:
            yield
        finally:
            pytest_assertions._reprcompare = before

    @contextlib.contextmanager
    def _assertions_elsewhere(self) -> Iterator[None]:
        """Record assertions that fail in another thread or task, which may hide them."""
        thread, explain = threading.get_ident(), _REWRITING._format_explanation

        def noted(explanation: str) -> str:
            said: str = explain(explanation)
            if threading.get_ident() != thread or _present_task() not in (None, self.task):
                self.link.failure = self.link.failure or AssertionError(said)
            return said

        _REWRITING._format_explanation = noted
        try:
            yield
        finally:
            _REWRITING._format_explanation = explain

    def _compared(self, operator: str, left: Any, right: Any) -> str:
        self.compared = operator, shown(left), shown(right)
        said = f"{self.compared[1]} {operator} {self.compared[2]}"
        # pytest fills this with `%` and gives lines that begin with a brace a meaning.
        return said.replace("%", "%%").replace("\n", "\\n")

    def troubled(self, trouble: HarnessError) -> Told:
        """Return the outcome of a test that ended in a harness error."""
        if isinstance(trouble, BlankError):
            return Told("blank", "")
        if isinstance(trouble, OverError):
            return Told("not run", "")
        return Told("timeout" if isinstance(trouble, TimedOutError) else "error", str(trouble))

    def told(self, error: BaseException) -> Told:
        """Return the outcome of a test that ended in an exception."""
        trouble = self.link.trouble or _trouble_in(error)
        if trouble is not None:
            return self.troubled(trouble)
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
        told = node.msg is not None or not said.startswith("assert ")
        note = said.partition("\nassert ")[0] if told else ""
        notes = [note] if note else []
        if self.compared and isinstance(test, ast.Compare) and len(test.ops) == 1:
            operator, left, right = self.compared
            if isinstance(test.left, ast.Constant):
                left, right = right, left
            heads = ("Expected: ", "Actual: ") if operator == "==" else ("Right: ", "Left: ")
            sides = [heads[0] + right, heads[1] + left]
            return "\n".join([text, *(sides if operator == "==" else reversed(sides)), *notes])
        # What the marks in the code return is not the user's.
        lines = [part.strip() for part in said.splitlines()]
        why = [line for line in lines if line.startswith("+") and " = @" not in line]
        return "\n".join([text, *why, *notes])

    def _assertion(self, error: BaseException) -> tuple[ast.Assert | None, str]:
        """Return the assertion that raised an error, or else the text of the line that did."""
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


def _is_of_program(test: Any) -> bool:
    """Return whether a test is a function of the candidate, perhaps inside some of Python's own."""
    while not isinstance(test, Remote | RemoteType):
        # By their types: `mock.call` has all attributes, without end.
        if isinstance(test, functools.partial):
            test = test.func
        elif isinstance(test, staticmethod | classmethod | types.MethodType):
            test = test.__func__
        elif isinstance(test, types.FunctionType) and "__wrapped__" in vars(test):
            test = vars(test)["__wrapped__"]
        else:
            return False
    return True


def _trouble_in(error: BaseException) -> HarnessError | None:
    """Return a harness error, or the first one in a group of exceptions."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_trouble_in, error.exceptions)), None)
    return error if isinstance(error, HarnessError) else None


def _present_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


async def _next_of(values: Any) -> Any:
    return await anext(values)


class TestsModule(pytest.Module):
    """The file of tests; its top level runs when it is collected."""

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
        Marks(tree, _CASE).visit(tree)
        sides = Sides(strict=examination.job["strict"])
        sides.mark(tree)
        rewrite_asserts(tree, source.encode("utf-8", "replace"), str(self.path), self.config)
        module = types.ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        module.__dict__[_CASE] = lambda at: _Run(examination, names[at], self._cases)
        module.__dict__.update(examination.ran.names() | sides.names())
        module.__dict__["__source_of_tests__"] = source
        sys.modules[self.path.stem] = module
        code = compile(tree, str(self.path), "exec", dont_inherit=True)
        try:
            with examination.comparisons():
                exec(code, module.__dict__)  # noqa: S102
            failure = examination.link.trouble or examination.link.failure
        except BaseException as error:
            failure = error
        if failure is not None:
            examination.problem = examination.told(failure)
            raise self.CollectError(examination.problem.message) from None
        return module

    def _wrap(self, tree: ast.Module) -> list[str]:
        """Wrap each statement that is a test in a `with` block; return the tests' names."""
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
        self._examination.ran.begin()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        examination, link = self._examination, self._examination.link
        failure = error or link.trouble or link.failure
        told = examination.told(failure) if failure else Told("passed", "", link.own_word)
        self._cases.append((self._name, told))
        if told.status == "passed":
            examination.ran.passed()
        link.end_test()
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
        self._check(getattr(import_module("solution"), name))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the function stands."""
        return self.path, None, self.name


_NAMED = (pytest.Class, pytest.Function, _Check)
"""The kinds of pytest's nodes that have a name in the file."""
