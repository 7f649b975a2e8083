"""`rerun`: run a recorded run again with some of its nodes live."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, get_args

import typer

from opencodeinterpreter.cli.options import JsonOption, SandboxOption, StoreOption, TrustOption
from opencodeinterpreter.cli.running import check_settings
from opencodeinterpreter.cli.traces import TARGET_HELP, load_with_origin
from opencodeinterpreter.cli.verbs.diff import lines_of
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.runner import open_runner
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX
from opencodeinterpreter.traces.rerun import LiveNode, Rerun, live_specs, settings_of_rerun
from opencodeinterpreter.traces.rerun import rerun as run_again
from opencodeinterpreter.traces.trace import Trace

DIFFERENT = 1


@dataclass(frozen=True, kw_only=True)
class RerunOptions:
    """What is run again, and which nodes of it live."""

    target: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)]
    store: StoreOption
    live: Annotated[
        str, typer.Option("--live", help="Nodes to run live: coder,executor,judge,critic.")
    ]
    times: Annotated[int, typer.Option("--times", min=1, help="How often.")] = 1
    sandbox: SandboxOption = DEFAULT_SANDBOX
    trust: TrustOption = False


def rerun(options: RerunOptions, as_json: JsonOption = False) -> None:
    """Run a run again with some nodes live, and compare.

    The other nodes answer as recorded. Nothing is stored. The exit status is 1 if a rerun differs.
    """
    nodes = _nodes(options.live)
    trace = _load(options)
    found = asyncio.run(_rerun(trace, nodes, options))
    for each in found:
        if as_json:
            print(each.model_dump_json())
        else:
            print(printable("\n".join(_lines(each))))
    if options.times > 1 and not as_json:
        print(_summary(found))
    if not all(each.diff.empty for each in found):
        raise typer.Exit(DIFFERENT)


async def _rerun(trace: Trace, live: Collection[LiveNode], options: RerunOptions) -> list[Rerun]:
    async with AsyncExitStack() as stack:
        models = {
            name: await stack.enter_async_context(
                open_models(live_specs(settings, live), settings.client)
            )
            for name, settings in settings_of_rerun(trace).items()
        }
        runner = await stack.enter_async_context(open_runner(options.sandbox))
        return [
            await run_again(trace, live, lambda settings: models[settings.digest], runner)
            for _ in range(options.times)
        ]


def _load(options: RerunOptions) -> Trace:
    """Return a trace that may be run again.

    Raises InputError if its settings may be untrusted and are not trusted: a live node of any
    name uses some of them.
    """
    trace, here = load_with_origin(options.store, options.target)
    for settings in settings_of_rerun(trace).values():
        check_settings(options.target, settings, trust=here or options.trust)
    return trace


def _nodes(text: str) -> list[LiveNode]:
    """Return the nodes of a comma-separated list; raises InputError for an unknown one."""
    found: list[LiveNode] = []
    for name in text.split(","):
        node = next((each for each in get_args(LiveNode) if each == name.strip()), None)
        if node is None:
            known = ", ".join(get_args(LiveNode))
            raise InputError(f"--live {text}: there is no node {name.strip()!r}; use {known}")
        found.append(node)
    return found


def _summary(found: Sequence[Rerun]) -> str:
    """Return how often several reruns ended in each way, and how often otherwise than recorded."""
    ends = ", ".join(f"{end} {n}" for end, n in Counter(each.after for each in found).most_common())
    other = sum(each.after != each.before for each in found)
    differing = sum(not each.diff.empty for each in found)
    return f"{len(found)} reruns: {ends}; the outcome changed in {other}, anything in {differing}"


def _lines(found: Rerun) -> Iterator[str]:
    yield f"live: {', '.join(found.live)}; {found.before} -> {found.after}"
    if found.stopped:
        yield f"stopped at {found.stopped}"
    yield from lines_of(found.diff)
