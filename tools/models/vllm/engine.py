"""vLLM's asynchronous engine in this process, in a thread with its own event loop.

Any event loop or thread can call it there. Its start, which takes a minute, and its tokenizer do
not block the caller's loop.
"""

import asyncio
import concurrent.futures
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.models.vllm.options import (
    VLLMOptions,
    check_engine_options,
    prepare_environment,
)

if TYPE_CHECKING:
    from vllm.outputs import RequestOutput
    from vllm.v1.engine.async_llm import AsyncLLM

T = TypeVar("T")

_END_SECONDS = 20.0


@dataclass(frozen=True)
class Generation:
    """One request to the engine."""

    messages: Sequence[Mapping[str, Any]]
    """In OpenAI's form."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """By the names of vLLM's SamplingParams; the model's defaults apply to the rest."""
    json_schema: Mapping[str, Any] | None = None
    tools: Sequence[Mapping[str, Any]] | None = None


class Engine:
    """One engine for all roles and runs; rebuilt at the next call after it has died."""

    def __init__(self, spec: str, options: VLLMOptions) -> None:
        self.spec = spec
        self.options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=spec, daemon=True)
        self._thread.start()
        self._building = asyncio.Lock()
        self._llm: AsyncLLM | None = None

    async def start(self) -> None:
        """Build the engine.

        Raises InputError if the model or an option is invalid, ModelError for other failures.
        """
        await asyncio.wrap_future(self._submit(self._alive()))

    async def generate(self, asked: Generation) -> "RequestOutput":
        """Return the complete output; cancelling the caller aborts the request."""
        return await asyncio.wrap_future(self._submit(self._finished(asked)))

    def generate_blocking(self, asked: Generation) -> "RequestOutput":
        """Return the complete output, for a caller without an event loop."""
        return self._submit(self._finished(asked)).result()

    async def stream(self, asked: Generation) -> AsyncIterator["RequestOutput"]:
        """Yield each new piece of the output; closing the iterator aborts the request."""
        caller = asyncio.get_running_loop()
        queue: asyncio.Queue[RequestOutput | None] = asyncio.Queue()

        def put(output: "RequestOutput | None") -> None:
            caller.call_soon_threadsafe(queue.put_nowait, output)

        pumping = self._submit(self._pumped(asked, put))
        try:
            while (output := await queue.get()) is not None:
                yield output
            await asyncio.wrap_future(pumping)
        finally:
            pumping.cancel()

    def stream_blocking(self, asked: Generation) -> Iterator["RequestOutput"]:
        """Yield each new piece of the output, for a caller without an event loop."""
        queue: SimpleQueue[RequestOutput | None] = SimpleQueue()
        pumping = self._submit(self._pumped(asked, queue.put))
        try:
            while (output := queue.get()) is not None:
                yield output
            pumping.result()
        finally:
            pumping.cancel()

    def tokenizer(self) -> Any:
        """Return the model's tokenizer."""
        assert self._llm is not None, "start() comes first"
        return self._llm.get_tokenizer()

    async def unfinished(self) -> int:
        """Return the number of unfinished requests."""
        llm = await asyncio.wrap_future(self._submit(self._alive()))
        return len(llm.output_processor.request_states)

    async def close(self) -> None:
        """Stop the engine and its processes."""
        await asyncio.shield(asyncio.to_thread(self._close))

    def _close(self) -> None:
        self._submit(self._ended()).result(_END_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)
        self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _ended(self) -> None:
        if self._llm is not None:
            self._llm.shutdown()
            self._llm = None
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _alive(self) -> "AsyncLLM":
        async with self._building:
            if self._llm is not None and self._llm.errored:
                self._llm.shutdown()
                self._llm = None
            if self._llm is None:
                self._llm = _built(self.spec, self.options)
            return self._llm

    async def _finished(self, asked: Generation) -> "RequestOutput":
        last: RequestOutput | None = None
        async for output in self._outputs(asked, delta=False):
            last = output
        assert last is not None, "vLLM ends every request with an output"
        return last

    async def _pumped(
        self, asked: Generation, put: Callable[["RequestOutput | None"], None]
    ) -> None:
        """Call `put` with each piece of the output, then with None, also after a failure."""
        try:
            async for output in self._outputs(asked, delta=True):
                put(output)
        finally:
            put(None)

    async def _outputs(self, asked: Generation, delta: bool) -> AsyncIterator["RequestOutput"]:
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        llm = await self._alive()
        schema = asked.json_schema
        given = {name: value for name, value in asked.sampling.items() if value is not None}
        sampling = SamplingParams(
            **{**llm.model_config.get_diff_sampling_param(), **given},
            output_kind=RequestOutputKind.DELTA if delta else RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(json=dict(schema)) if schema else None,
        )
        prompt = await self._prompt(llm, asked)
        async for output in llm.generate(prompt, sampling, uuid.uuid4().hex):
            yield output

    async def _prompt(self, llm: "AsyncLLM", asked: Generation) -> Any:
        from vllm.renderers import ChatParams

        template: dict[str, Any] = {"add_generation_prompt": True}
        if asked.tools:
            template["tools"] = list(asked.tools)
        chat: Any = [dict(message) for message in asked.messages]
        params = ChatParams(chat_template=self.options.chat_template, chat_template_kwargs=template)
        _, prompts = await llm.renderer.render_chat_async([chat], params)
        return prompts[0]


def _built(spec: str, options: VLLMOptions) -> "AsyncLLM":
    prepare_environment()
    check_engine_options(spec, options)
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        args: Any = {"model": options.model, **options.engine}
        config = AsyncEngineArgs(**args).create_engine_config()
    except Exception as error:  # from pydantic, transformers, torch …: all mean a wrong option
        raise InputError(f"{spec}: vLLM rejects the model or an option: {_line(error)}") from error
    try:
        return AsyncLLM.from_vllm_config(config)
    except Exception as error:
        raise ModelError(
            f"{spec}: vLLM's engine did not start: {_line(error)}; see its log, and try "
            "less memory (client.engine.gpu_memory_utilization, kv_cache_memory_bytes)"
        ) from error


def _line(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 400 else f"{words[:400]}…"


@asynccontextmanager
async def open_engine(spec: str, options: VLLMOptions) -> AsyncIterator[Engine]:
    """Yield a running engine; it and its processes stop when the context ends.

    Raises InputError if the model or an option is invalid, ModelError if the engine does not start.
    """
    engine = Engine(spec, options)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()
