"""`rejudge`: judge stored drafts again, with newer tests, another judge, or several times."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.counting import counted
from opencodeinterpreter.cli.files import check_file, write_text
from opencodeinterpreter.cli.options import JsonOption, SandboxOption, StoreOption, TrustOption
from opencodeinterpreter.cli.running import check_settings
from opencodeinterpreter.cli.statuses import NOT_SOLVED
from opencodeinterpreter.cli.traces import TARGET_HELP, load_with_origin
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.tests import Tests, read_tests
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.runner import open_runner
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX
from opencodeinterpreter.traces.rejudging import (
    Case,
    Rejudged,
    drafts_of,
    rejudged,
    settings_at,
    settings_for,
)
from opencodeinterpreter.traces.rejudging import (
    rejudge as judge_again,
)
from opencodeinterpreter.traces.rerun import LiveNode, live_specs
from opencodeinterpreter.traces.trace import Trace

_JUDGE: tuple[LiveNode, ...] = ("judge",)


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """By what drafts are judged."""

    tests: Annotated[
        Path | None, typer.Option(help="Other tests: .py or .jsonl; default: the run's own.")
    ] = None
    judge: Annotated[
        str | None, typer.Option(help="Another judge model; default: the run's own, if any.")
    ] = None
    times: Annotated[int, typer.Option("--times", min=1, help="How often.")] = 1
    sandbox: SandboxOption = DEFAULT_SANDBOX
    trust: TrustOption = False


def rejudge(
    runs: Annotated[list[str], typer.Argument(metavar="RUN|FILE…", help=TARGET_HELP)],
    store: StoreOption,
    options: JudgeOptions,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a JSON line for each draft here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the drafts of stored runs again.

    The drafts run again, with newer tests, another judge, or several times to see how far a judge
    agrees with itself. Nothing stored changes. The exit status is 1 if a decision differs.
    """
    check_file(output)
    tests = read_tests(options.tests) if options.tests else None
    traces = [_load(target, store, options) for target in runs]
    found = [each for trace in traces for each in asyncio.run(_again(trace, tests, options))]
    if not found:
        raise InputError("these runs have no draft with code")
    text = "".join(f"{each.model_dump_json()}\n" for each in found)
    if output is not None:
        write_text(output, text)
    print(text if as_json else printable("\n".join(_lines(found))), end="" if as_json else "\n")
    if any(each.changed for each in found):
        raise typer.Exit(NOT_SOLVED)


def _load(target: str, store: str, options: JudgeOptions) -> Trace:
    trace, here = load_with_origin(store, target)
    for turn, _, _ in drafts_of(trace.record):
        settings = settings_at(trace.record, turn, options.judge)
        check_settings(target, settings, trust=here or options.trust)
    return trace


async def _again(trace: Trace, tests: Tests | None, options: JudgeOptions) -> list[Rejudged]:
    found = []
    async with open_runner(options.sandbox) as runner:
        for turn, _, task in drafts_of(trace.record):
            if tests is not None:
                await runner.check(tests, task.entry_point, task.reference, task.files)
            settings = settings_for(trace.record, turn, options.judge)
            case = Case(trace, turn, tests, settings)
            specs = live_specs(settings, _JUDGE)
            async with open_models(specs, settings.client) as models:
                judge = models.get("judge")
                after = [await judge_again(case, judge, runner) for _ in range(options.times)]
            found.append(rejudged(case, tuple(after)))
    return found


def _lines(found: list[Rejudged]) -> Iterator[str]:
    for each in found:
        before = each.before.decision if each.before else "none"
        counts = ", ".join(f"{decision} {n}" for decision, n in each.counts.items())
        now = counts if len(each.after) > 1 else each.after[0].decision
        by = each.after[-1]
        mark = "*" if each.changed else " "
        why = f"{by.decided_by}: {by.reason}"
        yield f"{mark} {each.run[:8]} turn {each.turn}: {before} -> {now} ({why})"
    ends = Counter(each.changed for each in found)
    yield f"{counted(len(found), 'draft')}: {ends[False]} decided as before, {ends[True]} not"
