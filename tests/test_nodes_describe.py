"""An execution in words, for the coder, the critic and the judge."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencodeinterpreter.nodes.describe import describe
from opencodeinterpreter.testing import graded, raised, ran
from opencodeinterpreter.tools.execution import Execution, ExecutionError, Logs, TestOutcome

MOST = 20_000
"""Characters that a description may have at most, whatever the code did."""


def test_a_clean_run_shows_its_output() -> None:
    assert describe(ran("4\n")) == "The program's output:\n4\n"


def test_a_silent_run_says_so() -> None:
    assert describe(ran("")) == "the program ran without error and printed nothing."


def test_an_exception_shows_its_traceback_and_what_was_printed() -> None:
    words = describe(raised("ValueError", "bad", logs=Logs(stdout="so far")))
    assert words.startswith("Traceback (most recent call last):")
    assert "ValueError: bad" in words
    assert "so far" in words


def test_an_exception_without_a_traceback_shows_its_name_and_value() -> None:
    error = ExecutionError(name="KeyError", value="'a'", traceback="")
    assert describe(Execution(status="error", error=error)) == "KeyError: 'a'"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": "timeout", "reason": "wall"}, "Execution timed out: the program was still"),
        ({"status": "timeout", "reason": "cpu"}, "Execution timed out: the program used up its"),
        ({"status": "limit", "reason": "memory"}, "more memory than it may"),
        ({"status": "limit", "reason": "output"}, "printed more than it may"),
        ({"status": "crashed", "reason": "SIGSEGV"}, "ended as crashed: SIGSEGV"),
        ({"status": "exited", "exit_code": 3}, "ended as exited (exit status 3)"),
        ({"status": "exited", "exit_code": 0}, "ended as exited (exit status 0)"),
        ({"status": "sandbox_error", "reason": "frame"}, "ended as sandbox_error: frame"),
        ({"status": "ok", "limits_hit": ("disk",)}, "reached its limit: disk"),
    ],
)
def test_each_other_ending_is_named(fields: dict[str, Any], words: str) -> None:
    assert words in describe(Execution(**fields))


def test_an_error_of_which_nothing_is_known_is_not_called_clean() -> None:
    assert "without error" not in describe(Execution(status="error"))


def test_a_response_without_code_is_told_how_to_send_some() -> None:
    words = describe(None)
    assert "no code block" in words
    assert "```python" in words


def test_passed_tests_are_counted_and_output_is_left_out() -> None:
    assert describe(graded(True, True)) == "all 2 tests passed."


def test_failing_tests_are_shown_with_their_messages() -> None:
    assert describe(graded(True, False, message="expected 4\ngot 5")) == (
        "1 of 2 tests did not pass.\n- test 2: failed\n  expected 4\n  got 5"
    )


def test_of_many_failing_tests_some_are_shown_and_the_rest_counted() -> None:
    words = describe(graded(*[False] * 9, message=""))
    assert words.count("- test") == 3
    assert words.endswith("(and 6 more)")


def test_tests_cut_short_by_the_clock_say_both() -> None:
    outcomes = (TestOutcome(name="t", status="timeout"), TestOutcome(name="u", status="not run"))
    words = describe(Execution(status="timeout", reason="wall", tests=outcomes))
    assert "2 of 2 tests did not pass" in words
    assert "- u: not run" in words
    assert "timed out" in words


def test_long_output_is_cut_and_counted() -> None:
    words = describe(ran("x" * 5000))
    assert "(3000 more characters not shown)" in words
    assert len(words) < 2200


LONG = st.text(min_size=1, max_size=30).flatmap(
    lambda text: st.integers(0, 3000).map(lambda times: text * times)
)
OUTCOMES = st.lists(
    st.builds(
        TestOutcome,
        name=LONG,
        status=st.sampled_from(["passed", "failed", "error", "timeout", "not run"]),
        message=LONG,
    ),
    max_size=5,
).map(tuple)
EXECUTIONS = st.builds(
    Execution,
    status=st.sampled_from(["ok", "error", "timeout", "limit", "crashed", "exited"]),
    reason=st.sampled_from(["", "wall", "memory", "SIGKILL"]),
    exit_code=st.none() | st.integers(0, 255),
    logs=st.builds(Logs, stdout=LONG, stderr=LONG, stdout_dropped=st.integers(0, 10**9)),
    error=st.none() | st.builds(ExecutionError, name=LONG, value=LONG, traceback=LONG),
    tests=st.none() | OUTCOMES,
)


@given(EXECUTIONS)
@settings(deadline=None)
def test_no_execution_makes_a_long_description(execution: Execution) -> None:
    words = describe(execution)
    assert words
    assert len(words) <= MOST
