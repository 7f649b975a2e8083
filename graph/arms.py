"""Arms of an evaluation: settings that are compared with each other on the same tasks.

A new arm is a row of the table `ARMS`. It holds the arm's changes to the evaluation's settings, as
nested fields of `Settings`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen

Start = Literal["draft", "branch", "anew", "alone"]


class Arm(Frozen):
    """One way to solve a task."""

    name: str
    changes: dict[str, Any]
    """Its changes to the evaluation's settings."""
    start: Start = "branch"
    """How it starts. `draft`: it makes the first draft and ends. `branch`: it continues from a
    failed first draft. `anew`: if the first draft failed, it starts again without seeing it.
    `alone`: it makes a first draft of its own for every task.
    """

    seed: int = Field(default=0, exclude_if=lambda seed: not seed)
    """What it adds to the coder's seed."""

    def settings(self, base: Settings) -> Settings:
        """Return the settings of this arm; raises pydantic's ValidationError for a wrong change."""
        settings = Settings.model_validate(_merged(base.model_dump(mode="json"), self.changes))
        coder = settings.sampling.get("coder")
        if not self.seed or coder is None or coder.seed is None:
            return settings
        reseeded = coder.model_copy(update={"seed": coder.seed + self.seed})
        return settings.model_copy(update={"sampling": {**settings.sampling, "coder": reseeded}})


DIALOGUE = {"form": "dialogue"}
"""The paper's form of a retry."""

DRAFT = Arm(name="none", changes={"critic": "none"}, start="draft")
"""A single turn; every other arm is compared with it."""

RESAMPLE = Arm(
    name="resample",
    changes={
        "critic": "none",
        "drafts": 4,
        "sampling": {"coder": {"temperature": 0.8, "top_p": 0.95, "seed": 1}},
    },
    start="anew",
)
"""Independent samples; the baseline takes as many of them as an arm's budget would buy."""

_TABLE = (
    DRAFT,
    Arm(name="execution", changes={"critic": "execution", "retry": DIALOGUE}),
    Arm(name="simulated", changes={"critic": "simulated", "retry": DIALOGUE}),
    Arm(name="oracle", changes={"critic": "oracle", "retry": DIALOGUE}),
    # The further attempt without its feedback: what of a gain is due to trying again?
    Arm(
        name="notice",
        changes={
            "critic": "execution",
            "retry": DIALOGUE,
            "prompts": {"execution_result": "Your program is not right yet. Try again."},
        },
    ),
    # Other ways to tell the coder of the same execution.
    Arm(name="fresh", changes={"critic": "execution", "retry": {"form": "fresh"}}),
    Arm(name="without_draft", changes={"critic": "execution", "retry": {"form": "without_draft"}}),
    Arm(name="by_error", changes={"critic": "execution", "retry": {"form": "by_error"}}),
    # The same with several drafts, of which the feedback tests choose.
    Arm(
        name="without_draft_x4",
        changes={"critic": "execution", "retry": {"form": "without_draft", "drafts": 4}},
    ),
    Arm(
        name="by_error_x4",
        changes={"critic": "execution", "retry": {"form": "by_error", "drafts": 4}},
    ),
    RESAMPLE,
)
ARMS: Mapping[str, Arm] = {arm.name: arm for arm in _TABLE}


def arms_named(names: Iterable[str]) -> tuple[Arm, ...]:
    """Return the arms of these names, `none` first, since the others continue from its drafts.

    Raises InputError for an unknown name.
    """
    wanted = dict.fromkeys(name.strip() for name in names)
    for name in wanted:
        if name not in ARMS:
            raise InputError(f"unknown setting {name!r}; use some of {', '.join(ARMS)}")
    return (DRAFT, *(ARMS[name] for name in wanted if name != DRAFT.name))


def independent(arms: Iterable[Arm]) -> tuple[Arm, ...]:
    """Return these arms, each with first drafts of its own.

    A coder with a seed gets another seed in each arm, since equal seeds would draw equal drafts.
    """
    return tuple(
        arm if arm == DRAFT else arm.model_copy(update={"start": "alone", "seed": 10_000 * place})
        for place, arm in enumerate(arms)
    )


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, change in changes.items():
        held = merged.get(name)
        if isinstance(held, Mapping) and isinstance(change, Mapping):
            change = _merged(held, change)
        merged[name] = change
    return merged
