"""A tiny model with a chat template that marks the answers, and dialogues to train it on."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.vllm_models import CHAT_TEMPLATE, make_tiny

sys.path.append(str(Path(__file__).parents[2]))  # `learn` is no part of the installed package.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # On a shared machine, threads must not spin.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

MARKED = CHAT_TEMPLATE.replace(
    "{{ message['content'] }}<|im_end|>\n",
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}\n"
    "{% else %}{{ message['content'] }}<|im_end|>\n{% endif %}",
)
"""The template of `make_tiny`, in which TRL finds the answers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests, and skip them if TRL is not installed."""
    here = Path(__file__).parent
    missing = pytest.mark.skipif(
        find_spec("trl") is None, reason="TRL is not installed here; run: make test-train"
    )
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.train)
            item.add_marker(pytest.mark.filterwarnings("default"))  # torch's friends warn
            item.add_marker(missing)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose template does not mark the answers, as many do not."""
    return make_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model; its template marks the answers."""
    folder = make_tiny(tmp_path_factory.mktemp("models") / "marked")
    (folder / "chat_template.jinja").write_text(MARKED, "utf-8")
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dialogues of a draft, its execution and its repair."""
    path = tmp_path_factory.mktemp("data") / "dialogues.jsonl"
    path.write_text("".join(f"{json.dumps(row(number))}\n" for number in range(24)), "utf-8")
    return path


def row(number: int) -> dict[str, object]:
    said = (
        ("user", f"Write number {number}."),
        ("assistant", "def add(a, b):\n    return a + b"),
        ("user", "Execution result: 1 of 2 tests did not pass."),
        ("assistant", f"for number in range({number}):\n    print(number)"),
    )
    messages = [{"role": role, "content": content} for role, content in said]
    return {"id": number, "messages": messages}
