"""The coder: asks its model for one draft, or for several at once, and takes the code out."""

from collections.abc import Mapping, Sequence
from functools import partial

from langgraph.runtime import Runtime

from opencodeinterpreter.nodes.asking import Answer, all_of, ask_shortening, new_messages
from opencodeinterpreter.nodes.conversation import conversation, droppable
from opencodeinterpreter.nodes.entry_point import entry_point_of
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.records import Draft, Record, Task, Turn
from opencodeinterpreter.nodes.settings import Settings, settings_from
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.nodes.stub import completed
from opencodeinterpreter.tools.code import extract_code
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Model, Position, Request, Role


def coder(models: Mapping[Role, Model]) -> Node:
    """Return the coder node; the settings that it records name the models of all roles."""
    specs = {role: model.spec for role, model in models.items()}
    default = Settings()  # Made here, since it reads files.

    @logged("coder")
    async def run(state: State, runtime: Runtime[Settings]) -> Update:
        record = read(state)
        number = record.turns[-1].number + 1 if record.turns else 1
        settings = _in_force(record, runtime.context, default).model_copy(update={"models": specs})
        if settings.critic == "oracle" and record.task.reference is None:
            raise InputError("the oracle critic needs a reference solution, and the task has none")
        most = droppable(record, before=number)
        already = min(_dropped(record), most)

        def request(sample: int, dropped: int) -> Request:
            return Request(
                messages=conversation(record, settings.prompts, number, dropped),
                sampling=settings.sampled("coder", sample),
                at=Position(turn=number, role="coder", number=sample),
                dropped=dropped,
            )

        answers = await all_of(
            [
                ask_shortening(models["coder"], partial(request, sample), already, most)
                for sample in range(1, settings.drafts + 1)
            ]
        )
        return _made(record, settings, number, answers)

    return run


def _made(record: Record, settings: Settings, number: int, answers: Sequence[Answer]) -> Update:
    turn = Turn(
        number=number,
        task=record.task.number,
        settings=settings.digest,
        drafts=tuple(_draft(record.task, answer) for answer in answers),
    )
    update: Update = {
        "turns": [turn.model_dump(mode="json")],
        "messages": new_messages(record, [answer.conversation for answer in answers]),
    }
    if settings.digest not in record.settings:
        update["settings"] = {settings.digest: settings.model_dump(mode="json")}
    return update


def _dropped(record: Record) -> int:
    """Return how much the last turn had to drop: this turn's conversation is no shorter."""
    last = record.turns[-1].drafts if record.turns else None
    return max((draft.call.dropped for draft in last or () if draft.call), default=0)


def _in_force(record: Record, context: object, default: Settings) -> Settings:
    """Return a new turn's settings: a task keeps those that it began with.

    A task's first turn takes the caller's, else the newest that the record holds, else
    `default`.
    """
    if record.current:
        return Settings.model_validate(record.settings[record.current[-1].settings])
    if (asked := settings_from(context)) is not None:
        return asked
    newest = list(record.settings.values())[-1:]
    return Settings.model_validate(newest[0]) if newest else default


def _draft(task: Task, answer: Answer) -> Draft:
    wanted = task.entry_point or entry_point_of(task.prompt, task.tests)
    extracted = extract_code(answer.text, wanted)
    code = extracted.code
    return Draft(
        message=answer.call.response,
        code=None if code is None else completed(task.prompt, code),
        files=extracted.files,
        call=answer.call,
    )
