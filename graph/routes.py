"""Where a run goes next: one pure function of its record, for a fresh run, branch or replay."""

from typing import Any, Literal

from opencodeinterpreter.nodes.state import State

Next = Literal["coder", "executor", "judge", "critic", "end"]


def next_node(state: State) -> Next:
    """Return the node whose part is missing next."""
    turns, tasks = state.get("turns") or [], state.get("tasks") or []
    if not turns or turns[-1]["task"] < len(tasks):
        return "coder"
    turn = turns[-1]
    if turn.get("verdict") is not None:
        return _after_verdict(turn)
    if turn.get("executions") is not None:
        return "judge"
    return "executor" if any(draft["code"] is not None for draft in turn["drafts"]) else "judge"


def _after_verdict(turn: dict[str, Any]) -> Next:
    if turn["verdict"]["decision"] != "revise":
        return "end"
    feedback = turn.get("feedback")
    if feedback is None:
        return "critic"
    return "coder" if feedback["action"] == "words" else "end"


def after_coder(state: State) -> Literal["code", "no code"]:
    """Name the edge that leaves the coder."""
    return "code" if next_node(state) == "executor" else "no code"


def after_judge(state: State) -> Literal["solved", "revise", "stopped"]:
    """Name the edge that leaves the judge: its verdict."""
    decision: Literal["solved", "revise", "stopped"] = state["turns"][-1]["verdict"]["decision"]
    return decision


def after_critic(state: State) -> Literal["words", "edited code", "approved | stopped"]:
    """Name the edge that leaves the critic: what was answered."""
    names: dict[Next, Literal["words", "edited code"]] = {
        "coder": "words",
        "executor": "edited code",
    }
    return names.get(next_node(state), "approved | stopped")
