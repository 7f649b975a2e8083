"""The coder: asks its model for one draft, or for several at once, and takes the code out."""

from collections.abc import Mapping

from langgraph.runtime import Runtime

from opencodeinterpreter.nodes.calls import Answer, all_of, ask, new_messages
from opencodeinterpreter.nodes.conversation import conversation
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.records import Draft, Record, Turn
from opencodeinterpreter.nodes.settings import Settings, settings_from
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.tools.code import extract_code
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
        messages = conversation(record, settings.prompts, before=number)
        answers = await all_of(
            [
                ask(
                    models["coder"],
                    Request(
                        messages=messages,
                        sampling=settings.sampled("coder", sample),
                        at=Position(turn=number, role="coder", number=sample),
                    ),
                )
                for sample in range(1, settings.drafts + 1)
            ]
        )
        turn = Turn(
            number=number,
            task=record.task.number,
            settings=settings.digest,
            drafts=tuple(_draft(answer) for answer in answers),
        )
        update: Update = {
            "turns": [turn.model_dump(mode="json")],
            "messages": new_messages(record, [answer.conversation for answer in answers]),
        }
        if settings.digest not in record.settings:
            update["settings"] = {settings.digest: settings.model_dump(mode="json")}
        return update

    return run


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


def _draft(answer: Answer) -> Draft:
    extracted = extract_code(answer.text)
    return Draft(
        message=answer.call.response,
        code=extracted.code,
        files=extracted.files,
        call=answer.call,
    )
