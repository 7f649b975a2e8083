"""Options that several verbs share."""

import math
from dataclasses import dataclass
from typing import Annotated

import typer

from opencodeinterpreter.graph.store.usual import default_store
from opencodeinterpreter.tools.sandbox.opening import (
    DEFAULT_SANDBOX,
    SANDBOX_VARIABLE,
    SandboxName,
)


def _positive(seconds: float | None) -> float | None:
    if seconds is not None and not 0 < seconds < math.inf:
        raise typer.BadParameter(f"{seconds} is not a positive number of seconds")
    return seconds


RUN_HELP = "A run's id, its beginning, or latest."
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="OPENCODEINTERPRETER_STORE",
        default_factory=default_store,
        show_default="$XDG_DATA_HOME/opencodeinterpreter/runs.sqlite",
        help="Where runs are kept: an SQLite file or a postgresql:// URL.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
SandboxOption = Annotated[
    SandboxName,
    typer.Option(
        "--sandbox",
        envvar=SANDBOX_VARIABLE,
        help="Where code runs: here with full or with weaker, reduced isolation; or on E2B.",
    ),
]
ConcurrencyOption = Annotated[int, typer.Option(min=1, help="Runs at once.")]
TaskDeadlineOption = Annotated[
    float | None,
    typer.Option(
        callback=_positive, help="Seconds for one task's run; a second start continues it."
    ),
]
SharedStoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Keep the runs in this store, where each `worker` of it works on them too.",
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="auto|local|HOST:PORT", help="Let each node of this Ray cluster work."
    ),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Use the settings of a run that was imported from a trace.")
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a verb carries a run on, and where its result goes."""

    store: StoreOption
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="Write the final code here; into an empty folder, or DIR/, with its files.",
        ),
    ] = None
    sandbox: SandboxOption = DEFAULT_SANDBOX
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            metavar="SECONDS",
            callback=_positive,
            help="Stop after this long; resume later.",
        ),
    ] = None
    as_json: JsonOption = False
