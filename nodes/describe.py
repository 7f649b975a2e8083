"""Describe an execution in words, for the coder, the critic and the judge."""

from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.tools.ending import ending
from opencodeinterpreter.tools.execution import Execution

SHOWN_TESTS = 3
"""How many failing tests are shown; the rest are counted."""
SHOWN_FILES = 10
"""How many files that the program wrote are named."""
SHOWN_OUTPUT = 2000
"""The most characters shown of a stream, of a test's name and of its message."""


def describe_turn(turn: Turn) -> str:
    """Return what the turn's draft gave, and whether its answer was cut before."""
    result = describe(turn.execution)
    call = turn.draft.call if turn.draft else None
    if call is None or not call.cut:
        return result
    return (
        "your answer was cut off at its limit of tokens, so something may be missing; "
        f"give the complete code, and be brief.\n{result}"
    )


def describe(execution: Execution | None) -> str:
    """Return the result of a draft's execution in words; `None` means a draft without code."""
    if execution is None:
        return (
            "no code block was found in the response. "
            "Reply with the complete code in one ```python code block."
        )
    tests = _tests(execution)
    parts = [tests] if tests else []
    if execution.error and not tests:
        error = execution.error
        words = error.traceback.rstrip() or f"{error.name}: {error.value}"
        parts.append(words[-SHOWN_OUTPUT:])
    if execution.status != "ok" and not (execution.status == "error" and parts):
        parts.append(ending(execution))
    parts += [f"The program reached its limit: {limit}." for limit in execution.limits_hit]
    if not tests:
        parts += _streams(execution)
        parts += _value(execution)
    if execution.state_lost:
        parts.append(
            "Some variables of earlier programs may be missing: "
            "not all of them ran without an error when they were run again."
        )
    parts = parts or ["the program ran without error and printed nothing."]
    return "\n".join([*parts, *_written(execution)])


def _written(execution: Execution) -> list[str]:
    """Return the names of the files that the program wrote."""
    named = [f"{each.path} ({each.size:,} bytes)" for each in execution.artifacts]
    if len(named) > SHOWN_FILES:
        named[SHOWN_FILES:] = [f"{len(named) - SHOWN_FILES} more"]
    return [f"The program wrote: {', '.join(named)}."] if named else []


def _tests(execution: Execution) -> str:
    outcomes = execution.tests or ()
    failing = [test for test in outcomes if test.status != "passed"]
    if not outcomes:
        return ""
    if not failing:
        return f"all {len(outcomes)} tests passed."
    lines = [f"{len(failing)} of {len(outcomes)} tests did not pass."]
    for test in failing[:SHOWN_TESTS]:
        lines.append(f"- {test.name[:SHOWN_OUTPUT]}: {test.status}")
        if message := test.message.removeprefix(test.name).strip("\n"):
            lines.append(_indented(message[:SHOWN_OUTPUT]))
    if len(failing) > SHOWN_TESTS:
        lines.append(f"(and {len(failing) - SHOWN_TESTS} more)")
    return "\n".join(lines)


def _streams(execution: Execution) -> list[str]:
    logs, lines = execution.logs, []
    for name, text, dropped in (
        ("output", logs.stdout, logs.stdout_dropped),
        ("error output", logs.stderr, logs.stderr_dropped),
    ):
        if text or dropped:
            cut = max(0, len(text) - SHOWN_OUTPUT) + dropped
            more = f"\n({cut} more characters not shown)" if cut else ""
            lines.append(f"The program's {name}:\n{text[:SHOWN_OUTPUT]}{more}")
    return lines


def _value(execution: Execution) -> list[str]:
    """Return the value of a cell's last line."""
    texts = [each.text for each in execution.results if each.is_main_result and each.text]
    return [f"The value of the last line:\n{text[:SHOWN_OUTPUT]}" for text in texts]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
