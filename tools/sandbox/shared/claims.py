"""Convert a run's claim about its own end into checked fields of an `Execution`."""

from typing import Any

from opencodeinterpreter.tools.execution import ExecutionError, Result
from opencodeinterpreter.tools.sandbox.inside.display import plain

_RESULTS = 100
"""Maximum number of results of one cell."""
_TEXT = 16_000
"""Maximum number of characters of an error's message, and of its traceback."""


def ending(answer: dict[str, Any]) -> dict[str, object] | None:
    """Return the fields of an execution that a program's `answer` claims.

    Returns `None` if it is unreadable.
    """
    if "ok" in answer:
        return {"status": "ok", "exit_code": 0}
    if isinstance(left := answer.get("exit"), int):
        code = left & 0xFF
        return {"status": "ok" if code == 0 else "exited", "exit_code": code}
    if isinstance(told := answer.get("error"), dict):
        fields = {name: _text(told.get(name)) for name in ("name", "value", "traceback")}
        return {"status": "error", "error": ExecutionError(**fields), "exit_code": 1}
    return None


def cell_ending(answer: dict[str, Any]) -> dict[str, object] | None:
    """Return what `ending` returns, with the results that a cell has besides."""
    told = ending(answer)
    if told and "ok" in answer:
        told["results"] = _results(answer.get("results"))
    return told


def _results(told: object) -> tuple[Result, ...]:
    found = []
    for result in told[:_RESULTS] if isinstance(told, list) else []:
        try:
            found.append(Result.model_validate(plain(result)))
        except ValueError:
            continue
    return tuple(found)


def _text(value: object) -> str:
    return value[:_TEXT].encode("utf-8", "replace").decode() if isinstance(value, str) else ""
