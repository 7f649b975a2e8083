"""What a chat shows of a turn: the program, what it gave, and the pictures that it drew."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax

from opencodeinterpreter.cli.chat.pictures import drawing
from opencodeinterpreter.cli.files import is_safe
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.tools.ending import ending
from opencodeinterpreter.tools.execution import Artifact, Execution
from opencodeinterpreter.tools.printable import printable

_SHOWN = 4000
"""The most characters shown of a stream."""
_PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".gif", ".webp", ".pdf")


class Showing:
    """Prints the turns of a chat to stdout as they are made."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._folder: Path | None = None
        """Where pictures lie that are shown; made when the first one comes."""
        self._drawings: list[str] = []

    def said(self, prompt: str, message: str) -> None:
        """Print a message that was not typed here."""
        self.console.print(printable(f"{prompt}{message}"), style="bold")

    def drafted(self, record: Record, turn: Turn) -> None:
        """Print the program, or the words if the answer holds none."""
        draft = turn.draft
        if draft is None:
            return
        tries = sum(each.number <= turn.number for each in record.current)
        again = f", try {tries}" if tries > 1 else ""
        if draft.code is None:
            self._rule(f"answer{again}")
            words = printable(record.text(draft.message).strip())
            self.console.print(words, soft_wrap=not self.console.is_terminal)
            return
        self._rule(f"program{again}")
        code = printable(draft.code.strip("\n"))
        if self.console.is_terminal:
            shown = Syntax(code, "python", background_color="default", word_wrap=True)
            self.console.print(shown, soft_wrap=False)
        else:
            self.console.print(code)

    def ran(self, record: Record, turn: Turn) -> None:
        """Print what the program printed, how it ended, and the files that it wrote."""
        run = turn.execution
        if run is None:
            return
        self._rule("result")
        for text in result_lines(run):
            self.console.print(printable(text))
        for written in run.artifacts:
            self._written(record, written)

    def judged(self, turn: Turn) -> None:
        """Print a verdict that says more than that the program ran."""
        verdict = turn.verdict
        if verdict and (verdict.decision == "stopped" or verdict.decided_by != "run"):
            self._rule(printable(f"{verdict.decision}: {verdict.reason}"))

    def draw(self) -> None:
        """Draw the pictures of the last message, if this is a terminal that can."""
        drawings, self._drawings = self._drawings, []
        if self.console.is_terminal:
            for picture in filter(None, drawings):
                self.console.file.write(f"{picture}\n")

    def _rule(self, title: str) -> None:
        width = self.console.width
        line = f"── {title} "
        self.console.print(line.ljust(min(width, 80), "─"), style="dim", overflow="fold")

    def _written(self, record: Record, written: Artifact) -> None:
        content = record.artifact(written.sha256) if written.sha256 else None
        about = f"{written.path} ({written.size:,} bytes)"
        if content is None:
            self.console.print(printable(f"{about}: too big to be kept"))
        elif written.path.lower().endswith(_PICTURES) and is_safe(written.path):
            self._drawings.append(drawing(content, os.environ))
            self.console.print(printable(f"{about}: {self._kept(written.path, content)}"))
        else:
            self.console.print(printable(f"{about}: /save writes it"))

    def _kept(self, path: str, content: bytes) -> Path:
        """Write a picture where other programs can open it, and return its path."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="opencodeinterpreter-chat-"))
        whole = self._folder / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(content)
        return whole


def result_lines(run: Execution) -> Iterator[str]:
    """Yield what a person is told of an execution."""
    logs, told = run.logs, False
    for text, dropped in ((logs.stdout, logs.stdout_dropped), (logs.stderr, logs.stderr_dropped)):
        if text or dropped:
            cut = max(0, len(text) - _SHOWN) + dropped
            yield text[:_SHOWN].rstrip("\n") + (f"\n({cut:,} more characters)" if cut else "")
            told = True
    for result in run.results:
        yield (result.text or "")[:_SHOWN]
        told = True
    if run.error:
        yield own_frames(run.error.traceback) or f"{run.error.name}: {run.error.value}"
    elif run.status != "ok":
        yield ending(run)
    elif not told and not run.artifacts:
        yield "(no output)"
    if run.state_lost:
        yield "Some variables may be missing: a program of this chat failed when it ran again."


def own_frames(traceback: str) -> str:
    """Return a traceback without the frames of libraries and without the errors before the last.

    The coder gets the whole; a person looks for the line of the program.
    """
    last = traceback.rstrip().rpartition("\n\n")[2]
    kept: list[str] = []
    own = True
    for line in last.splitlines():
        if line.startswith('  File "'):
            own = line.startswith('  File "<cell ')
        elif not line.startswith("    "):
            own = True
        if own:
            kept.append(line)
    return "\n".join(kept)
