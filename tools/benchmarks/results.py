"""The results of samples: verdicts, EvalPlus's result file, and pass@k."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from opencodeinterpreter.tools.benchmarks.mbpp_inputs import json_inputs
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask
from opencodeinterpreter.tools.benchmarks.verdicts import SetStatus
from opencodeinterpreter.tools.frozen import Frozen

_TRIES = (1, 10, 100)


class SampleVerdict(Frozen):
    """The verdict on one sample."""

    number: int = Field(ge=0)
    """The sample's index among all, from 0."""
    base: SetStatus
    plus: SetStatus | None
    """`None` if the benchmark has no plus inputs."""
    base_failed: tuple[int, ...] = ()
    """The indices of the inputs that failed; only the first if grading stopped there."""
    plus_failed: tuple[int, ...] = ()
    reason: str = ""
    """Why the sample could not be read, or an output not be compared; empty otherwise."""

    @property
    def passed(self) -> bool:
        """Whether all inputs passed."""
        return self.base == "pass" and self.plus in ("pass", None)


def results_path(samples: Path) -> Path:
    """Return the path to which EvalPlus writes the results of `samples`."""
    if samples.is_dir():
        return samples / "eval_results.json"
    return samples.with_name(f"{samples.name.partition('.jsonl')[0]}_eval_results.json")


def as_evalplus(
    benchmark: Benchmark, date: str, samples: Sequence[Sample], verdicts: Iterable[SampleVerdict]
) -> dict[str, Any]:
    """Return the results in EvalPlus's format; `verdicts` are in the order of `samples`."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for sample, verdict in zip(samples, verdicts, strict=True):
        task = benchmark.tasks[sample.task_id]
        found[sample.task_id].append(
            {
                "task_id": sample.task_id,
                "solution": sample.solution,
                "base_status": verdict.base,
                "plus_status": verdict.plus,
                "base_fail_tests": _inputs(task, "base_input", verdict.base_failed),
                "plus_fail_tests": _inputs(task, "plus_input", verdict.plus_failed),
                **({"reason": verdict.reason} if verdict.reason else {}),
            }
        )
    return {"date": date, "hash": benchmark.md5, "eval": dict(found)}


def _inputs(task: object, name: str, failed: Sequence[int]) -> list[Any]:
    if not isinstance(task, InputTask):
        return []
    inputs = [getattr(task, name)[number] for number in failed]
    return json_inputs(task.task_id, inputs) if task.task_id.startswith("Mbpp/") else inputs


def same_samples(results: Mapping[str, Any], samples: Sequence[Sample]) -> bool:
    """Whether a result file is about exactly these samples."""
    given: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        given[sample.task_id].append(sample.solution)
    try:
        told = {
            task_id: [each["solution"] for each in graded]
            for task_id, graded in results["eval"].items()
        }
    except (KeyError, TypeError, AttributeError):
        return False
    return told == given


def pass_at_k(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return pass@k of a result file, for `base` inputs and, if there are some, `plus` inputs.

    k is 1, 10 and 100, if every task has that many samples. The estimate is the unbiased one of
    Chen et al. 2021 (arXiv 2107.03374).
    """
    base, plus = [], []
    for graded in results["eval"].values():
        right = [each["base_status"] == "pass" for each in graded]
        base.append((len(graded), sum(right)))
        both = [r and each["plus_status"] == "pass" for r, each in zip(right, graded, strict=True)]
        plus.append((len(graded), sum(both)))
    told = {"base": _estimates(base)}
    if any(
        each["plus_status"] is not None for graded in results["eval"].values() for each in graded
    ):
        told["plus"] = _estimates(plus)
    return told


def _estimates(counts: Sequence[tuple[int, int]]) -> dict[str, float]:
    least = min(total for total, _ in counts)
    return {
        f"pass@{k}": sum(_estimate(total, right, k) for total, right in counts) / len(counts)
        for k in _TRIES
        if least >= k
    }


def _estimate(total: int, right: int, k: int) -> float:
    return 1.0 - math.comb(total - right, k) / math.comb(total, k)


def to_text(results: Mapping[str, Any]) -> str:
    """Return a result file's content."""
    # Escaped, since a solution may hold what UTF-8 cannot.
    return json.dumps(results)
