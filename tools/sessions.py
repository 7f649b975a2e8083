"""Sessions: a program that finds the variables and files of the programs before it.

A program names all steps before it, so that a session's state can be made again anywhere, by
running them: after a crash, in a branch, for a second draft. What is kept here saves that work
only. A program that fails leaves nothing behind, because its context is not used again.
"""

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.execution import Artifact, Execution, Result, SandboxLimits
from opencodeinterpreter.tools.program import Program, Step
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox, RunExtras
from opencodeinterpreter.tools.sandbox.shared.collecting import artifact

_MOST_KEPT = 4
"""Contexts that wait for the next program of their session."""
_PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".gif", ".webp")


@dataclass
class _Live:
    """A context, and what the steps so far left in its folder."""

    context: Context
    files: dict[str, str | bytes] = field(default_factory=dict[str, str | bytes])
    steps: int = 0


class Sessions:
    """Runs programs in contexts of `sandbox`, one context for each session that is in use."""

    def __init__(self, sandbox: ContextSandbox) -> None:
        self._sandbox = sandbox
        self._kept: dict[str, _Live] = {}
        """By the digest of the steps that ran in it, the longest unused first."""

    async def run(self, program: Program, before: Sequence[Step]) -> Execution:
        """Run `program` as if `before` had just run; raises SandboxError.

        The execution says `state_lost` if a step did not succeed this time.
        """
        limits = program.limits
        kept = self._kept.pop(_key(before, limits), None)
        if kept is not None:
            told = await self._last(kept, program, before)
            if not (told.state_lost and told.status in ("ok", "error")):
                return told.model_copy(update={"state_lost": False})
        fresh, lost = await self._made_again(before, limits)
        told = await self._last(fresh, program, before)
        return told.model_copy(update={"state_lost": lost})

    async def _made_again(self, steps: Sequence[Step], limits: SandboxLimits) -> tuple[_Live, bool]:
        """Return a context in which `steps` ran, and whether one of them failed."""
        live = _Live(await self._sandbox.create_context(limits=limits))
        lost = False
        try:
            for step in steps:
                told = await self._next(live, step, limits)
                lost = lost or told.status != "ok"
        except BaseException:
            await self._sandbox.remove_context(live.context)
            raise
        return live, lost

    async def _last(self, live: _Live, program: Program, before: Sequence[Step]) -> Execution:
        """Run the program itself, and keep its context for the next one if it succeeds."""
        told: Execution | None = None
        try:
            told = await self._next(live, program, program.limits)
        finally:
            if told is None or told.status != "ok" or told.state_lost:
                await self._sandbox.remove_context(live.context)
        if told.status == "ok" and not told.state_lost:
            step = Step.model_validate(program.model_dump(include=set(Step.model_fields)))
            self._kept[_key((*before, step), program.limits)] = live
            if len(self._kept) > _MOST_KEPT:
                oldest = self._kept.pop(next(iter(self._kept)))
                await self._sandbox.remove_context(oldest.context)
        return told

    async def _next(self, live: _Live, step: Step, limits: SandboxLimits) -> Execution:
        """Run the next step in a context; what it wrote and drew are its artifacts."""
        given = step.all_files
        live.files.update(given)
        live.steps += 1
        # The same numbers are drawn when the step is run again.
        seed = int(digest([live.steps, step.code])[:12], 16)
        extras = RunExtras(collect=["*"], held=live.files, seed=seed)
        told = await self._sandbox.run_code(
            step.code, files=given, limits=limits, context=live.context, extras=extras
        )
        for written in told.artifacts:
            if written.content is not None:
                live.files[written.path] = base64.b64decode(written.content)
        return _with_figures(told, live.steps)


def _key(steps: Sequence[Step], limits: SandboxLimits) -> str:
    return digest([*(step.model_dump(mode="json") for step in steps), limits.model_dump()])


def _with_figures(told: Execution, number: int) -> Execution:
    """Return a cell's execution with its figures as files and the value of its last line as text.

    As for a program that runs alone, figures are dropped if the program saved a picture itself.
    """
    values = tuple(
        Result(is_main_result=True, text=each.text)
        for each in told.results
        if each.is_main_result and each.text
    )
    figures: tuple[Artifact, ...] = ()
    if not any(written.path.endswith(_PICTURES) for written in told.artifacts):
        figures = _figures(told.results, number)
    return told.model_copy(update={"results": values, "artifacts": (*told.artifacts, *figures)})


def _figures(results: Sequence[Result], number: int) -> tuple[Artifact, ...]:
    pictures: list[bytes] = []
    for each in results:
        with suppress(ValueError):  # a claim of the program, as all results are
            pictures += [base64.b64decode(each.png, validate=True)] if each.png else []
    names = [f"figure-{number}.png"]
    if len(pictures) > 1:
        names = [f"figure-{number}-{place}.png" for place in range(1, len(pictures) + 1)]
    return tuple(artifact(name, picture) for name, picture in zip(names, pictures, strict=False))
