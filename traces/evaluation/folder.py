"""The folder of an evaluation: what is evaluated, all runs, all verdicts, and the results.

evaluation.json         benchmark, protocol, settings, arms
tasks.jsonl             the tasks as the loop gets them
runs.sqlite             all runs, unless a shared store has them
samples/ARM.jsonl       the programs that score, as EvalPlus takes them
samples/ARM.turn1.jsonl those after an earlier turn
verdicts.jsonl          what became of each program
results.json            every number; report.md and report.html are made of it
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from opencodeinterpreter.graph.arms import Arm
from opencodeinterpreter.graph.continuing import check_continues, differs
from opencodeinterpreter.graph.evaluation import Evaluation
from opencodeinterpreter.graph.task_files import read_tasks, task_line
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.validation import first_problem
from opencodeinterpreter.traces.evaluation.audit import Audit

Protocol = Literal["held-out", "paper"]


class Header(Frozen):
    """What is evaluated."""

    format: Literal["opencodeinterpreter evaluation"] = "opencodeinterpreter evaluation"
    version: Literal[1] = 1
    benchmark: str
    """Its name, or that of a user's file."""
    sha256: str
    """Of the benchmark's file, unpacked, in hex."""
    protocol: Protocol
    settings: Settings
    """What all arms share."""
    arms: tuple[Arm, ...]
    unscored: tuple[str, ...] = ()
    """Tasks without scoring tests; they are run so that the samples are complete."""
    canary: str = ""
    """A unique text that was planted in the scoring tests; empty without `--canary`."""
    store: str = ""
    """The URL, without a password, of the shared store that has its runs; empty if the folder has
    them."""


@dataclass(frozen=True)
class Folder:
    """An evaluation's folder."""

    path: Path
    shared: str = ""
    """The URL of the shared store of its runs, as this process was given it."""

    @property
    def store(self) -> str:
        """The URL of the store of its runs; raises InputError if the folder holds no evaluation."""
        return self.shared or self.header().store or str(self.path / "runs.sqlite")

    @property
    def verdicts(self) -> Path:
        """The verdicts on its programs."""
        return self.path / "verdicts.jsonl"

    def samples(self, arm: str, turn: int | None = None) -> Path:
        """The programs of an arm after a turn, by default after its last."""
        name = arm if turn is None else f"{arm}.turn{turn}"
        return self.path / "samples" / f"{name}.jsonl"

    def header(self) -> Header:
        """Read what is evaluated; raises InputError if the folder holds no evaluation."""
        path = self.path / "evaluation.json"
        try:
            return Header.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise InputError(f"{self.path}: no evaluation here (no evaluation.json)") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise InputError(f"{path}: {first_problem(error)}") from None

    def begin(self, asked: Header) -> Header:
        """Return what is evaluated here: as it was begun, with what is asked for beside it.

        The settings are those of the first start, prompts and versions included, so that an
        evaluation can go on after an update. Raises InputError where something else was evaluated.
        """
        held = asked
        if (self.path / "evaluation.json").exists():
            held = self.header()
            _check_same(self.path, held, asked)
            if asked.canary and not held.canary:
                raise InputError(f"{self.path}: it was begun without --canary; leave it out")
            known = {arm.name: arm for arm in held.arms}
            added = (arm for arm in asked.arms if arm.name not in known)
            _check_starts(self.path, known, asked.arms)
            changed = {"arms": (*held.arms, *added), "unscored": asked.unscored}
            held = held.model_copy(update=changed)
        self._write("evaluation.json", held.model_dump_json(indent=1))
        return held

    def tasks(self) -> dict[str, TaskInput]:
        """Return the tasks as the loop gets them; none before the first start."""
        path = self.path / "tasks.jsonl"
        return read_tasks(path) if path.exists() else {}

    def keep_tasks(self, tasks: Mapping[str, TaskInput]) -> None:
        """Write the tasks as the loop gets them."""
        lines = (f"{task_line(name, task)}\n" for name, task in tasks.items())
        self._write("tasks.jsonl", "".join(lines))

    def audit(self) -> Audit:
        """Read what the audit found; an empty one before the first end of `evaluate`."""
        path = self.path / "audit.json"
        return Audit.model_validate_json(path.read_bytes()) if path.exists() else Audit()

    def evaluation(self) -> Evaluation:
        """Return all that is to be run here; raises InputError."""
        header = self.header()
        batch = self.batch(header)
        return Evaluation(header.benchmark, self.tasks(), header.settings, header.arms, batch)

    def batch(self, header: Header) -> str:
        """Return the name of its batch in a shared store; empty if the folder has its runs.

        It is the folder's name, and what tells apart evaluations: the arms can become more.
        """
        if not header.store:
            return ""
        known = header.model_dump(mode="json", exclude={"arms", "unscored", "canary", "store"})
        return f"{self.path.resolve().name}-{digest(known)[:8]}"

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of the folder, whole or not at all; raises InputError."""
        self._write(name, text)
        return self.path / name

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, text.encode())


def _check_starts(path: Path, held: Mapping[str, Arm], asked: Iterable[Arm]) -> None:
    for arm in asked:
        before = held.get(arm.name, arm)
        if before.start != arm.start:
            flag = "without" if arm.start == "alone" else "with"
            raise InputError(f"{path}: {arm.name} was begun {flag} --independent; do the same")


def _check_same(path: Path, held: Header, asked: Header) -> None:
    for name in ("benchmark", "sha256", "protocol", "store"):
        before, now = getattr(held, name), getattr(asked, name)
        if before != now:
            raise differs(path, name, before, now)
    check_continues(path, held.settings, asked.settings)
