"""The coder: asks its model for one or several drafts, and extracts the code."""

from collections.abc import Sequence
from functools import partial

from langgraph.runtime import Runtime

from opencodeinterpreter.nodes.asking import Answer, ask_shortening, new_texts
from opencodeinterpreter.nodes.conversation import conversation, droppable, retry_form
from opencodeinterpreter.nodes.entry_point import entry_point_of
from opencodeinterpreter.nodes.node import Node, Update, logged
from opencodeinterpreter.nodes.records import Draft, Record, Task, Turn
from opencodeinterpreter.nodes.settings import Settings, settings_named
from opencodeinterpreter.nodes.sources import ModelSource
from opencodeinterpreter.nodes.state import State, read
from opencodeinterpreter.nodes.stub import completed
from opencodeinterpreter.tools.code import extract_code
from opencodeinterpreter.tools.gathering import all_of
from opencodeinterpreter.tools.models.protocol import Position, Request


def coder(models: ModelSource) -> Node:
    """Return the coder node; it records settings that name the models of all roles."""
    default = Settings()  # Reads files, so not in the event loop.

    @logged("coder")
    async def run(state: State, runtime: Runtime[Settings]) -> Update:
        record = read(state)
        number = record.turns[-1].number + 1 if record.turns else 1
        settings = models.settled(settings_in_force(record, runtime.context, default))
        settings.check_task(record.task)
        model = models.of(settings)["coder"]
        at = len(record.current) + 1
        form = retry_form(record, settings)
        most = droppable(record, number, form)
        already = min(_dropped(record), most)

        def request(sample: int, dropped: int) -> Request:
            return Request(
                messages=conversation(record, settings.prompts, number, dropped, form),
                sampling=settings.sampled("coder", sample, at),
                at=Position(turn=number, role="coder", number=sample),
                dropped=dropped,
            )

        answers = await all_of(
            [
                ask_shortening(model, partial(request, sample), already, most)
                for sample in range(1, settings.drafts_of(at) + 1)
            ]
        )
        return _made(record, settings, number, answers)

    return run


def _made(record: Record, settings: Settings, number: int, answers: Sequence[Answer]) -> Update:
    name = settings.digest
    turn = Turn(
        number=number,
        task=record.task.number,
        settings=name,
        drafts=tuple(_draft(record.task, answer) for answer in answers),
    )
    update: Update = {
        "turns": [turn.model_dump(mode="json")],
        "texts": new_texts(record, [answer.conversation for answer in answers]),
    }
    if name not in record.settings:
        update["settings"] = {name: settings.model_dump(mode="json")}
    return update


def _dropped(record: Record) -> int:
    """Return how much the last turn dropped: this turn's conversation is at least as long."""
    last = record.turns[-1].drafts if record.turns else None
    return max((draft.call.dropped for draft in last or () if draft.call), default=0)


def settings_in_force(record: Record, context: object, default: Settings) -> Settings:
    """Return a new turn's settings: those with which its task began.

    A task's first turn uses the caller's, else the newest of the record, else `default`.
    """
    if record.current:
        return settings_named(record, record.current[-1].settings)
    if isinstance(context, Settings):  # A host's own context comes here too.
        return context
    newest = next(reversed(record.settings), None)
    return settings_named(record, newest) if newest is not None else default


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
