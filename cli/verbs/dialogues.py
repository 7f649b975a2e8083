"""`dialogues`: make dialogues for fine-tuning of stored runs or published files."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from opencodeinterpreter.cli.files import STDOUT, check_file, write_text
from opencodeinterpreter.cli.grouping import flattened
from opencodeinterpreter.cli.options import JsonOption, StoreOption
from opencodeinterpreter.cli.traces import load_trace
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces.dialogues.benchmarks import benchmark_texts
from opencodeinterpreter.traces.dialogues.filters import (
    Contamination,
    Filter,
    NearDuplicates,
    Report,
    TooShort,
    check_installed,
    report_of,
    sifted,
)
from opencodeinterpreter.traces.dialogues.format import Dialogue, Dropped, lines
from opencodeinterpreter.traces.dialogues.reading import published
from opencodeinterpreter.traces.dialogues.runs import (
    check_not_evaluated,
    dialogue_of,
    dialogues_of,
)

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)


@app.callback()
def dialogues() -> None:
    """Make fine-tuning dialogues of stored runs or published files."""


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """What stays out of a file of dialogues, and where it goes."""

    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE.jsonl", help="Write here; beside it FILE.report.json."
        ),
    ]
    against: Annotated[
        list[str],
        typer.Option(
            metavar="FILE|NAME",
            help="Leave out what repeats this benchmark: its file of JSON lines (.gz, .xz), or "
            "humaneval, humaneval+, mbpp, mbpp+. Can be given several times.",
        ),
    ] = field(default_factory=list)
    answers: Annotated[int, typer.Option(min=1, help="Fewest answers in a dialogue.")] = 2
    similarity: Annotated[
        float,
        typer.Option(
            min=0.1, max=1.0, help="Leave out what shares this part of its words with another."
        ),
    ] = 0.8
    as_json: JsonOption = False

    @property
    def report(self) -> Path:
        """Where the report goes."""
        return self.output.with_suffix(".report.json")

    def check(self) -> None:
        """Raise InputError if nothing could be written or filtered; called before the work."""
        check_installed()
        if self.output == STDOUT:
            raise InputError("-o -: the dialogues have a report beside them; name a file")
        check_file(self.output)
        check_file(self.report)

    def write(self, packed: Iterable[Dialogue | Dropped]) -> None:
        """Filter, write the file and its report, and say what is in them."""
        texts = {named: benchmark_texts(named) for named in self.against}
        filters: list[Filter] = [
            TooShort(self.answers),
            Contamination(text for every in texts.values() for text in every),
            NearDuplicates(self.similarity),
        ]
        found = sifted(packed, filters)
        tasks = {named: len({text.task for text in every}) for named, every in texts.items()}
        report = report_of(found, tasks)
        write_text(self.output, lines(found.kept))
        write_text(self.report, f"{report.model_dump_json(indent=1)}\n")
        print(
            report.model_dump_json() if self.as_json else printable("\n".join(self._told(report)))
        )

    def _told(self, report: Report) -> Iterator[str]:
        yield f"{report.kept} of {report.read} kept: {self.output}; report: {self.report}"
        for reason, count in report.reasons.items():
            first = next(each for each in report.dropped if each.reason == reason)
            detail = f": {first.detail}" if first.detail else ""
            yield f"{count:6} {reason}, as {first.origin}{detail}"
        if not report.benchmarks:
            yield "no benchmark was looked for; name those that you measure by with --against"


def build(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE…",
            help="A run's id, its beginning, or latest; a trace file; a batch's folder; a store's "
            "file (.sqlite), for all its runs.",
        ),
    ],
    options: FileOptions,
    store: StoreOption,
) -> None:
    """Make dialogues of runs that were solved, with what failed before.

    Drafts that failed and the feedback on them stand in a dialogue as they stood in the run.
    """
    options.check()
    options.write([each for source in sources for each in _packed(store, source)])


def read(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="FILE.jsonl…", help="Files of Code-Feedback, or in its form."),
    ],
    options: FileOptions,
) -> None:
    """Take dialogues from published files, with the same filters.

    Lines have messages, or query and answer; for those, lower --answers to 1.
    """
    options.check()
    options.write([each for source in sources for each in published(source)])


app.command()(flattened(build))
app.command()(flattened(read))


def _packed(store: str, source: str) -> list[Dialogue | Dropped]:
    """Return what a source holds; raises InputError if it is none."""
    path = Path(source)
    if path.is_dir():
        check_not_evaluated(path)
        path = path / "runs.sqlite"
        if not path.exists():
            raise InputError(f"{source}: no batch here (no runs.sqlite)")
    if path.suffix != ".sqlite":
        check_not_evaluated(Path(store).parent)
        return [dialogue_of(load_trace(store, source))]
    check_not_evaluated(path.parent)
    if not path.exists():
        raise InputError(f"{source}: there is no such store")
    return asyncio.run(dialogues_of(str(path)))
