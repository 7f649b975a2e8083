"""Chat messages as JSON lines, as fine-tuning tools take them."""

from typing import Any

from opencodeinterpreter.traces.exporting.steps import drafted, opening
from opencodeinterpreter.traces.trace import Trace


def chat(trace: Trace) -> dict[str, Any]:
    """Return a run as one conversation of system, user and assistant messages.

    It is what happened, not what the coder was shown: a retry may have left drafts out.
    """
    messages = [{"role": each.role, "content": each.content} for each in opening(trace.record)]
    for each in drafted(trace.record):
        messages.append({"role": "assistant", "content": each.said})
        if each.feedback:
            messages.append({"role": "user", "content": each.feedback})
    outcome = trace.record.outcome
    about = {
        "run": trace.header.run,
        "decision": outcome.decision if outcome else None,
        "decided_by": outcome.decided_by if outcome else None,
    }
    return {"messages": messages, "metadata": about}
