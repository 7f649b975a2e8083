"""langchain's chat model of OpenAI's API, for servers that only resemble OpenAI's.

Import this module only where such a model is opened: the client takes a second to import.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any

import openai
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from openai._streaming import ServerSentEvent, SSEDecoder

from opencodeinterpreter.tools.models.faults import AttemptFailed, ErrorAnswerError, broken_off

THINKING = "reasoning_content"
"""The key in a message's `additional_kwargs`, as other chat models of langchain's have it."""
_THINKING_FIELDS = (THINKING, "reasoning", "thinking")
_END = "stream_ended"
_END_EVENT = ServerSentEvent(event=None, data=f'{{"choices": [], "{_END}": true}}')


class StreamClient(openai.AsyncOpenAI):
    """A client whose streams tell their end marker, which OpenAI's own keeps to itself.

    Without it an answer that broke off looks like one whose server sends no finish reason.
    """

    def _make_sse_decoder(self) -> SSEDecoder:
        return _EndDecoder()


class _EndDecoder(SSEDecoder):
    async def aiter_bytes(self, iterator: AsyncIterator[bytes]) -> AsyncIterator[ServerSentEvent]:
        async for event in super().aiter_bytes(iterator):
            if event.data.startswith("[DONE]"):
                yield _END_EVENT
            yield event


class OpenAIChat(ChatOpenAI):
    """ChatOpenAI that also reads what other servers send.

    Thinking in fields of its own, an error inside an answer, and usage or a finish reason that
    stand in several pieces of a stream.
    """

    def _create_chat_result(
        self,
        response: dict[str, Any] | openai.BaseModel,
        generation_info: dict[str, Any] | None = None,
    ) -> ChatResult:
        if isinstance(response, openai.BaseModel):
            response = response.model_dump(warnings=False)
        if isinstance(response, dict):
            _raise_error_in(response)
            for choice in _mappings(response.get("choices")):
                _mend_calls(choice.get("message") or {})
        result = super()._create_chat_result(response, generation_info)
        for generation, choice in zip(result.generations, response["choices"], strict=True):
            _keep_thinking(generation.message, choice["message"])
        return result

    def _convert_chunk_to_generation_chunk(
        self,
        chunk: dict[str, Any],
        default_chunk_class: type,
        base_generation_info: dict[str, Any] | None,
    ) -> ChatGenerationChunk | None:
        _raise_error_in(chunk)
        choices = chunk.get("choices") or []
        for choice in choices:
            choice["delta"] = choice.get("delta") or {}
        made = super()._convert_chunk_to_generation_chunk(
            {**chunk, "choices": choices}, default_chunk_class, base_generation_info
        )
        if made and choices:
            _keep_thinking(made.message, choices[0]["delta"])
        if made and chunk.get(_END):
            made.generation_info = {**(made.generation_info or {}), _END: True}
        return made

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        """Yield the pieces, and with the last one what was counted and why it ended.

        langchain adds up the usage of all pieces, and joins their finish reasons.
        """
        usage = None
        ending: dict[str, Any] = {}
        async for piece in super()._astream(*args, **kwargs):
            if isinstance(piece.message, AIMessageChunk):
                usage = piece.message.usage_metadata or usage
                piece.message.usage_metadata = None
            ending |= piece.generation_info or {}
            piece.generation_info = None
            yield piece
        if ending.pop(_END, False):
            ending.setdefault("finish_reason", "unknown")
        if "finish_reason" not in ending:
            raise AttemptFailed(broken_off())
        last = AIMessageChunk(content="", usage_metadata=usage)
        yield ChatGenerationChunk(message=last, generation_info=ending)


def _raise_error_in(answer: Mapping[str, Any]) -> None:
    """Raise ErrorAnswerError if an answer, or a piece of one, holds an error instead of a text."""
    for place in (answer, *_mappings(answer.get("choices"))):
        error = place.get("error")
        if isinstance(error, Mapping):
            raise ErrorAnswerError(error)
        if error:
            raise ErrorAnswerError({**place, "message": str(error)})
    if not answer.get("choices") and answer.get("object") == "error":
        raise ErrorAnswerError(answer)


def _mend_calls(message: Mapping[str, Any]) -> None:
    """Make the arguments of tool calls the text of an object, which langchain takes them for."""
    for call in _mappings(message.get("tool_calls")):
        function = call.get("function")
        if not isinstance(function, dict):
            continue
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            function["arguments"] = json.dumps(arguments)
            continue
        with suppress(ValueError):
            if not isinstance(value := json.loads(arguments), dict):
                function["arguments"] = json.dumps({"code": value})


def _mappings(values: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(values, list):
        yield from (value for value in values if isinstance(value, Mapping))


def _keep_thinking(message: BaseMessage, told: Mapping[str, Any]) -> None:
    texts = (told.get(name) for name in _THINKING_FIELDS)
    if text := next((text for text in texts if isinstance(text, str) and text), None):
        message.additional_kwargs[THINKING] = text
