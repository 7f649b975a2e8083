"""An execution in words: what the coder, the critic and the judge are shown of it."""

from opencodeinterpreter.tools.execution import Execution

SHOWN_TESTS = 3
"""Failing tests that are shown; the rest are counted."""
SHOWN_OUTPUT = 2000
"""Characters shown of each stream, of a test's name and of its message."""

_ENDINGS = {
    ("timeout", "wall"): "Execution timed out: the program was still running when its time was up.",
    ("timeout", "cpu"): "Execution timed out: the program used up its processor time.",
    ("limit", "memory"): "The program used more memory than it may.",
    ("limit", "output"): "The program printed more than it may.",
}


def describe(execution: Execution | None) -> str:
    """Return what running a draft gave, bounded in length; `None` for a draft without code."""
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
        parts.append(_ending(execution))
    parts += [f"The program reached its limit: {limit}." for limit in execution.limits_hit]
    if not tests:
        parts += _streams(execution)
    return "\n".join(parts) or "the program ran without error and printed nothing."


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


def _ending(execution: Execution) -> str:
    if words := _ENDINGS.get((execution.status, execution.reason)):
        return words
    code = "" if execution.exit_code is None else f" (exit status {execution.exit_code})"
    reason = f": {execution.reason}" if execution.reason else ""
    return f"The program ended as {execution.status}{reason}{code}."


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


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
