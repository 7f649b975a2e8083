"""ATIF 1.7, the Agent Trajectory Interchange Format that Harbor and its readers take."""

from typing import Any

from opencodeinterpreter.tools.models.protocol import Usage, summed
from opencodeinterpreter.traces.exporting.steps import (
    TOOL,
    Drafted,
    coder_of,
    drafted,
    opening,
    package_version,
)
from opencodeinterpreter.traces.trace import Trace


def atif(trace: Trace) -> dict[str, Any]:
    """Return a run as a trajectory: a step for each message, the execution as a tool's result.

    A branch's stem is marked as copied context.
    """
    record, header = trace.record, trace.header
    steps: list[dict[str, Any]] = [
        {"source": "user" if message.role == "user" else "system", "message": message.content}
        for message in opening(record)
    ]
    for each in drafted(record):
        steps.append(_draft_step(each))
        if each.feedback:
            kind = each.turn.feedback.kind if each.turn.feedback else ""
            told = {"source": "user", "message": each.feedback, "extra": {"critic": kind}}
            steps.append(told | ({"is_copied_context": True} if each.given else {}))
    usage = summed([call.usage for turn in record.turns for call in turn.calls()])
    outcome = record.outcome
    return {
        "schema_version": "ATIF-v1.7",
        "session_id": header.run,
        "trajectory_id": header.run,
        "agent": {
            "name": "opencodeinterpreter",
            "version": package_version(record) or "unknown",
            "model_name": coder_of(record),
        },
        "steps": [{"step_id": number, **step} for number, step in enumerate(steps, 1)],
        "final_metrics": {"total_steps": len(steps), **_totals(usage)},
        "extra": {
            "parent": header.parent,
            "parent_turn": header.parent_turn,
            "created": header.created,
            "verdict": outcome.model_dump(mode="json", exclude={"calls"}) if outcome else None,
        },
    }


def _draft_step(each: Drafted) -> dict[str, Any]:
    turn, call = each.turn, each.draft.call
    step: dict[str, Any] = {"source": "agent", "message": each.said}
    step["llm_call_count"] = len(each.calls)
    if call:
        step["model_name"] = call.model
        if call.thinking:
            step["reasoning_content"] = call.thinking
        if each.usage:
            step["metrics"] = _metrics(each.usage)
    if each.draft.code is not None and turn.execution is not None:
        at = f"turn-{turn.number}"
        arguments = {"code": each.draft.code}
        step["tool_calls"] = [{"tool_call_id": at, "function_name": TOOL, "arguments": arguments}]
        step["observation"] = {"results": [{"source_call_id": at, "content": each.result}]}
    if each.given:
        step["is_copied_context"] = True
    verdict = turn.verdict
    told = verdict.model_dump(mode="json", exclude={"calls"}) if verdict else None
    step["extra"] = {"turn": turn.number, "verdict": told}
    return step


def _metrics(usage: Usage) -> dict[str, Any]:
    found = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "cost_usd": usage.cost,
    }
    return {name: value for name, value in found.items() if value is not None}


def _totals(usage: Usage | None) -> dict[str, Any]:
    return {f"total_{name}": value for name, value in _metrics(usage).items()} if usage else {}
