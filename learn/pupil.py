"""The pupil: a tokenizer and a Llama made here, and a model of the graph's coder over them."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from learn.language import Kind, program, tasks
from learn.people import fenced, named
from opencodeinterpreter.tools.models.protocol import Message, Request, Response
from opencodeinterpreter.traces.training.policy import Policy

_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_MARKS = ["<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"]
_PIECES = (
    r"Execution result: 1 of 1 tests did not pass\.\n- f\(\[|\]\): failed\n  returned \[?"
    r"|\]?, expected \[|\n?```python\n|\n```|\d(?:, )?|\n *|, |; |\. |: | means "
)
"""What is a token of its own, or begins one: fixed texts and digits. Words merge across spaces."""
_MOST_TOKENS = 96


@dataclass(frozen=True)
class Size:
    """The size of a pupil."""

    width: int
    layers: int
    inner: int
    vocabulary: int


def tokenizer(kind: Kind, size: Size) -> Any:
    """Return a tokenizer that is trained on texts as the pupil will see them."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # pyright: ignore[reportMissingImports]
    from transformers import PreTrainedTokenizerFast  # pyright: ignore[reportMissingImports]

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size.vocabulary,
        special_tokens=_MARKS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator(_texts(kind), trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token="<|end|>", pad_token="<|pad|>", padding_side="left"
    )
    made.chat_template = _TEMPLATE
    return made


def model(words: Any, size: Size, seed: int) -> Any:
    """Return a Llama of random weights.

    They are wider than usual: with 0.02 so narrow a model learns half as much in the same time.
    """
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import LlamaConfig, LlamaForCausalLM  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=size.width,
            intermediate_size=size.inner,
            num_hidden_layers=size.layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=512,
            initializer_range=0.06,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )


class Pupil:
    """Answers greedily, and no question twice."""

    spec = "scripted:pupil"

    def __init__(self, loaded: tuple[Any, Any]) -> None:
        """Take a model and its tokenizer."""
        self._policy = Policy(loaded, max_tokens=_MOST_TOKENS)
        self._known: dict[tuple[Message, ...], Response] = {}

    async def complete(self, request: Request) -> Response:
        """Return the likeliest answer."""
        if (known := self._known.get(request.messages)) is None:
            known = self._known[request.messages] = await self._policy.complete(request)
        return known


def _texts(kind: Kind) -> list[str]:
    found: list[str] = []
    for task in islice(tasks(kind, "tokenizer"), 4000):
        (xs, want), (_, other) = task.cases[:2]
        found += [
            task.prompt,
            fenced(program(task.steps)),
            f"{named(task.steps[:1])}\n{fenced(task.code)}",
            named(task.steps[:2]),
            "Execution result: 1 of 1 tests did not pass.\n"
            f"- f({xs}): failed\n  returned {other}, expected {want}",
            "Execution result: some tests did not pass.",
            "Read the statement again.",
        ]
    return found
