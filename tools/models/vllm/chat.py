"""vLLM's engine as a langchain chat model.

Import this module only if vLLM is used: it imports langchain.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCallChunk
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, SkipValidation

from opencodeinterpreter.tools.models.vllm.engine import Engine, Generation
from opencodeinterpreter.tools.models.vllm.output import (
    call_schema,
    forced,
    forced_call,
    metadata_of,
    own_calls,
    usage_of,
)

if TYPE_CHECKING:
    from vllm.outputs import CompletionOutput, RequestOutput

_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
)


class ChatVLLM(BaseChatModel):
    """A langchain chat model over an engine in this process.

    A call may override the fields, and add vLLM's other sampling parameters and a `json_schema`
    for constrained decoding. If `tool_choice` is a tool's name or "any", the answer is decoded
    under that tool's schema. With "auto", vLLM's `tool_call_parser`, an option of the engine,
    parses the calls that the model writes.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: SkipValidation[Engine]
    model: str
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = 1024
    seed: int | None = None
    n: int | None = None
    stop: list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None

    @property
    def _llm_type(self) -> str:
        return "vllm"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model": self.model, "temperature": self.temperature, "max_tokens": self.max_tokens}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with tools; raises ValueError if it cannot call them."""
        choice = tool_choice or "auto"
        formatted = [convert_to_openai_tool(tool) for tool in tools]
        if choice == "auto" and self.engine.options.tool_call_parser is None:
            raise ValueError(
                'tool_choice "auto" needs vLLM\'s engine option tool_call_parser, such as hermes; '
                'or pass "any" or the name of a tool'
            )
        if choice not in ("auto", "none"):
            forced(formatted, choice)
        return self.bind(tools=formatted, tool_choice=choice, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        output = self.engine.generate_blocking(self._generation(messages, stop, kwargs))
        return self._result(output, kwargs)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        output = await self.engine.generate(self._generation(messages, stop, kwargs))
        return self._result(output, kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        asked = self._generation(messages, stop, {**kwargs, "n": 1})
        if asked.tools:
            yield _whole(self._result(self.engine.generate_blocking(asked), kwargs))
            return
        written = 0
        for output in self.engine.stream_blocking(asked):
            (piece,) = output.outputs
            written += len(piece.token_ids)
            chunk = self._chunk(output, piece, written)
            if run_manager:
                run_manager.on_llm_new_token(piece.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        asked = self._generation(messages, stop, {**kwargs, "n": 1})
        if asked.tools:  # a call can be parsed only when it is complete
            yield _whole(self._result(await self.engine.generate(asked), kwargs))
            return
        written = 0
        async for output in self.engine.stream(asked):
            (piece,) = output.outputs
            written += len(piece.token_ids)
            chunk = self._chunk(output, piece, written)
            if run_manager:
                await run_manager.on_llm_new_token(piece.text, chunk=chunk)
            yield chunk

    def _generation(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> Generation:
        sampling = {name: kwargs.get(name, getattr(self, name, None)) for name in _SAMPLING}
        sampling["stop"] = stop or self.stop
        if kwargs.get("logprobs", self.logprobs):
            sampling["logprobs"] = kwargs.get("top_logprobs", self.top_logprobs) or 0
        tools, choice = kwargs.get("tools"), kwargs.get("tool_choice", "auto")
        schema = kwargs.get("json_schema")
        if tools and choice not in ("auto", "none"):
            schema = call_schema(forced(tools, choice))
        converted: Any = convert_to_openai_messages(messages)
        return Generation(converted, sampling, schema, tools)

    def _result(self, output: "RequestOutput", kwargs: Mapping[str, Any]) -> ChatResult:
        usage = usage_of(output, sum(len(made.token_ids) for made in output.outputs))
        generations = []
        for at, made in enumerate(output.outputs):
            fields: dict[str, Any] = {"content": made.text}
            if kwargs.get("tools"):
                fields = self._calls(made.text, kwargs)
            message = AIMessage(
                **fields,
                response_metadata=metadata_of(self.model, made),
                usage_metadata=usage if at == 0 else None,
            )
            generations.append(ChatGeneration(message=message))
        return ChatResult(generations=generations)

    def _calls(self, text: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the message fields for a text that may call a tool."""
        tools, choice = kwargs["tools"], kwargs.get("tool_choice", "auto")
        parser = self.engine.options.tool_call_parser
        if choice == "none" or (choice == "auto" and parser is None):
            return {"content": text}
        if choice == "auto" and parser is not None:
            words, calls = own_calls(parser, self.engine.tokenizer(), tools, text)
            return {"content": words, "tool_calls": calls}
        sound, wrong = forced_call(forced(tools, choice), text)
        return {"content": "", "tool_calls": sound, "invalid_tool_calls": wrong}

    def _chunk(
        self, output: "RequestOutput", piece: "CompletionOutput", written: int
    ) -> ChatGenerationChunk:
        metadata: dict[str, Any] = {}
        if output.finished or piece.logprobs is not None:
            metadata = metadata_of(self.model, piece)
            metadata = {name: value for name, value in metadata.items() if value is not None}
        if not output.finished:
            metadata = {name: metadata[name] for name in ("logprobs",) if name in metadata}
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content=piece.text,
                response_metadata=metadata,
                usage_metadata=usage_of(output, written) if output.finished else None,
                chunk_position="last" if output.finished else None,
            )
        )


def _whole(result: ChatResult) -> ChatGenerationChunk:
    """Return a complete answer as a single chunk."""
    message = result.generations[0].message
    assert isinstance(message, AIMessage)
    calls = [*message.tool_calls, *message.invalid_tool_calls]
    chunks = [
        ToolCallChunk(
            type="tool_call_chunk",
            name=call["name"],
            args=call["args"] if isinstance(call["args"], str) else json.dumps(call["args"]),
            id=call["id"],
            index=at,
        )
        for at, call in enumerate(calls)
    ]
    return ChatGenerationChunk(
        message=AIMessageChunk(
            content=message.content,
            tool_call_chunks=chunks,
            response_metadata=message.response_metadata,
            usage_metadata=message.usage_metadata,
            chunk_position="last",
        )
    )
