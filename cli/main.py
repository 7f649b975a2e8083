"""The `opencodeinterpreter` command: options of all verbs, and errors as one line."""

import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from opencodeinterpreter.cli.statuses import (
    DEFECT,
    INTERRUPTED,
    OUTSIDE_FAILURE,
    TERMINATED,
    WRONG_INPUT,
)
from opencodeinterpreter.cli.streams import prepare_streams
from opencodeinterpreter.cli.terminating import Terminated
from opencodeinterpreter.cli.verb_group import VerbGroup
from opencodeinterpreter.graph.tracing import tracing_if_asked
from opencodeinterpreter.tools.errors import InputError, OutsideError
from opencodeinterpreter.tools.printable import printable

app = typer.Typer(
    cls=VerbGroup,
    name="opencodeinterpreter",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Write code with a model, run it, judge it and refine it; every run is stored and can be "
        "replayed and branched.\n\n"
        "Exit status: 0 solved, 1 not solved, 2 wrong use or input, 3 an outside failure, "
        "4 waiting for a person, 5 deadline reached, 70 a defect of this program, "
        "130 interrupted, 143 ended by SIGTERM."
    ),
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"opencodeinterpreter {version('opencodeinterpreter')}")
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    log_level: Annotated[
        str, typer.Option(envvar="OPENCODEINTERPRETER_LOG_LEVEL", help="debug, info, warning …")
    ] = "warning",
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Write log lines as JSON objects.")
    ] = False,
) -> None:
    """Set up the log for all verbs."""
    from opencodeinterpreter.cli.logs import configure_logs

    configure_logs(log_level, log_json)


def main() -> None:
    """Run the command line."""
    run(app)


def run(command: Callable[[], object]) -> None:
    """Run a command; its errors become one line on stderr and an exit status.

    An exception of no class of ours is a defect: its traceback is shown.
    """
    prepare_streams()
    try:
        try:
            with tracing_if_asked():
                command()
        finally:
            sys.stdout.flush()
    except InputError as error:
        _fail(str(error), WRONG_INPUT)
    except OutsideError as error:
        _fail(f"{error.owner}: {error}", OUTSIDE_FAILURE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Terminated:
        sys.exit(TERMINATED)
    except Exception:
        traceback.print_exc()
        _fail("this is a defect of the program: please report it with the lines above", DEFECT)


def _fail(message: str, status: int) -> None:
    print(f"opencodeinterpreter: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
