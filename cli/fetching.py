"""Fetch a local model and show its size, licence and progress on stderr."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from opencodeinterpreter.tools.models.backends import parse_spec
from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE, CatalogueModel, shown_bytes
from opencodeinterpreter.tools.models.llama.fetching import fetch_model
from opencodeinterpreter.tools.models.llama.sources import Watch

_LINES = 10
"""How many lines of progress a whole fetch prints if stderr is not a terminal."""


async def fetch_shown(model: CatalogueModel) -> Path:
    """Return the model's file; if it is not in the cache, fetch it and show the progress."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
    if not model.is_cached:
        console.print(
            f"fetching {model.name}: {model.title}, {model.shown_size}, licence {model.licence}, "
            f"to {model.path}"
        )
    with _progress(console, model) as watch:
        return await fetch_model(model, watch)


async def fetch_named(specs: Iterable[str]) -> None:
    """Fetch those local models of `specs` that are not in the cache yet."""
    for spec in map(parse_spec, specs):
        model = CATALOGUE.get(spec.name) if spec.scheme == "local" else None
        if model and not model.is_cached:
            await fetch_shown(model)


@contextmanager
def _progress(console: Console, model: CatalogueModel) -> Iterator[Watch]:
    if not console.is_terminal:
        yield _Lines(console, model.size).watch
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(model.name, total=model.size)
        yield lambda done: progress.update(bar, completed=done)


class _Lines:
    """Progress as plain lines, for logs."""

    def __init__(self, console: Console, size: int) -> None:
        self._console = console
        self._size = size
        self._tenths = 0

    def watch(self, done: int) -> None:
        """Print a line for each tenth of the file."""
        tenths = done * _LINES // self._size
        if tenths > self._tenths:
            self._tenths = tenths
            self._console.print(f"{shown_bytes(done)} of {shown_bytes(self._size)}")
