"""The chat templates in docs/models.md for the paper's models."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
SAID = [
    {"role": "user", "content": "Add two numbers."},
    {"role": "assistant", "content": "Here."},
    {"role": "user", "content": "Execution result: wrong."},
]
DS = """\
### Instruction:
Add two numbers.
### Response:
Here.
<|EOT|>
### Instruction:
Execution result: wrong.
### Response:
"""
CL = "[INST] Add two numbers. [/INST] Here. <|im_end|>[INST] Execution result: wrong. [/INST]"


@pytest.mark.parametrize(("number", "prompt"), [(0, DS), (1, CL)], ids=["DS", "CL"])
def test_a_template_renders_a_conversation(number: int, prompt: str, tiny_folder: Path) -> None:
    from transformers import AutoTokenizer  # pyright: ignore[reportMissingImports]

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_folder)
    template = re.findall(r"```jinja\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[number]
    rendered = tokenizer.apply_chat_template(
        SAID, chat_template=template, tokenize=False, add_generation_prompt=True
    )
    assert rendered.replace("None", "") == prompt
