"""Convert a run's claim about its own end into checked fields of an `Execution`."""

from typing import Any

from pydantic import ValidationError

from opencodeinterpreter.tools.execution import ExecutionError, Result

_RESULTS = 100
"""Maximum number of results of one cell."""


def ending(answer: dict[str, Any]) -> dict[str, object] | None:
    """Return the fields of an execution that `answer` claims, or `None` if it is unreadable."""
    if "ok" in answer:
        return {"status": "ok", "exit_code": 0, "results": _results(answer.get("results"))}
    if isinstance(left := answer.get("exit"), int):
        code = left & 0xFF
        return {"status": "ok" if code == 0 else "exited", "exit_code": code}
    if isinstance(told := answer.get("error"), dict):
        fields = {name: _text(told.get(name)) for name in ("name", "value", "traceback")}
        return {"status": "error", "error": ExecutionError(**fields), "exit_code": 1}
    return None


def _results(told: object) -> tuple[Result, ...]:
    found = []
    for result in told[:_RESULTS] if isinstance(told, list) else []:
        try:
            found.append(Result.model_validate(_clean(result)))
        except (ValidationError, RecursionError):
            continue
    return tuple(found)


def _clean(value: Any) -> Any:
    """Return a JSON value without unpaired surrogates, which files and databases refuse."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_text(key): _clean(item) for key, item in value.items()}
    return value


def _text(value: object) -> str:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
