"""What callers of a server may ask for, and the models and sandbox that they share.

A caller is remote: it may choose among the models that the server's environment lists, and may not
raise a limit over the server's ceilings. It can name no other file, host or key variable.

    OPENCODEINTERPRETER_MODEL      the usual model, by default `local:qwen2.5-coder-0.5b`
    OPENCODEINTERPRETER_MODELS     other specs that callers may name, separated by white space
    OPENCODEINTERPRETER_CEILINGS   limits, as in `limits.turns=50 drafts=16`
    OPENCODEINTERPRETER_SANDBOX    `full` (the default), `reduced` or `e2b`
"""

import asyncio
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self
from weakref import WeakKeyDictionary

from opencodeinterpreter.graph.checking import check_with
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.settings import DEFAULT_MODEL, Limits, Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import USUAL_LIMITS, Execution, SandboxLimits
from opencodeinterpreter.tools.models.opening import open_models
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Model, Request, Response, Role
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner, open_runner
from opencodeinterpreter.tools.sandbox.opening import SandboxName

CEILINGS: Mapping[str, float] = {
    "drafts": 8,
    "retry.drafts": 8,
    "limits.turns": 20,
    "sampling.*.max_tokens": 4096,
    **{f"sandbox.{name}": value for name, value in SandboxLimits().model_dump().items()},
}
"""The highest values that callers may set, unless the environment names others."""


@dataclass(frozen=True)
class Policy:
    """What a caller may choose."""

    model: str
    models: frozenset[str]
    ceilings: Mapping[str, float]

    @classmethod
    def of_environment(cls) -> Self:
        """Read the server's environment; raises InputError for a ceiling that is none."""
        usual = os.environ.get("OPENCODEINTERPRETER_MODEL", DEFAULT_MODEL)
        others = os.environ.get("OPENCODEINTERPRETER_MODELS", "").split()
        ceilings = dict(CEILINGS)
        for pair in os.environ.get("OPENCODEINTERPRETER_CEILINGS", "").split():
            name, _, value = pair.partition("=")
            try:
                ceilings[_known(name)] = float(value)
            except ValueError:
                raise InputError(
                    f"OPENCODEINTERPRETER_CEILINGS: {pair!r} is no limit; write limits.turns=50"
                ) from None
        return cls(usual, frozenset({usual, *others}), ceilings)

    def settled(self, settings: Settings) -> Settings:
        """Return a caller's settings with this server's model and versions where it chose none.

        Raises InputError if they ask for more than the server allows.
        """
        server = Settings()
        unchosen = "models" not in settings.model_fields_set
        usual = settings.models == server.models and not self._allowed(settings.models)
        models: dict[Role, str] = {"coder": self.model}
        chosen = settings.model_copy(
            update={
                "models": models if unchosen or usual else settings.models,
                "versions": server.versions,
                "limits": self._limits(settings.limits),
                "sandbox": self.lowered(settings.sandbox),
            }
        )
        self.check(chosen)
        return chosen

    def check(self, settings: Settings) -> None:
        """Raise InputError if settings ask for more than the server allows."""
        if not self._allowed(settings.models):
            wrong = next(spec for spec in settings.models.values() if spec not in self.models)
            raise InputError(
                f"this server does not offer the model {wrong!r}; it offers "
                f"{', '.join(sorted(self.models))}"
            )
        if settings.client != ModelOptions():
            raise InputError("how models are called is set by the server; leave `client` out")
        held = settings.model_dump(mode="json")
        for path, ceiling in self.ceilings.items():
            for value in _values(held, path.split(".")):
                self._check_value(path, value, ceiling)

    def check_limits(self, limits: SandboxLimits) -> None:
        """Raise InputError if the limits of an execution are over the server's."""
        for name, value in limits.model_dump().items():
            if (ceiling := self.ceilings.get(f"sandbox.{name}")) is not None:
                self._check_value(f"sandbox.{name}", value, ceiling)

    def lowered(self, asked: SandboxLimits) -> SandboxLimits:
        """Return limits of an execution, those that were not chosen at most as the server's."""
        unset = asked.model_dump().keys() - asked.model_fields_set
        ceilings = {name: self.ceilings.get(f"sandbox.{name}") for name in unset}
        lower = {
            name: ceiling
            for name, ceiling in ceilings.items()
            if ceiling is not None and ceiling < (getattr(asked, name) or math.inf)
        }
        return SandboxLimits.model_validate({**asked.model_dump(), **lower})

    def _limits(self, asked: Limits) -> Limits:
        """Return a caller's limits, with the server's where they set none."""
        unset = [name for name, value in asked.model_dump().items() if value is None]
        named = {name: self.ceilings.get(f"limits.{name}") for name in unset}
        return Limits.model_validate({**asked.model_dump(), **named})

    def _allowed(self, models: Mapping[Role, str]) -> bool:
        return self.models.issuperset(models.values())

    @staticmethod
    def _check_value(path: str, value: Any, ceiling: float) -> None:
        if value is None and path.startswith("limits."):
            raise InputError(f"{path} is not set, and this server allows at most {ceiling:g}")
        if value is not None and value > ceiling:
            raise InputError(f"{path} is {value:g}, and this server allows at most {ceiling:g}")


def _known(path: str) -> str:
    """Return the path of a number in the settings; raises ValueError for another."""
    found = list(_values(Settings().model_dump(mode="json"), path.split(".")))
    numbers = [each for each in found if each is None or type(each) in (int, float)]
    if path not in CEILINGS and not numbers:
        raise ValueError(path)
    return path


def _values(held: Any, path: list[str]) -> Iterator[Any]:
    """Yield the values at a path; `*` stands for every key."""
    if not path:
        yield held
    elif isinstance(held, dict):
        for key in held if path[0] == "*" else [path[0]]:
            if key in held:
                yield from _values(held[key], path[1:])


class Served:
    """The models and the runner of a server, opened on first use, once for each event loop.

    A server with BG_JOB_ISOLATED_LOOPS runs its jobs on several loops, and connections and
    processes belong to the loop that opened them.
    """

    def __init__(self, policy: Policy, sandbox: SandboxName) -> None:
        """Open what `policy` allows, and nothing yet."""
        self.policy = policy
        self._sandbox = sandbox
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _OneLoop] = WeakKeyDictionary()

    @property
    def here(self) -> "_OneLoop":
        """What is open on the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = _OneLoop(self._sandbox)
        return self._loops[loop]

    def settled(self, settings: Settings) -> Settings:
        """Return a caller's settings as they are recorded; raises InputError."""
        return self.policy.settled(settings)

    def of(self, settings: Settings) -> Mapping[Role, Model]:
        """Return the models that settings name; raises InputError for those not allowed."""
        self.policy.check(settings)
        return {role: _ServedModel(spec, self) for role, spec in settings.models.items()}

    async def check(self, task: Task) -> None:
        """Check a task's tests in the server's sandbox, within its limits; raises InputError."""
        await check_with(await self.here.runner(), task, self.policy.lowered(USUAL_LIMITS))

    async def run(self, program: Program) -> Execution:
        """Run a program in the server's sandbox, within the server's limits."""
        self.policy.check_limits(program.limits)
        return await (await self.here.runner()).run(program)


@dataclass(frozen=True)
class _ServedModel:
    spec: str
    served: Served

    async def complete(self, request: Request) -> Response:
        return await (await self.served.here.model(self.spec)).complete(request)


class _OneLoop:
    """Models and a runner that open on first use, once for all runs of one event loop."""

    def __init__(self, sandbox: SandboxName) -> None:
        self._sandbox = sandbox
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._models: dict[str, Model] = {}
        self._runner: SandboxRunner | None = None

    async def model(self, spec: str) -> Model:
        async with self._opening:
            if spec not in self._models:
                opened = await self._stack.enter_async_context(open_models({"coder": spec}))
                self._models[spec] = opened["coder"]
            return self._models[spec]

    async def runner(self) -> SandboxRunner:
        async with self._opening:
            if self._runner is None:
                self._runner = await self._stack.enter_async_context(open_runner(self._sandbox))
            return self._runner
