"""The judge: decides on a turn by its tests, else by a model, else by how the program ended."""

import re

from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, ValidationError

from opencodeinterpreter.nodes.asking import Answer, ask, new_texts
from opencodeinterpreter.nodes.describe import describe
from opencodeinterpreter.nodes.limits import reached
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.prompts import fill
from opencodeinterpreter.nodes.records import Record, Turn, Verdict
from opencodeinterpreter.nodes.settings import Settings, settings_of
from opencodeinterpreter.nodes.sources import ModelSource
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.protocol import Message, Model, Position, Request
from opencodeinterpreter.tools.models.structured import closing_object
from opencodeinterpreter.tools.validation import first_problem

_SOLVED = re.compile(r"""["']solved\\?["']\s*:\s*["']?(true|false)""", re.IGNORECASE)
"""A statement, also in an object that does not parse."""


class Opinion(BaseModel):
    """A judge model's answer. It is validated: constrained decoding does not ensure valid JSON."""

    # Strict decoding needs a closed schema; an answer with more fields is accepted.
    model_config = ConfigDict(strict=True, json_schema_extra={"additionalProperties": False})

    solved: bool
    reason: str


def judge(models: ModelSource) -> Node:
    """Return the judge node; if there is a judge's model, it is asked about tasks without tests."""

    @logged("judge")
    async def run(state: State, runtime: Runtime[Settings]) -> Update:
        record = read(state)
        turn = record.turns[-1]
        settings = settings_of(record)
        verdict, answers = await _verdict(record, settings, models.of(settings).get("judge"))
        verdict = _within_limits(record, settings, verdict)
        return {
            "turns": [turn.part(verdict=verdict)],
            "texts": new_texts(record, [answer.conversation for answer in answers]),
        }

    return run


async def _verdict(
    record: Record, settings: Settings, model: Model | None
) -> tuple[Verdict, list[Answer]]:
    turn = record.turns[-1]
    if _answered_in_words(record, turn):
        reason = "answered in words; nothing was run"
        return Verdict(decision="solved", decided_by="run", reason=reason), []
    if turn.draft is None or turn.execution is None:
        reason = "the response holds no code"
        return Verdict(decision="revise", decided_by="run", reason=reason), []
    if turn.execution.tests is not None:
        return _by_tests(turn.execution), []
    verdict, answers = _by_run(turn.execution), list[Answer]()
    if model is not None:
        verdict, answers = await _by_model(record, turn, settings, model)
    if settings.critic == "human" and verdict.decision == "solved":
        update = {"decision": "revise", "reason": f"{verdict.reason}; a person decides"}
        verdict = verdict.model_copy(update=update)
    return verdict, answers


def _answered_in_words(record: Record, turn: Turn) -> bool:
    """Return whether a message of a session was answered at once, and not with a program."""
    if not record.task.session or len(record.current) > 1 or turn.execution is not None:
        return False
    call = turn.draft.call if turn.draft else None
    return call is not None and not call.cut


def _by_tests(execution: Execution) -> Verdict:
    tests = execution.tests or ()
    passed = [test for test in tests if test.status == "passed"]
    words = sorted({test.word for test in passed if test.word})
    by = f", {sum(bool(test.word) for test in passed)} by its own {' and '.join(words)}"
    return Verdict(
        decision="solved" if execution.passed else "revise",
        decided_by="tests",
        reason=f"{len(passed)} of {len(tests)} tests passed{by if words else ''}",
    )


def _by_run(execution: Execution) -> Verdict:
    if execution.status == "ok":
        reason = "ran without error; nothing was checked"
        return Verdict(decision="solved", decided_by="run", reason=reason)
    what = execution.error.name if execution.error else execution.reason
    reason = f"ended as {execution.status}" + (f": {what}" if what else "")
    return Verdict(decision="revise", decided_by="run", reason=reason)


async def _by_model(
    record: Record, turn: Turn, settings: Settings, model: Model
) -> tuple[Verdict, list[Answer]]:
    """Ask for an opinion, and once more if the answer is invalid; then it counts as not solved."""
    result = describe(turn.execution)
    question = fill(
        settings.prompts,
        "judge",
        task=record.task.prompt,
        code=turn.code or "",
        result=result,
        # A program cannot contain the digest of itself and its output, so it cannot forge the mark.
        fence=digest([turn.code, result])[:16],
    )
    messages: tuple[Message, ...] = (Message(role="user", content=question),)
    answers: list[Answer] = []
    problem = ""
    for number in (1, 2):
        request = Request(
            messages=messages,
            sampling=settings.sampled("judge", number),
            json_schema=Opinion.model_json_schema(),
            at=Position(turn=turn.number, role="judge", number=number),
        )
        answers.append(await ask(model, request))
        try:
            opinion = _opinion(answers[-1].text)
        except (ValidationError, _UnclearError) as error:
            problem = str(error)
            if isinstance(error, ValidationError):
                problem = first_problem(error).message
            if answers[-1].call.cut:
                problem = "it was cut before its end; be brief"
            messages = answers[-1].then(fill(settings.prompts, "judge_again", problem=problem))
        else:
            return _decided(opinion.solved, opinion.reason, answers), answers
    reason = f"the judge gave no valid answer ({problem}); taken as not solved"
    return _decided(False, reason, answers), answers


def _opinion(answer: str) -> Opinion:
    """Return the opinion that ends an answer; raises ValidationError or _UnclearError."""
    closing = closing_object(answer)
    if closing is None:
        raise _UnclearError("it does not end with an unquoted JSON object that has each field once")
    opinion = Opinion.model_validate(closing.value)
    said = {word.lower() == "true" for word in _SOLVED.findall(closing.before)}
    if said - {opinion.solved}:
        raise _UnclearError("it says both true and false")
    return opinion


class _UnclearError(ValueError):
    """An answer does not end with an opinion, or states two that differ."""


def _decided(solved: bool, reason: str, answers: list[Answer]) -> Verdict:
    return Verdict(
        decision="solved" if solved else "revise",
        decided_by="model",
        reason=reason,
        calls=tuple(answer.call for answer in answers),
    )


def _within_limits(record: Record, settings: Settings, verdict: Verdict) -> Verdict:
    """Return the verdict, with `stopped` instead of `revise` if a limit is reached."""
    if verdict.decision != "revise":
        return verdict
    turn = record.turns[-1].model_copy(update={"verdict": verdict})
    limits = settings.limits
    by_person = settings.critic == "human"
    if by_person or settings.retry_form != "dialogue":
        # A coder that is not shown its draft may write it again by chance, and a better one next;
        # and a person may know what to say.
        limits = limits.model_copy(update={"stuck": False})
    limit = reached((*record.current[:-1], turn), limits)
    if settings.critic == "none":
        limit = limit or "single turn: there is no critic"
    if limit is None:
        return verdict
    reason = f"{verdict.reason}; {limit}"
    if by_person:  # who is asked, and may go on
        return verdict.model_copy(update={"reason": reason})
    return verdict.model_copy(
        update={"decision": "stopped", "decided_by": "limits", "reason": reason}
    )
