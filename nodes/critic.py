"""The critic: gives the coder a person's, a simulated user's or the execution's feedback."""

from collections.abc import Sequence
from typing import assert_never

from langgraph.config import get_config
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from opencodeinterpreter.nodes.asking import Answer, ask, new_texts
from opencodeinterpreter.nodes.conversation import conversation
from opencodeinterpreter.nodes.describe import describe_turn
from opencodeinterpreter.nodes.given import given_turn
from opencodeinterpreter.nodes.limits import reached
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.prompts import fill
from opencodeinterpreter.nodes.records import CriticKind, Feedback, Record, Turn
from opencodeinterpreter.nodes.reply_rules import cut, leak, problems
from opencodeinterpreter.nodes.settings import Settings, settings_of
from opencodeinterpreter.nodes.sources import ModelSource
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.tools import person as people
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Message, Model, Position, Request, message_ids

_SAVER = "__pregel_checkpointer"


class InterruptedPerson:
    """The live person: the stored run waits until it is resumed with an answer."""

    async def ask(self, question: people.Question) -> people.PersonAnswer:
        """Interrupt the graph with the question; return the answer that it is resumed with.

        LangGraph refuses an answer that does not fit the schema; another one can then be given.
        Raises InputError if nothing is stored, so that nobody could answer.
        """
        if get_config().get("configurable", {}).get(_SAVER) is None:
            raise InputError(
                "the critic is human, and nobody can be asked: pass a person, or a checkpointer "
                "(a store) with which the run can wait"
            )
        answer = interrupt(question.model_dump(mode="json"), response_schema=people.PersonAnswer)
        return people.PersonAnswer.model_validate(answer)


def critic(models: ModelSource, person: people.Person) -> Node:
    """Return the critic node: a model answers for simulated critics, `person` for human ones.

    The critic's model defaults to the coder's.
    """

    @logged("critic")
    async def run(state: State, runtime: Runtime[Settings]) -> Update:
        record = read(state)
        settings = settings_of(record)
        match settings.critic:
            case "human":
                return await _human(record, settings, person)
            case "execution":
                return feedback_update(record, settings, _result(record, settings), "execution")
            case "simulated" | "oracle":
                found = models.of(settings)
                model = found.get("critic", found["coder"])
                return await _simulated(record, settings, model)
            case "none":
                raise InputError("the run has no critic; name one, as in critic=execution")
            case unknown:
                assert_never(unknown)

    return run


def feedback_update(
    record: Record,
    settings: Settings,
    words: str,
    kind: CriticKind,
    notes: Sequence[str] = (),
    answers: Sequence[Answer] = (),
) -> Update:
    """Return the channel write that gives `words` as feedback on the last turn's draft."""
    said = _with(record, settings, words)
    feedback = Feedback(
        kind=kind,
        message=message_ids(said)[-1],
        notes=tuple(notes),
        calls=tuple(answer.call for answer in answers),
    )
    conversations = [said, *(answer.conversation for answer in answers)]
    return {
        "turns": [record.turns[-1].part(feedback=feedback)],
        "texts": new_texts(record, conversations),
    }


def _edited_update(record: Record, settings: Settings, code: str) -> Update:
    """Return the channel write that makes a person's code the next turn's draft."""
    asked = _with(record, settings, settings.prompts["edited_code"])
    feedback = Feedback(kind="human", action="edit", message=message_ids(asked)[-1])
    last = record.turns[-1]
    blank = Turn(number=last.number + 1, task=last.task, settings=last.settings)
    turn, said = given_turn(blank, asked, code, "a person")
    return {
        "turns": [last.part(feedback=feedback), turn.model_dump(mode="json")],
        "texts": new_texts(record, [said]),
    }


def _last_words(record: Record, settings: Settings, words: str, limit: str) -> Update:
    """Return the write that keeps a person's words, after which a limit allows no other turn."""
    said = _with(record, settings, words)
    feedback = Feedback(kind="human", action="stop", message=message_ids(said)[-1], notes=(limit,))
    return {
        "turns": [record.turns[-1].part(feedback=feedback)],
        "texts": new_texts(record, [said]),
    }


def _with(record: Record, settings: Settings, words: str) -> tuple[Message, ...]:
    so_far = conversation(record, settings.prompts, before=record.turns[-1].number + 1)
    return (*so_far, Message(role="user", content=words))


def _result(record: Record, settings: Settings) -> str:
    result = describe_turn(record.turns[-1])
    return fill(settings.prompts, "execution_result", result=result)


async def _human(record: Record, settings: Settings, person: people.Person) -> Update:
    turn = record.turns[-1]
    question = people.Question(
        turn=turn.number,
        code=turn.code,
        result=describe_turn(turn),
        verdict=turn.verdict.reason if turn.verdict else "",
    )
    answer = await person.ask(question)
    if answer.action == "words":
        limits = settings.limits.model_copy(update={"stuck": False})
        if spent := reached(record.current, limits):
            return _last_words(record, settings, answer.text, spent)
        return feedback_update(record, settings, answer.text, "human")
    if answer.action == "edit":
        return _edited_update(record, settings, answer.text)
    return {"turns": [turn.part(feedback=Feedback(kind="human", action=answer.action))]}


async def _simulated(record: Record, settings: Settings, model: Model) -> Update:
    """Ask the model to answer as the user would.

    A reply that breaks the rules is asked for once more, and then cut. A leak of the reference
    cannot be cut out: after a second leak, the execution's result is the feedback. Otherwise the
    result follows the reply, since a small model seldom names the input that failed.
    """
    turn = record.turns[-1]
    messages = _question(record, settings)
    answers: list[Answer] = []
    notes: list[str] = []
    for number in (1, 2):
        request = Request(
            messages=messages,
            sampling=settings.sampled("critic", number),
            at=Position(turn=turn.number, role="critic", number=number),
        )
        answers.append(await ask(model, request))
        wrong = _wrong(record, settings, answers[-1].text)
        if not wrong:
            break
        notes += [f"reply {number}: {problem}" for problem in wrong]
        again = fill(settings.prompts, "critic_again", problems="; ".join(wrong))
        messages = answers[-1].then(again)
    words, kind = answers[-1].text.strip(), settings.critic
    if wrong:
        words = cut(words)
        notes.append("cut to three sentences without code")
    if not words or _leak(record, settings, words):
        words, kind = _result(record, settings), "execution"
        notes[-1] = "dropped; the execution result was given instead"
    else:
        result = describe_turn(turn)
        words = fill(settings.prompts, "critic_feedback", words=words, result=result)
    return feedback_update(record, settings, words, kind, notes, answers)


def _question(record: Record, settings: Settings) -> tuple[Message, ...]:
    turn, task = record.turns[-1], record.task
    question = fill(
        settings.prompts,
        "critic_question",
        task=task.prompt,
        code=turn.code or "",
        result=describe_turn(turn),
    )
    if settings.critic == "oracle":
        settings.check_task(task)
        question += fill(settings.prompts, "critic_reference", reference=task.reference or "")
    system = settings.prompts[f"critic_{settings.critic}"]
    return (Message(role="system", content=system), Message(role="user", content=question))


def _wrong(record: Record, settings: Settings, reply: str) -> tuple[str, ...]:
    leaked = _leak(record, settings, reply)
    return problems(reply) + ((f"it gives away {leaked!r}",) if leaked else ())


def _leak(record: Record, settings: Settings, reply: str) -> str | None:
    task, code = record.task, record.turns[-1].code
    if settings.critic != "oracle" or task.reference is None:
        return None
    return leak(reply, task.reference, (task.prompt, code or ""))
