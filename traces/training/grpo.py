"""Reinforcement learning (GRPO) over the graph's own turns: TRL's trainer, our rollouts.

A rollout is a run of the graph: draft, execution, feedback, repair. What the graph says is masked,
so that the model's own tokens alone are learned. The reward is 1 if the tests solved the run, else
0; what the program printed or a model said counts for nothing.
"""

import asyncio
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Limits, Settings
from opencodeinterpreter.nodes.state import TaskInput, read
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.protocol import Request, Response
from opencodeinterpreter.tools.runner import Runner, open_runner
from opencodeinterpreter.tools.sandbox.opening import SandboxName
from opencodeinterpreter.traces.training.folder import Folder
from opencodeinterpreter.traces.training.policy import Policy, Tokens, Written, response
from opencodeinterpreter.traces.training.running import (
    Loaded,
    Watch,
    carry_out,
    line_of,
    lora_config,
    quiet,
    shared_arguments,
    unwatched,
)
from opencodeinterpreter.traces.training.settings import GrpoSettings

Tasks = Mapping[str, TaskInput]


@dataclass(frozen=True)
class Rollout:
    """A run as GRPO learns from it."""

    prompt: Tokens
    completion: Tokens
    """All that follows the first question, the graph's words included."""
    own: list[int]
    """1 for each token of the model's own, 0 for the graph's."""
    reward: float


@dataclass(frozen=True)
class Rollouts:
    """Runs tasks with the model as it is now; TRL calls it with its prompts."""

    tasks: Tasks
    settings: GrpoSettings
    sandbox: SandboxName

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, Any]:
        """Return TRL's columns, one run for each prompt; a prompt carries its task's name."""
        loaded = (trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class)
        found = asyncio.run(self.run(loaded, [prompt[-1]["task"] for prompt in prompts]))
        return {
            "prompt_ids": [each.prompt for each in found],
            "completion_ids": [each.completion for each in found],
            "logprobs": None,
            "env_mask": [each.own for each in found],
            "rewards": [each.reward for each in found],
        }

    async def run(self, loaded: Loaded, names: Sequence[str]) -> list[Rollout]:
        """Run the tasks of these names, all at once."""
        chosen = self.settings
        policy = Policy(loaded, temperature=chosen.temperature, max_tokens=chosen.max_tokens)
        async with open_runner(self.sandbox) as runner:
            runs = (self._rollout(policy, runner, self.tasks[name]) for name in names)
            return await asyncio.gather(*runs)

    async def _rollout(self, policy: Policy, runner: Runner, task: TaskInput) -> Rollout:
        coder = _Kept(policy)
        settings = Settings(critic="execution", limits=Limits(turns=self.settings.turns))
        graph = build_graph({"coder": coder}, runner)
        record = read(await graph.ainvoke(task_seed(task, settings)))
        completion, own = policy.joined(coder.written)
        return Rollout(coder.written[0].prompt, completion, own, reward_of(record))


def reward_of(record: Record) -> float:
    """Return 1 for a run that its tests solved, else 0.

    A test that passed by an operator of the program's own, such as its `==`, proves nothing.
    """
    last, outcome = record.turns[-1], record.outcome
    if outcome is None or (outcome.decision, outcome.decided_by) != ("solved", "tests"):
        return 0.0
    tests = last.execution.tests if last.execution else None
    return float(bool(tests) and not any(test.word for test in tests or ()))


def grpo(
    loaded: Loaded,
    rollouts: Rollouts,
    folder: Folder,
    watch: Watch = unwatched,
) -> None:
    """Train a loaded model on tasks; raises InputError for what TRL refuses."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from datasets import Dataset  # pyright: ignore[reportMissingImports]
    from trl import GRPOTrainer  # pyright: ignore[reportMissingImports]

    quiet()
    settings = rollouts.settings
    asked = (
        {"role": "user", "content": task["prompt"], "task": name}
        for name, task in rollouts.tasks.items()
    )
    try:
        trainer = GRPOTrainer(
            model=loaded[0],
            reward_funcs=_told,
            args=_arguments(settings, folder),
            train_dataset=Dataset.from_list([{"prompt": [each]} for each in asked]),
            processing_class=loaded[1],
            rollout_func=rollouts,
            peft_config=lora_config(settings.lora),
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"TRL refuses this training: {line_of(error)}") from None
    carry_out(trainer, loaded, folder, watch)


def check_tested(tasks: Tasks) -> None:
    """Raise InputError that names a task without tests: nothing could reward its runs."""
    for name, task in tasks.items():
        if not task.get("tests"):
            raise InputError(f"task {name!r} has no tests, so that no run of it can be rewarded")


def _told(completions: Sequence[Any], rewards: Sequence[float], **_: Any) -> list[float]:
    return list(rewards)


def _arguments(settings: GrpoSettings, folder: Folder) -> Any:
    from trl import GRPOConfig  # pyright: ignore[reportMissingImports]

    runs = settings.tasks * settings.group
    batch = min(settings.batch, runs)
    if runs % batch:
        raise InputError(f"--batch {batch}: {runs} runs a step cannot be divided by it")
    ours: dict[str, Any] = {
        "max_steps": settings.steps,
        "num_generations": settings.group,
        "temperature": settings.temperature,
        "max_completion_length": settings.max_tokens * settings.turns,
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": runs // batch,
        "seed": settings.seed,
        "logging_steps": 1,
        "save_steps": 20,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TRL's own defaults have names of old.
        return GRPOConfig(**{**shared_arguments(folder), **ours, **settings.trl})


class _Kept:
    """The policy as the coder of one run, whose answers are kept with their tokens."""

    spec = Policy.spec

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.written: list[Written] = []

    async def complete(self, request: Request) -> Response:
        self.written.append(await self._policy.write(request.messages))
        return response(self.written[-1], self.spec)
