"""Where the nodes get their models: fixed ones, or ones that a run's settings name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.models.protocol import Model, Role


class ModelSource(Protocol):
    """Gives the models of a run."""

    def settled(self, settings: Settings) -> Settings:
        """Return the settings as they are recorded; raises InputError if they may not be used."""
        ...

    def of(self, settings: Settings) -> Mapping[Role, Model]:
        """Return the models by role, for settings that were settled; raises InputError as well."""
        ...


@dataclass(frozen=True)
class FixedModels:
    """The same opened models for every run; settings are recorded with their specs."""

    models: Mapping[Role, Model]

    def settled(self, settings: Settings) -> Settings:
        """Return the settings with the specs of these models."""
        specs = {role: model.spec for role, model in self.models.items()}
        return settings.model_copy(update={"models": specs})

    def of(self, settings: Settings) -> Mapping[Role, Model]:
        """Return these models."""
        return self.models
