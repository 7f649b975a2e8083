"""The engines of the vLLM stage: one per model and session, since a start is slow."""

import asyncio
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.tools.models.llama.catalogue import cache_folder
from opencodeinterpreter.tools.models.vllm.engine import Engine
from opencodeinterpreter.tools.models.vllm.options import vllm_options
from tests.vllm_models import CONTEXT, make_smollm2, make_tiny

# On a shared machine, threads must not spin.
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")

TINY: dict[str, Any] = {
    "dtype": "float32",
    "enforce_eager": True,
    "kv_cache_memory_bytes": 64 * 2**20,
    "max_model_len": CONTEXT,
    "tool_call_parser": "hermes",
}
SMOLLM2: dict[str, Any] = {
    "dtype": "bfloat16",
    "enforce_eager": True,
    "kv_cache_memory_bytes": 512 * 2**20,
    "max_model_len": 4096,
    "tool_call_parser": "hermes",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests, and skip them if vLLM is not installed."""
    here = Path(__file__).parent
    missing = pytest.mark.skipif(
        find_spec("vllm") is None, reason="vLLM is not installed here; run: make test-vllm"
    )
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.filterwarnings("default"))  # vLLM warns when imported
            item.add_marker(missing)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def smollm2_folder() -> Path:
    folder = cache_folder() / "smollm2-safetensors"
    return folder if folder.is_dir() else make_smollm2(folder)


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Iterator[Engine]:
    yield from _running("vllm:tiny", tiny_folder, TINY)


@pytest.fixture(scope="session")
def smollm2(smollm2_folder: Path) -> Iterator[Engine]:
    yield from _running("vllm:smollm2", smollm2_folder, SMOLLM2)


def _running(spec: str, folder: Path, options: dict[str, Any]) -> Iterator[Engine]:
    engine = Engine(spec, vllm_options(str(folder), options))
    try:
        asyncio.run(engine.start())
        yield engine
    finally:
        asyncio.run(engine.close())
