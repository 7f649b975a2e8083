"""One pupil's way through a recipe: instructions, runs, trainings, measurements."""

import asyncio
import json
import random
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from learn import pupil as pupils
from learn.language import tasks
from learn.people import fenced
from learn.pupil import Pupil
from learn.recipe import RECIPES, Recipe
from learn.runs import Measured, dialogues, measure
from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.runner import open_runner
from opencodeinterpreter.traces.dialogues.format import lines
from opencodeinterpreter.traces.training.folder import Folder
from opencodeinterpreter.traces.training.rows import of_stage, read_dialogues
from opencodeinterpreter.traces.training.running import load
from opencodeinterpreter.traces.training.settings import SftSettings
from opencodeinterpreter.traces.training.sft import sft


class Report(Frozen):
    """What a stage has come to."""

    stage: str
    dialogues: int
    losses: tuple[float, float]
    """That of the first step, and the mean of the last ones."""
    measured: Measured
    seconds: float
    """Processor time of all of it, with what ran in the sandbox."""


def learn(name: str, seed: int, path: Path) -> list[Report]:
    """Take a pupil through the recipe of this name; return a report for each stage."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    return list(_Lesson(RECIPES[name], seed, path).reports())


@dataclass(frozen=True)
class _Lesson:
    recipe: Recipe
    seed: int
    path: Path

    def reports(self) -> Iterator[Report]:
        """Go through the stages; those that have a report already are not repeated."""
        recipe = self.recipe
        words = pupils.tokenizer(recipe.train, recipe.size)
        loaded = (pupils.model(words, recipe.size, self.seed), words)
        stages = [("stage 1", 0, recipe.first)]
        for number, each in enumerate(recipe.rounds, 1):
            stages.append((f"stage 2, round {number}", each.runs, each.settings))
        for number, (title, runs, settings) in enumerate(stages):
            folder = Folder(self.path / f"{number}")
            kept = folder.path / "report.json"
            if not kept.exists():
                report = self._stage(title, runs, settings, loaded, folder)
                write_atomically(kept, report.model_dump_json(indent=1).encode())
            loaded = load(str(folder.model), lora=0)
            yield Report.model_validate_json(kept.read_bytes())

    def _stage(
        self, title: str, runs: int, settings: SftSettings, loaded: tuple[Any, Any], folder: Folder
    ) -> Report:
        began = _processor_seconds()
        data = folder.path / "dialogues.jsonl"
        if not data.exists():
            text = asyncio.run(self._runs(title, runs, loaded)) if runs else self._instructions()
            write_atomically(data, text.encode())
        found = of_stage(read_dialogues(data), settings.stage)
        seeded = settings.model_copy(update={"seed": self.seed})
        if not folder.points():
            sft(loaded, found, seeded, folder)
        trained = load(str(folder.model), lora=0)
        losses = folder.points()
        return Report(
            stage=title,
            dialogues=len(found),
            losses=(losses[0].value, losses[-1].value),
            measured=asyncio.run(self._measured(trained)),
            seconds=_processor_seconds() - began,
        )

    def _instructions(self) -> str:
        """Return tasks with their references, as the paper's single instructions are written."""
        chosen = islice(tasks(self.recipe.train, f"single {self.seed}"), self.recipe.single)
        rows = ({"query": task.prompt, "answer": fenced(task.code)} for task in chosen)
        return "".join(f"{json.dumps(row)}\n" for row in rows)

    async def _runs(self, title: str, runs: int, loaded: tuple[Any, Any]) -> str:
        """Return runs of the pupil and its teacher as dialogues."""
        rng = random.Random(f"{title} {self.seed}")
        arms = rng.choices(list(self.recipe.arms), list(self.recipe.arms.values()), k=runs)
        chosen = tasks(self.recipe.open, f"{title} {self.seed}")
        async with open_runner("full") as runner:
            return lines(await dialogues(Pupil(loaded), runner, zip(chosen, arms, strict=False)))

    async def _measured(self, loaded: tuple[Any, Any]) -> Measured:
        chosen = list(islice(tasks(self.recipe.test, f"{self.seed}"), self.recipe.measured))
        async with open_runner("full") as runner:
            return await measure(Pupil(loaded), runner, chosen)


def _processor_seconds() -> float:
    spent = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in spent)
