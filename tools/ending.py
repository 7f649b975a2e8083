"""How an execution ended, in words."""

from opencodeinterpreter.tools.execution import Execution

_ENDINGS = {
    ("timeout", "wall"): "Execution timed out: the program was still running when its time was up.",
    ("timeout", "cpu"): "Execution timed out: the program used up its processor time.",
    ("limit", "memory"): "The program used more memory than it may.",
    ("limit", "output"): "The program printed more than it may.",
}


def ending(execution: Execution) -> str:
    """Return a sentence about an execution that did not end with `ok`.

    Prompts contain it, and replays compare them: other words would make recorded runs differ.
    """
    if words := _ENDINGS.get((execution.status, execution.reason)):
        return words
    code = "" if execution.exit_code is None else f" (exit status {execution.exit_code})"
    reason = f": {execution.reason}" if execution.reason else ""
    return f"The program ended as {execution.status}{reason}{code}."
