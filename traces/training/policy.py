"""A model of the graph's coder over weights in this process, whose tokens are kept."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from opencodeinterpreter.tools.models.protocol import Message, Request, Response
from opencodeinterpreter.traces.training.together import Together

Tokens = list[int]


@dataclass(frozen=True)
class Written:
    """An answer and the tokens that it was written with."""

    asked: str
    """The conversation before it, as the template renders it."""
    prompt: Tokens
    tokens: Tokens
    """Of the answer, with its end mark if it was not cut."""
    text: str


class Policy:
    """Answers the questions of many runs as one batch."""

    spec = "policy"

    def __init__(
        self, loaded: tuple[Any, Any], *, temperature: float = 0.0, max_tokens: int = 1024
    ) -> None:
        """Take a model and its tokenizer; a temperature of 0 is greedy."""
        self._model, self._words = loaded
        self._sampling: dict[str, Any] = {"max_new_tokens": max_tokens, "do_sample": False}
        if temperature:
            free = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
            self._sampling |= free
        self._together = Together(self._all)

    async def write(self, messages: Sequence[Message]) -> Written:
        """Return an answer with its tokens."""
        return await self._together(messages)

    async def complete(self, request: Request) -> Response:
        """Return an answer."""
        return response(await self.write(request.messages), self.spec)

    def joined(self, answers: Sequence[Written]) -> tuple[Tokens, list[int]]:
        """Return a run's tokens after its first question, and 1 for those of the answers.

        A template may show an earlier answer otherwise than it was written. Then nothing of the
        run is learned.
        """
        tokens, own = list(answers[0].tokens), [1] * len(answers[0].tokens)
        for before, now in pairwise(answers):
            so_far = before.asked + self._words.decode(before.tokens)
            if not now.asked.startswith(so_far):
                return tokens, [0] * len(tokens)
            said = self._words(now.asked[len(so_far) :], add_special_tokens=False)["input_ids"]
            tokens += said + now.tokens
            own += [0] * len(said) + [1] * len(now.tokens)
        return tokens, own

    async def _all(self, asked: list[Sequence[Message]]) -> list[Written]:
        return await asyncio.to_thread(self._answers, asked)

    def _answers(self, asked: Sequence[Sequence[Message]]) -> list[Written]:
        import torch  # pyright: ignore[reportMissingImports]

        texts = [rendered(self._words, each) for each in asked]
        given = self._words(
            texts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
        ).to(self._model.device)
        training = self._model.training
        self._model.eval()
        with torch.no_grad():
            ids, mask = given["input_ids"], given["attention_mask"]
            found = self._model.generate(input_ids=ids, attention_mask=mask, **self._sampling)
        self._model.train(training)
        answers = map(self._ended, found[:, ids.shape[1] :].tolist())
        prompts = self._words(texts, add_special_tokens=False)["input_ids"]
        return [
            Written(text, prompt, tokens, self._words.decode(tokens, skip_special_tokens=True))
            for text, prompt, tokens in zip(texts, prompts, answers, strict=True)
        ]

    def _ended(self, tokens: Tokens) -> Tokens:
        """Return an answer's tokens up to its end mark; shorter answers of a batch are filled."""
        ends = self._model.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        end = next((at for at, token in enumerate(tokens) if token in ends), len(tokens) - 1)
        return tokens[: end + 1]


def response(written: Written, model: str) -> Response:
    """Return an answer as the graph takes it."""
    return Response(text=written.text, model=model)


def rendered(words: Any, messages: Sequence[Message]) -> str:
    """Return a conversation as the template renders it before an answer."""
    text: str = words.apply_chat_template(
        [message.model_dump() for message in messages], tokenize=False, add_generation_prompt=True
    )
    return text
