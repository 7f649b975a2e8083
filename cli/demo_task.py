"""The demo's tasks: one TOML file each, with hidden scoring tests that the loop never gets."""

import tomllib
from importlib.resources import as_file, files
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.grading.tests import PythonTests


class DemoTask(BaseModel):
    """One task of the demo."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    """The file, which is also the script of a scripted model."""
    title: str
    prompt: str
    entry_point: str
    tests: str
    scoring: str
    """Tests that the loop never gets."""
    reference: str | None
    """A right solution, if the file has one."""
    critic: bool
    """Whether the script has a critic's replies too."""

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read one file."""
        data = tomllib.loads(path.read_text("utf-8"))
        task = data["task"]
        return cls(
            name=path.stem,
            path=path,
            title=data["title"],
            prompt=task["prompt"].strip("\n"),
            entry_point=task["entry_point"],
            tests=task["tests"].strip("\n"),
            scoring=task["scoring"],
            reference=task.get("reference"),
            critic="critic" in data,
        )

    def input(self) -> TaskInput:
        """Return the task as input of the graph."""
        return {
            "prompt": self.prompt,
            "entry_point": self.entry_point,
            "tests": PythonTests(source=self.tests).model_dump(mode="json"),
        }


def demo_tasks(folder: str) -> list[DemoTask]:
    """Return the tasks of `demo_tasks` (scripted) or `demo_live`, by name."""
    with as_file(files("opencodeinterpreter.cli") / folder) as path:
        return [DemoTask.from_file(file) for file in sorted(path.glob("*.toml"))]
