"""A trace file that grows while its run goes on: each node's part is on disk before the next."""

import json
import os
from pathlib import Path
from typing import IO, Any

from opencodeinterpreter.graph.runs import Run
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.tools.errors import InputError, OutputError
from opencodeinterpreter.traces.trace import (
    Header,
    line_of,
    record_lines,
    route_of,
    seal,
    turn_lines,
)


class GrowingTrace:
    """Appends to a new file, and flushes it to the disk, what a run's record has gained."""

    def __init__(self, path: Path, run: Run) -> None:
        """Begin the file with the run as it stands.

        Raises InputError if the file exists or cannot be written.
        """
        try:
            self._file: IO[str] = path.open("x", encoding="utf-8")
        except FileExistsError:
            raise InputError(f"cannot write {path}: it exists; name a new file") from None
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from None
        self._path = path
        self._rest: list[str] = []
        self._held: set[str] = set()
        self._turns: dict[int, str] = {}
        row = run.row
        header = Header(
            run=row.id,
            parent=row.parent,
            parent_turn=row.parent_turn,
            created=row.created,
            growing=True,
        )
        self._append([line_of(header)])
        self.add(run.record)

    def add(self, record: Record) -> None:
        """Append what the record has beyond what was written; raises OutputError."""
        new = [line for line in record_lines(record) if line not in self._held]
        self._held.update(new)
        self._rest += new
        routes = tuple(map(route_of, record.turns))
        turns = zip(record.turns, turn_lines(record, routes), strict=True)
        told = [(turn.number, line) for turn, line in turns]
        # An older turn gains nothing any more once the next one has begun.
        later = [(number, line) for number, line in told if self._turns.get(number) != line]
        self._turns.update(later)
        self._append([*new, *(line for _, line in later)])

    def end(self) -> None:
        """Append the end line, after which a change is seen; raises OutputError."""
        lines = [*self._rest, *(self._turns[number] for number in sorted(self._turns))]
        values: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self._append([line_of(seal(values))])

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _append(self, lines: list[str]) -> None:
        if not lines:
            return
        try:
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error
