"""Store verdicts on disk one by one, so that a killed grading run can continue."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from opencodeinterpreter.tools.benchmarks.results import SampleVerdict
from opencodeinterpreter.tools.errors import InputError


class Journal:
    """A file with a line about the run, then one line per verdict.

    The first line says what is graded. A journal of a different run is started again.
    """

    def __init__(self, path: Path, run: Mapping[str, Any], date: str) -> None:
        """`run` holds everything that determines the verdicts; `date` is written to the results."""
        self._path = path
        self._run = dict(run)
        self.date = date
        """When grading began, according to the first line of the journal."""
        self.verdicts: dict[int, SampleVerdict] = {}
        """The verdicts so far, by the index of the sample."""
        self._file: TextIO | None = None

    def open(self) -> None:
        """Read an existing file and open it for writing; raises InputError if that fails."""
        try:
            lines = self._path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            lines = [""]
        # An incomplete last line was being written when the run was killed.
        if self._is_of_this_run(lines[0]):
            self._take(lines[1:-1])
        try:
            self._file = self._path.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror}") from None
        self._line({"run": self._run, "date": self.date})
        for verdict in self.verdicts.values():
            self._line(verdict.model_dump(mode="json"))

    def _is_of_this_run(self, line: str) -> bool:
        try:
            header = json.loads(line)
            self.date = header["date"] if header["run"] == self._run else self.date
        except (ValueError, KeyError, TypeError):
            return False
        return bool(header["run"] == self._run)

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            try:
                verdict = SampleVerdict.model_validate_json(line)
            except ValueError:
                continue
            self.verdicts.setdefault(verdict.number, verdict)

    def add(self, verdict: SampleVerdict) -> None:
        """Write a verdict to the disk."""
        self.verdicts[verdict.number] = verdict
        self._line(verdict.model_dump(mode="json"))

    def _line(self, fields: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(fields) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file and keep it."""
        if self._file:
            self._file.close()

    def remove(self) -> None:
        """Remove the file; called when the results are written."""
        self.close()
        self._path.unlink(missing_ok=True)
