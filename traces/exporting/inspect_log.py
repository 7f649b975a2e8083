"""The JSON log of inspect_ai: an evaluation of one sample."""

from typing import Any

from opencodeinterpreter.nodes.records import Decision, Task, Verdict
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

_VALUES: dict[Decision, str] = {"solved": "C", "revise": "N", "stopped": "I"}
"""Correct, no answer yet, incorrect."""


def inspect_log(trace: Trace) -> dict[str, Any]:
    """Return a run as a log of version 2; a run that is not finished has the status `started`."""
    record, header = trace.record, trace.header
    outcome, model = record.outcome, coder_of(record) or "none"
    usage = summed([call.usage for turn in record.turns for call in turn.calls()])
    done = outcome is not None and outcome.decision != "revise"
    return {
        "version": 2,
        "status": "error" if header.failure else "success" if done else "started",
        "eval": {
            "eval_id": header.run,
            "run_id": header.run,
            "task_id": header.run,
            "task": "opencodeinterpreter",
            "created": header.created,
            "model": model,
            "dataset": {"name": "run", "samples": 1, "sample_ids": [header.run]},
            "config": {"epochs": 1},
            "packages": {"opencodeinterpreter": package_version(record)},
        },
        "plan": {"name": "plan", "steps": [{"solver": "opencodeinterpreter", "params": {}}]},
        "stats": {
            "started_at": header.created,
            "completed_at": "",
            "model_usage": {model: _usage(usage)} if usage else {},
        },
        "results": {
            "total_samples": 1,
            "completed_samples": int(done),
            "scores": [_metric(outcome)] if outcome else [],
        },
        "samples": [_sample(trace, model, usage)],
    }


def _sample(trace: Trace, model: str, usage: Usage | None) -> dict[str, Any]:
    record, outcome = trace.record, trace.record.outcome
    messages = [{"role": each.role, "content": each.content} for each in opening(record)]
    for each in drafted(record):
        messages += _messages(each)
    return {
        "id": trace.header.run,
        "epoch": 1,
        "input": record.task.prompt,
        "target": _target(record.task),
        "messages": messages,
        "output": {"model": model, "completion": record.code or "", "choices": []},
        "scores": {"verdict": _score(outcome, record.code)} if outcome else {},
        "metadata": {"parent": trace.header.parent, "parent_turn": trace.header.parent_turn},
        "model_usage": {model: _usage(usage)} if usage else {},
    }


def _target(task: Task) -> str:
    return task.reference or ""


def _messages(each: Drafted) -> list[dict[str, Any]]:
    at = f"turn-{each.turn.number}"
    ran = each.draft.code is not None and each.turn.execution is not None
    thinking = each.draft.call.thinking if each.draft.call else ""
    content: Any = each.said
    if thinking:
        content = [
            {"type": "reasoning", "reasoning": thinking},
            {"type": "text", "text": each.said},
        ]
    answer: dict[str, Any] = {"role": "assistant", "content": content, "source": "generate"}
    made = [answer]
    if ran:
        arguments = {"code": each.draft.code}
        answer["tool_calls"] = [
            {"id": at, "function": TOOL, "arguments": arguments, "type": "function"}
        ]
        made.append({"role": "tool", "content": each.result, "tool_call_id": at, "function": TOOL})
    if each.feedback:
        made.append({"role": "user", "content": each.feedback})
    return made


def _score(outcome: Verdict, code: str | None) -> dict[str, Any]:
    return {
        "value": _VALUES[outcome.decision],
        "answer": code,
        "explanation": outcome.reason,
        "metadata": {"decision": outcome.decision, "decided_by": outcome.decided_by},
    }


def _metric(outcome: Verdict) -> dict[str, Any]:
    value = float(outcome.decision == "solved")
    metrics = {"accuracy": {"name": "accuracy", "value": value}}
    return {"name": "verdict", "scorer": "opencodeinterpreter", "metrics": metrics}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_tokens_cache_read": usage.cached_tokens,
        "total_cost": usage.cost,
    }
