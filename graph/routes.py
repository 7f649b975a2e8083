"""Find a run's next node: a pure function of its record, for fresh runs, branches and replays."""

from typing import Any, Literal

from opencodeinterpreter.nodes.state import State
from opencodeinterpreter.tools.errors import InputError

Next = Literal["coder", "executor", "judge", "critic", "end"]


def next_node(state: State) -> Next:
    """Return the node that makes the first missing part."""
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
    """Return the name of the edge after the coder."""
    return "code" if next_node(state) == "executor" else "no code"


def after_judge(state: State) -> Literal["revise", "solved | stopped"]:
    """Return the name of the edge after the judge: its verdict."""
    verdict = state["turns"][-1].get("verdict")
    if verdict is None:
        raise InputError(
            "the last turn has no verdict; continue an edit of its code as the node that makes it: "
            "update_state(…, as_node='coder')"
        )
    revise = verdict["decision"] == "revise"
    return "revise" if revise else "solved | stopped"


def after_critic(state: State) -> Literal["words", "edited code", "approved | stopped"]:
    """Return the name of the edge after the critic: the kind of its answer."""
    names: dict[Next, Literal["words", "edited code"]] = {
        "coder": "words",
        "executor": "edited code",
    }
    return names.get(next_node(state), "approved | stopped")
