"""The `opencodeinterpreter` command: registers the verbs and turns errors into one line."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from opencodeinterpreter.cli.logs import configure_logs
from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.cli.running import OUTSIDE_FAILURE
from opencodeinterpreter.cli.verbs.branch import branch
from opencodeinterpreter.cli.verbs.demo import demo
from opencodeinterpreter.cli.verbs.doctor import doctor
from opencodeinterpreter.cli.verbs.export import export
from opencodeinterpreter.cli.verbs.grade import grade
from opencodeinterpreter.cli.verbs.import_ import import_
from opencodeinterpreter.cli.verbs.models import app as models_app
from opencodeinterpreter.cli.verbs.replay import replay
from opencodeinterpreter.cli.verbs.resume import resume
from opencodeinterpreter.cli.verbs.runs import runs
from opencodeinterpreter.cli.verbs.show import show
from opencodeinterpreter.cli.verbs.solve import solve
from opencodeinterpreter.tools.errors import InputError, OutsideError

WRONG_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
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
        "4 waiting for a person, 5 deadline reached, 130 interrupted."
    ),
)
for verb in (solve, resume, runs, show, replay, branch, export, grade, demo, doctor):
    app.command()(verb)
app.command("import")(import_)
app.add_typer(models_app, name="models")


def _show_version(asked: bool) -> None:
    if asked:
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
    """Set up what all verbs share."""
    configure_logs(log_level, log_json)


def main() -> None:
    """Run the command line; errors of ours become one line on stderr and an exit status."""
    try:
        app()
    except InputError as error:
        _fail(str(error), WRONG_INPUT)
    except OutsideError as error:
        _fail(f"{error.owner}: {error}", OUTSIDE_FAILURE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone: point stdout away, or the interpreter complains when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(message: str, status: int) -> None:
    print(f"opencodeinterpreter: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
