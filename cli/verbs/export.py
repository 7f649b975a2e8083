"""`export`: write a run as a trace file, or in a format of other tools."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from opencodeinterpreter.cli.files import check_file, write_text
from opencodeinterpreter.cli.options import StoreOption
from opencodeinterpreter.cli.traces import TARGET_HELP, load_trace, names_file
from opencodeinterpreter.tools.errors import InputError, OutputError
from opencodeinterpreter.tools.http_url import is_http_url
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces.exporting.atif import atif
from opencodeinterpreter.traces.exporting.chat import chat
from opencodeinterpreter.traces.exporting.inspect_log import inspect_log
from opencodeinterpreter.traces.trace import Trace

Format = Literal["trace", "atif", "inspect", "chat", "otel"]
_FORMATS: Mapping[str, Callable[[Trace], dict[str, Any]]] = {
    "atif": atif,
    "inspect": inspect_log,
    "chat": chat,
}
_PATIENCE = 10.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""In the order in which the exporter looks for them."""
_EXAMPLE = "http://localhost:4318"


def export(
    run: Annotated[str, typer.Argument(metavar="RUN|FILE", help=TARGET_HELP)],
    store: StoreOption,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of to stdout.")
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="trace: our own; atif: Harbor's; inspect: inspect_ai's log; chat: messages, one "
            "line; otel: spans, sent to OTEL_EXPORTER_OTLP_ENDPOINT.",
        ),
    ] = "trace",
) -> None:
    """Write a run's trace as JSON lines, or in another tool's format."""
    check_file(output)
    trace = load_trace(store, run)
    if trace.changed is not None:
        raise InputError(f"{run} was changed after it was written; `replay {run}` shows where")
    if form == "trace" and names_file(run):
        # Written anew, a file that has no end yet would get one, and hide what was changed in it.
        raise InputError(
            f"{run} is a trace file already; copy it, or choose another format for it with "
            "--format atif, inspect, chat or otel"
        )
    if form == "otel":
        return _send(trace, output)
    if form == "trace":
        text = "".join(f"{line}\n" for line in trace.lines())
    else:
        text = f"{json.dumps(_FORMATS[form](trace), ensure_ascii=False)}\n"
    if output is None:
        print(printable(text) if sys.stdout.isatty() else text, end="")
    else:
        write_text(output, text)
    return None


def _send(trace: Trace, output: Path | None) -> None:
    """Send a run's spans to the collector that the environment names; raises InputError."""
    if output is not None:
        raise InputError("--format otel sends to a collector; leave --output out")
    address = _endpoint()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        from opencodeinterpreter.traces.exporting.spans import export_spans
    except ImportError:
        raise InputError(
            "spans need the extra 'otel': pip install 'opencodeinterpreter[otel]'"
        ) from None
    with _heard("opentelemetry") as problems:
        taken = export_spans(trace, OTLPSpanExporter(timeout=_PATIENCE))
    if not taken:
        why = problems[-1] if problems else "it did not say why"
        raise OutputError(f"the collector at {address} did not take the spans: {why}")


def _endpoint() -> str:
    """Return the collector's address; raises InputError if none is set or it is none."""
    name = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    if name is None:
        raise InputError(f"set {_ENDPOINTS[-1]} to the collector's address, such as {_EXAMPLE}")
    address = os.environ[name]
    if not is_http_url(address):
        raise InputError(f"{name} is {address!r}; write an address such as {_EXAMPLE}")
    return address


@contextmanager
def _heard(name: str) -> Iterator[list[str]]:
    """Collect what a library logs as warnings and errors, instead of printing it."""
    messages: list[str] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, handler = logging.getLogger(name), Collecting(logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
