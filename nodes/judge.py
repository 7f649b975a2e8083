"""The judge: decides on a turn from its record: tests, else a model named for it, else the run."""

from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, ValidationError

from opencodeinterpreter.nodes.asking import Answer, ask, new_messages
from opencodeinterpreter.nodes.describe import describe
from opencodeinterpreter.nodes.limits import reached
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.prompts import fill
from opencodeinterpreter.nodes.records import Record, Turn, Verdict
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.models.protocol import Message, Model, Position, Request
from opencodeinterpreter.tools.models.structured import objects_in
from opencodeinterpreter.tools.validation import first_problem


class Opinion(BaseModel):
    """What a judge model must answer; checked, since constrained decoding lets bad JSON through."""

    # Strict decoding asks for a closed schema; an answer with more fields is still an answer.
    model_config = ConfigDict(strict=True, json_schema_extra={"additionalProperties": False})

    solved: bool
    reason: str


def judge(model: Model | None) -> Node:
    """Return the judge node; `model` is asked where a task has no tests."""

    @logged("judge")
    async def run(state: State, runtime: Runtime[Settings]) -> Update:
        record = read(state)
        turn = record.turns[-1]
        settings = Settings.model_validate(record.settings[turn.settings])
        verdict, answers = await _verdict(record, settings, model)
        verdict = _within_limits(record, settings, verdict)
        return {
            "turns": [turn.part(verdict=verdict)],
            "messages": new_messages(record, [answer.conversation for answer in answers]),
        }

    return run


async def _verdict(
    record: Record, settings: Settings, model: Model | None
) -> tuple[Verdict, list[Answer]]:
    turn = record.turns[-1]
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


def _by_tests(execution: Execution) -> Verdict:
    tests = execution.tests or ()
    passed = [test for test in tests if test.status == "passed"]
    words = sorted({test.word for test in passed if test.word})
    by = f", {sum(bool(test.word) for test in passed)} by its own {' and '.join(words)}"
    return Verdict(
        decision="solved" if execution.passed else "revise",
        decided_by=execution.tests_by,
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
    """Ask for an opinion, and once more if the answer is none; no opinion means not solved."""
    result = describe(turn.execution)
    question = fill(
        settings.prompts,
        "judge",
        task=record.task.prompt,
        code=turn.code or "",
        result=result,
        # A program cannot hold the digest of itself and its output, so it cannot end the fence.
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
        except (ValidationError, _TornError) as error:
            problem = str(error)
            if isinstance(error, ValidationError):
                problem = first_problem(error).message
            if answers[-1].call.finish in ("length", "context"):
                problem = "it was cut before its end; be brief"
            messages = answers[-1].then(fill(settings.prompts, "judge_again", problem=problem))
        else:
            return _decided(opinion.solved, opinion.reason, answers), answers
    reason = f"the judge gave no valid answer ({problem}); taken as not solved"
    return _decided(False, reason, answers), answers


def _opinion(answer: str) -> Opinion:
    """Return the opinion that an answer states last; raises ValidationError or _TornError."""
    stated = objects_in(answer)
    if not stated:
        return Opinion.model_validate_json(answer)
    opinions = [each for each in stated if isinstance(each.get("solved"), bool)]
    if len({each["solved"] for each in opinions}) > 1:
        raise _TornError("it says both true and false")
    return Opinion.model_validate(opinions[-1] if opinions else stated[-1])


class _TornError(ValueError):
    """An answer states two opinions that differ."""


def _decided(solved: bool, reason: str, answers: list[Answer]) -> Verdict:
    return Verdict(
        decision="solved" if solved else "revise",
        decided_by="model",
        reason=reason,
        calls=tuple(answer.call for answer in answers),
    )


def _within_limits(record: Record, settings: Settings, verdict: Verdict) -> Verdict:
    """Turn a `revise` that nothing may follow into `stopped`."""
    if verdict.decision != "revise":
        return verdict
    turn = record.turns[-1].model_copy(update={"verdict": verdict})
    limit = reached((*record.current[:-1], turn), settings.limits)
    if settings.critic == "none":
        limit = limit or "single turn: there is no critic"
    if limit is None:
        return verdict
    reason = f"{verdict.reason}; {limit}"
    return verdict.model_copy(
        update={"decision": "stopped", "decided_by": "limits", "reason": reason}
    )
