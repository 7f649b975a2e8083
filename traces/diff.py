"""Compare two runs turn by turn: the first turn that differs, and all differences after it."""

import difflib
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from opencodeinterpreter.nodes.limits import seconds, tokens
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.frozen import Frozen


class Change(Frozen):
    """A value on both sides; `None` if a side has none."""

    before: str | None
    after: str | None


class TurnDiff(Frozen):
    """The differences of one turn; equal fields are empty or `None`."""

    number: int
    """Its number in the first run; in the second if only that has it."""
    only: str = ""
    """`first` or `second` if only that run has the turn."""
    code: tuple[str, ...] = ()
    """A unified diff of the chosen drafts, without its header."""
    output: Change | None = None
    tests: dict[str, Change] = {}
    """Statuses of the tests that changed, by name."""
    verdict: Change | None = None
    feedback: Change | None = None
    tokens: tuple[int, int] = (0, 0)
    seconds: tuple[float, float] = (0.0, 0.0)

    @property
    def same(self) -> bool:
        """Whether nothing differs but perhaps tokens and seconds."""
        return not (self.only or self.code or self.tests) and (
            self.output is self.verdict is self.feedback is None
        )


class Diff(Frozen):
    """How two runs differ."""

    task: tuple[str, ...] = ()
    """A unified diff of their tasks; empty if they are equal."""
    settings: dict[str, Change] = {}
    """Settings (also prompts, versions) that differ in the first different turn, by dotted name."""
    stem: int
    """How many turns from the start are equal."""
    turns: tuple[TurnDiff, ...] = ()
    """The turns after these."""

    @property
    def empty(self) -> bool:
        """Whether the runs are equal in everything that is compared."""
        return not (self.task or self.settings or self.turns)


def diff(first: Record, second: Record) -> Diff:
    """Compare two runs. Turns are equal if their drafts, outcomes, verdicts and feedback are."""
    stem = 0
    for one, other in zip(first.turns, second.turns, strict=False):
        if _essence(first, one) != _essence(second, other):
            break
        stem += 1
    return Diff(
        task=_unified(*("\n\n".join(task.prompt for task in run.tasks) for run in (first, second))),
        settings=_settings(first, second, stem),
        stem=stem,
        turns=tuple(
            _turn(first, second, one, other)
            for one, other in _pairs(first.turns[stem:], second.turns[stem:])
        ),
    )


def _pairs(
    first: Sequence[Turn], second: Sequence[Turn]
) -> Iterator[tuple[Turn | None, Turn | None]]:
    """Pair the turns of each task in order."""
    both = (first, second)
    for task in sorted({turn.task for run in both for turn in run}):
        yield from zip_longest(*([turn for turn in run if turn.task == task] for run in both))


def _essence(record: Record, turn: Turn) -> tuple[object, ...]:
    return (
        [draft.code for draft in turn.drafts or ()],
        turn.chosen,
        _output(turn.execution),
        _statuses(turn.execution),
        _verdict(turn),
        _words(record, turn),
    )


def _turn(first: Record, second: Record, one: Turn | None, other: Turn | None) -> TurnDiff:
    before, after = (_statuses(turn.execution) if turn else {} for turn in (one, other))
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return TurnDiff(
        number=next(turn.number for turn in (one, other) if turn),
        only="second" if one is None else "first" if other is None else "",
        code=_unified(*((turn.code or "") if turn else "" for turn in (one, other))),
        output=_change(*(_output(turn.execution) if turn else None for turn in (one, other))),
        tests={name: Change(before=before.get(name), after=after.get(name)) for name in names},
        verdict=_change(*(_verdict(turn) if turn else None for turn in (one, other))),
        feedback=_change(
            _words(first, one) if one else None, _words(second, other) if other else None
        ),
        tokens=(tokens([one] if one else []), tokens([other] if other else [])),
        seconds=(seconds([one] if one else []), seconds([other] if other else [])),
    )


def _change(before: str | None, after: str | None) -> Change | None:
    return None if before == after else Change(before=before, after=after)


def _unified(before: str, after: str) -> tuple[str, ...]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return tuple(lines)[2:]


def _output(run: Execution | None) -> str | None:
    """Return a program's output and how it ended, without its tests."""
    if run is None:
        return None
    error = f"{run.error.name}: {run.error.value}" if run.error else run.reason
    parts = (run.logs.stdout, run.logs.stderr, "" if run.status == "ok" else run.status, error)
    return "\n".join(part.rstrip() for part in parts if part.strip())


def _statuses(run: Execution | None) -> dict[str, str]:
    """Return the tests' statuses by name; names that occur twice are numbered."""
    found: dict[str, str] = {}
    for test in (run.tests if run else None) or ():
        name, number = test.name, 1
        while name in found:
            number += 1
            name = f"{test.name} ({number})"
        found[name] = test.status
    return found


def _verdict(turn: Turn) -> str | None:
    made = turn.outcome
    return f"{made.decision} by {made.decided_by}: {made.reason}" if made else None


def _words(record: Record, turn: Turn) -> str | None:
    if turn.feedback is None:
        return None
    message = turn.feedback.message
    return record.text(message) if message else turn.feedback.action


def _settings(first: Record, second: Record, stem: int) -> dict[str, Change]:
    """Return which settings differ in the first turn after the stem."""
    before, after = (dict(flat(_settings_at(run, stem))) for run in (first, second))
    return {
        name: Change(before=before.get(name), after=after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def _settings_at(record: Record, stem: int) -> dict[str, object]:
    if len(record.turns) > stem:
        return record.settings[record.turns[stem].settings]
    return next(reversed(record.settings.values()), {})


def flat(values: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested values one by one, each under its dotted name."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, str(values)
