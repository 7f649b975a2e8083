"""Prefix cache hits and accepted n-gram speculation of repaired drafts, by vLLM's counters.

    python bench/repairs.py FOLDER     with vLLM and the model in that folder

Eight of the demo's tasks, at most three turns each, executed in the sandbox, all at once.
"""

import asyncio
import os
import sys
from importlib.util import find_spec
from typing import Any

from opencodeinterpreter.cli.demo_task import DemoTask, demo_tasks
from opencodeinterpreter.graph.build import build_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.tools.models.vllm.engine import open_engine
from opencodeinterpreter.tools.models.vllm.model import VLLMModel
from opencodeinterpreter.tools.models.vllm.options import vllm_options
from opencodeinterpreter.tools.runner import SandboxRunner
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox

TASKS, TURNS = 8, 3
ENGINE: dict[str, Any] = {
    "dtype": "bfloat16",
    "enforce_eager": True,
    "kv_cache_memory_bytes": 512 * 2**20,
    "max_model_len": 4096,
}


async def measure(folder: str) -> None:
    """Print the cache hits by turn, and the accepted speculated tokens."""
    from vllm.v1.metrics.reader import Counter, get_metrics_snapshot  # pyright: ignore[reportMissingImports]

    from opencodeinterpreter.tools.models.vllm.chat import ChatVLLM

    settings = Settings.model_validate(
        {
            "models": {"coder": "vllm:m"},
            "limits": {"turns": TURNS, "stuck": False},
            "sampling": {"coder": {"max_tokens": 256}},
        }
    )
    async with (
        open_engine("vllm:m", vllm_options(folder, ENGINE)) as engine,
        open_local_sandbox() as sandbox,
    ):
        model = VLLMModel(ChatVLLM(engine=engine, model="m"), spec="vllm:m")
        graph = build_graph({"coder": model}, SandboxRunner(sandbox))

        async def run(task: DemoTask) -> Record:
            seed: Any = task_seed(dict(task.input()), settings)
            return read(await graph.ainvoke(seed))

        tasks = [*demo_tasks("demo_live"), *demo_tasks("demo_tasks")][:TASKS]
        records = await asyncio.gather(*(run(task) for task in tasks))
        counts = {m.name: m.value for m in get_metrics_snapshot() if isinstance(m, Counter)}
    for number in range(1, TURNS + 1):
        print(hits(records, number))
    drafted = counts["vllm:spec_decode_num_draft_tokens"]
    accepted = counts["vllm:spec_decode_num_accepted_tokens"]
    written = counts["vllm:generation_tokens"]
    print(
        f"guessed {drafted} tokens, {accepted} accepted ({accepted / drafted:.0%}): "
        f"{accepted / written:.0%} of the {written} tokens that were written"
    )


def hits(records: list[Record], number: int) -> str:
    """Return which part of one turn's prompts was in the cache."""
    turns = [turn for record in records for turn in record.turns if turn.number == number]
    usages = [turn.draft.call.usage for turn in turns if turn.draft and turn.draft.call]
    known = [usage for usage in usages if usage]
    cached = sum(usage.cached_tokens or 0 for usage in known)
    prompt = sum(usage.input_tokens for usage in known)
    return f"turn {number}: {len(known)} prompts, {prompt} tokens, {cached / prompt:.0%} cached"


if __name__ == "__main__":
    if len(sys.argv) > 1 and find_spec("vllm"):
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        asyncio.run(measure(sys.argv[1]))
    else:
        print("repairs: not measured; needs vLLM and a model's folder: bench/repairs.py FOLDER")
