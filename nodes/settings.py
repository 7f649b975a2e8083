"""Settings: everything beside the task that decides how a run goes; part of its record."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

from pydantic import Field, model_validator

from opencodeinterpreter.nodes.prompts import PLACEHOLDERS, check_prompts, installed_prompts
from opencodeinterpreter.nodes.records import CriticKind
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Role, Sampling

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
    """When a task's run stops unsolved. `None` is no limit; all count the task's own turns.

    A store holds integers of 64 bits; so must all integers of the settings be.
    """

    turns: int = Field(default=5, ge=1, lt=2**63)
    calls: int | None = Field(default=None, ge=1, lt=2**63)
    tokens: int | None = Field(default=None, ge=1, lt=2**63)
    """Input and output tokens of all calls whose usage is known."""
    cost: float | None = Field(default=None, gt=0)
    """Money, in the unit of the prices; calls of unknown price count nothing."""
    seconds: float | None = Field(default=None, gt=0)
    """Active seconds: recorded model and runner time, not time spent waiting."""
    stuck: bool = True
    """Stop when the same program meets the same outcome for the second time."""


class Settings(Frozen):
    """How to run: who answers, how it is sampled, what it may use, in which words."""

    models: dict[Role, str] = Field(
        default={"coder": "local:smollm2"},
        title="Models",
        description="A spec a role. The critic defaults to the coder's; the judge to none.",
        json_schema_extra={"langgraph_nodes": ["coder", "judge", "critic"]},
    )
    sampling: dict[Role, Sampling] = Field(default={}, title="Sampling by role")
    drafts: int = Field(
        default=1,
        ge=1,
        le=64,
        title="Drafts",
        description="How many drafts to sample in one turn; the best goes on.",
        json_schema_extra={"langgraph_nodes": ["coder", "executor"]},
    )
    critic: CriticKind = Field(
        default="execution",
        title="Critic",
        description="Where feedback on an unsolved draft comes from.",
        json_schema_extra={"langgraph_nodes": ["critic"]},
    )
    limits: Limits = Field(default=Limits(), title="Limits")
    sandbox: SandboxLimits = Field(default=SandboxLimits(), title="Limits of one execution")
    client: ModelOptions = Field(default=ModelOptions(), title="How model servers are called")
    prompts: dict[str, str] = Field(
        default_factory=installed_prompts, title="Prompts by name", validate_default=False
    )
    versions: dict[str, str] = Field(
        default_factory=lambda: dict(_versions()), title="Package versions"
    )

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        check_prompts(self.prompts)
        if missing := PLACEHOLDERS.keys() - self.prompts.keys():
            raise InputError(f"prompts are missing: {', '.join(sorted(missing))}")
        if "coder" not in self.models:
            raise InputError("no model for the coder; name one, as in coder=local:smollm2")
        return self

    @property
    def digest(self) -> str:
        """The sha256 of all settings."""
        return digest(self.model_dump(mode="json"))

    def sampled(self, role: Role, number: int = 1) -> Sampling:
        """Return the sampling of a role's `number`-th call: a seed counts up from call to call.

        Several drafts of a coder without sampling of its own are drawn at temperature 0.8, since
        greedy ones would all be the same.
        """
        greedy = Sampling(temperature=0.0)
        spread = Sampling(temperature=0.8, top_p=0.95, seed=0)
        default = spread if role == "coder" and self.drafts > 1 else greedy
        sampling = self.sampling.get(role, default)
        if sampling.seed is None:
            return sampling
        return sampling.model_copy(update={"seed": sampling.seed + number - 1})


def settings_from(context: object) -> Settings | None:
    """Return the settings that a graph's context holds.

    A host graph's own context may leak in as it is; what is no settings at all counts as none.
    """
    if isinstance(context, Settings):
        return context
    if isinstance(context, Mapping):
        return Settings.model_validate(dict[str, Any](context))
    return None
