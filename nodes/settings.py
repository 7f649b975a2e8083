"""Settings: everything except the task that determines a run; they are part of its record."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from opencodeinterpreter.nodes.prompts import OLDER, check_prompts, installed_prompts
from opencodeinterpreter.nodes.records import CriticKind, Record, Task
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Role, Sampling

DEFAULT_MODEL = "local:qwen2.5-coder-0.5b"
"""The smallest model of the catalogue that solves at least half of HumanEval in one turn; see
docs/evaluation.md."""
_MOST_DRAFTS = 64
_SPREAD = Sampling(temperature=0.8, top_p=0.95, seed=0)
_RECORDED_PACKAGES = ("opencodeinterpreter", "langgraph", "langchain-core", "pydantic")


@cache
def _versions() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for package in _RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


class Limits(Frozen):
    """When a task's run stops unsolved. `None` means no limit; only the task's own turns count.

    All integers of the settings must fit the 64 bits that a store can hold.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    turns: int = Field(default=5, ge=1, lt=2**63)
    """Most turns."""
    calls: int | None = Field(default=None, ge=1, lt=2**63)
    """Most model calls."""
    tokens: int | None = Field(default=None, ge=1, lt=2**63)
    """Input and output tokens of all calls whose usage is known."""
    cost: float | None = Field(default=None, gt=0)
    """Money, in the unit of the prices; calls of unknown price are not counted."""
    seconds: float | None = Field(default=None, gt=0)
    """Active seconds: recorded model and runner time, not time spent waiting."""
    stuck: bool = True
    """Stop when the same program has the same outcome for the second time."""


RetryForm = Literal["dialogue", "by_error", "without_draft", "fresh"]


class Retry(Frozen):
    """How the coder is asked again for a task that its last draft did not solve.

    A small model asked in a dialogue mostly repeats its draft, so the other forms leave the draft
    out. A person's words always come in a dialogue, since they speak of the draft.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    form: RetryForm | None = None
    """`None`: `without_draft` for a `local:` coder with the critic `execution`, else `dialogue`.
    `dialogue`: every draft and its feedback follow the task, as in the paper (section 4).
    `fresh`: the task alone, as for the first draft. `without_draft`: the task and the last
    feedback. `by_error`: after an error in the program, the task, the draft and its feedback;
    after a wrong answer as in `fresh`.
    """
    drafts: int | None = Field(default=None, ge=1, le=_MOST_DRAFTS)
    """How many drafts to sample in a later turn; `None`: as many as in the first."""
    temperature: float = Field(default=0.8, gt=0)
    """For a greedy coder whose drafts are left out or that samples several: greedy drafts would
    all be the same."""


_DIALOGUE = Retry(form="dialogue")
"""What settings mean that were recorded before retries had forms."""


class Settings(Frozen):
    """How to run: models, sampling, drafts, critic, limits and prompts."""

    models: dict[Role, str] = Field(
        default={"coder": DEFAULT_MODEL},
        title="Models",
        description="One spec per role. The critic's default is the coder's, the judge's is none.",
        json_schema_extra={"langgraph_nodes": ["coder", "judge", "critic"]},
    )
    sampling: dict[Role, Sampling] = Field(
        default={}, title="Sampling", description="How answers are drawn, by role."
    )
    drafts: int = Field(
        default=1,
        ge=1,
        le=_MOST_DRAFTS,
        title="Drafts",
        description="How many drafts to sample in one turn; the best one is kept.",
        json_schema_extra={"langgraph_nodes": ["coder", "executor"]},
    )
    critic: CriticKind = Field(
        default="execution",
        title="Critic",
        description="Where feedback on an unsolved draft comes from.",
        json_schema_extra={"langgraph_nodes": ["critic"]},
    )
    retry: Retry = Field(
        default=Retry(),
        title="Retry",
        description="How the coder is asked again after a draft that failed.",
        json_schema_extra={"langgraph_nodes": ["coder"]},
        exclude_if=lambda retry: retry == _DIALOGUE,
    )
    limits: Limits = Field(
        default=Limits(), title="Limits", description="When a run stops unsolved."
    )
    sandbox: SandboxLimits = Field(
        default=SandboxLimits(), title="Sandbox", description="The most that one execution may use."
    )
    client: ModelOptions = Field(
        default=ModelOptions(), title="Client", description="How model servers are called."
    )
    prompts: dict[str, str] = Field(
        default_factory=installed_prompts,
        title="Prompts",
        description="Texts by name; one that is not named is the installed one.",
        validate_default=False,
    )
    versions: dict[str, str] = Field(
        default_factory=lambda: dict(_versions()),
        title="Versions",
        description="Of packages, for the record.",
    )

    @model_validator(mode="before")
    @classmethod
    def _recorded(cls, values: Any) -> Any:
        """Add what recorded settings lack, as it was then; recorded ones always have versions."""
        if not isinstance(values, dict) or "versions" not in values:
            return values
        prompts = values.get("prompts")
        if isinstance(prompts, dict):
            values = {**values, "prompts": {**OLDER, **prompts}}
        return {"retry": _DIALOGUE, **values}

    @field_validator("prompts")
    @classmethod
    def _complete(cls, prompts: dict[str, str]) -> dict[str, str]:
        """Add the installed text of each missing prompt: settings of an older version lack some."""
        return {**installed_prompts(), **prompts}

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        check_prompts(self.prompts)
        if "coder" not in self.models:
            raise InputError(f"no model for the coder; name one, as in coder={DEFAULT_MODEL}")
        return self

    @property
    def digest(self) -> str:
        """The sha256 of all settings."""
        return digest(self.model_dump(mode="json"))

    def check_prices(self) -> None:
        """Raise InputError if a limit on the cost could never be reached."""
        unpriced = sorted(set(self.models.values()) - self.client.prices.keys())
        if self.limits.cost is not None and unpriced:
            raise InputError(
                f"limits.cost needs the price of {unpriced[0]}, without which its calls cost "
                "nothing; set it for a million tokens, on the command line with --set "
                f'\'client.prices={{"{unpriced[0]}": {{"input": 0.5, "output": 1.5}}}}\''
            )

    def check_task(self, task: Task) -> None:
        """Raise InputError if these settings cannot be used for `task`."""
        if self.critic == "oracle" and task.reference is None:
            raise InputError(
                "the oracle critic needs a reference solution and the task has none; "
                "the command line takes one with --reference FILE"
            )

    @property
    def retry_form(self) -> RetryForm:
        """The form of a retry; without one, that which repairs most (docs/evaluation.md).

        Small models repeat a draft that they see. A critic's words speak of the draft, so they
        need the dialogue.
        """
        small = self.models["coder"].startswith("local:") and self.critic == "execution"
        return self.retry.form or ("without_draft" if small else "dialogue")

    def sampled(self, role: Role, number: int = 1, turn: int = 1) -> Sampling:
        """Return the sampling of a role's `number`-th call in a task's `turn`-th turn.

        A seed is increased by one for each call. If a coder without sampling settings makes
        several drafts, they are drawn at temperature 0.8, since greedy drafts would be equal.
        """
        greedy = Sampling(temperature=0.0)
        default = _SPREAD if role == "coder" and self.drafts > 1 else greedy
        sampling = self.sampling.get(role, default)
        dialogue = self.retry_form == "dialogue"
        if role != "coder" or turn == 1 or (dialogue and self.retry.drafts is None):
            return _counted(sampling, number - 1)
        if not sampling.temperature and (not dialogue or self.drafts_of(turn) > 1):
            spread = {"temperature": self.retry.temperature, "top_p": 0.95, "seed": 0}
            sampling = sampling.model_copy(update=spread)
        # The request may equal that of an earlier turn, so each draft needs a different seed.
        return _counted(sampling, (turn - 1) * _MOST_DRAFTS + number - 1)

    def drafts_of(self, turn: int) -> int:
        """Return how many drafts a task's `turn`-th turn has, from 1."""
        return self.drafts if turn == 1 else self.retry.drafts or self.drafts


def _counted(sampling: Sampling, number: int) -> Sampling:
    if sampling.seed is None:
        return sampling
    return sampling.model_copy(update={"seed": sampling.seed + number})


_read: dict[str, tuple[dict[str, object], Settings]] = {}
_READ_MOST = 64


def settings_of(record: Record) -> Settings:
    """Return the settings of a record's last turn; raises InputError or ValidationError."""
    return settings_named(record, record.turns[-1].settings)


def settings_named(record: Record, name: str) -> Settings:
    """Return the settings of this digest; raises InputError or ValidationError.

    Each node needs them, and to compare them with those read before is cheaper than to read them.
    """
    values = record.settings[name]
    known, settings = _read.get(name, (None, None))
    if settings is None or known != values:
        settings = Settings.model_validate(values)
        if len(_read) >= _READ_MOST:
            _read.clear()
        _read[name] = (values, settings)
    return settings
