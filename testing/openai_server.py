"""A local server of OpenAI's chat API that misbehaves on request.

    async with OpenAIServer(["def f(): ...", Refusal(429, retry_after=0.1), Silence()]) as server:
        spec = f"openai:tiny@{server.url}"

    with serve(...) as server:      # the same, in another thread

Each chat request takes the next step of the script; the last step is repeated. A step is a text,
a `Reply` or one of the faults. `requests` holds the requests received so far.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """An answer, streamed word by word if the request asks for streaming."""

    text: str
    finish: str | None = "stop"
    usage: bool = True
    cached_tokens: int | None = None
    thinking: str = ""
    """What the model says to itself, sent in a field of its own."""
    thinking_in: str = "reasoning_content"
    """The name of that field; some servers say `reasoning`."""
    call: str | None = None
    """The arguments of a tool call, sent instead of the text."""
    repeat: bool = False
    """Whether each piece of a stream has usage and finish reason, and not the last one alone."""
    done: bool = True
    """Whether a stream ends with its end marker."""
    delay: float = 0.0
    pause: float = 0.0
    """Seconds between two words of a stream."""


@dataclass(frozen=True)
class Refusal:
    """An HTTP error in OpenAI's form."""

    status: int
    message: str = "refused by the script"
    retry_after: float | None = None
    code: str | None = None


@dataclass(frozen=True)
class ErrorAnswer:
    """An error object where an answer is due, under HTTP 200."""

    code: int | str | None
    message: str = "Provider returned an error"
    in_choice: bool = False
    """Whether it is part of a choice that also has half an answer."""


@dataclass(frozen=True)
class Template:
    """What a server's chat template accepts; anything else is HTTP 400."""

    system: bool = True
    empty: bool = True
    """Whether an assistant's message may be empty."""
    repeats: bool = True
    """Whether two messages in a row may have the same role."""

    def refusal(self, messages: Sequence[dict[str, Any]]) -> str | None:
        """Return what is said against these messages; `None` if they are accepted."""
        roles = [message["role"] for message in messages]
        if not self.system and "system" in roles:
            return "System role not supported"
        if not self.empty and not all(message.get("content") for message in messages):
            return "Assistant message must contain either 'content' or 'tool_calls'!"
        if not self.repeats and roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
            return "Conversation roles must alternate user/assistant/user/assistant/..."
        return None


@dataclass(frozen=True)
class Silence:
    """No answer, until the client goes away."""


@dataclass(frozen=True)
class Hangup:
    """The connection is closed: after `after` words of a streamed reply, or at once."""

    after: int | None = None
    in_body: bool = False
    """Whether to send the response headers first."""


@dataclass(frozen=True)
class Raw:
    """A response body, sent unchanged."""

    body: str
    content_type: str = "application/json"
    cut: bool = False
    """Whether Content-Length is larger than the body."""


Step = str | Reply | Refusal | ErrorAnswer | Silence | Hangup | Raw

OVERFLOW = Refusal(400, "This model's maximum context length is 2048 tokens.")
GARBAGE = Raw("{ this is no JSON")
NO_CHOICES = Raw('{"id": "x", "object": "chat.completion", "model": "tiny", "choices": []}')


@dataclass(frozen=True)
class Received:
    """A received request."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: dict[str, Any]

    @property
    def last(self) -> str:
        """The last message's text."""
        return str(self.body["messages"][-1]["content"])


class OpenAIServer:
    """The server; see the module's docstring. `async with` starts and stops it."""

    def __init__(
        self,
        script: Sequence[Step] = ("ok",),
        model: str = "tiny",
        template: Template = Template(),
    ) -> None:
        self.script: Sequence[Step] = script
        self.model = model
        self.template = template
        self.requests: list[Received] = []
        self.answered = 0
        """How many requests the template accepted: each took a step of the script."""
        self.asked = asyncio.Event()
        self.abandoned = asyncio.Event()
        """Set when a client goes away before it has its answer."""
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.abandoned.set()
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await _received(reader)
        if received.path.endswith("/models"):
            models = {"object": "list", "data": [{"id": self.model, "object": "model"}]}
            return await _send(writer, 200, json.dumps(models))
        self.requests.append(received)
        self.asked.set()
        if complaint := self.template.refusal(received.body["messages"]):
            error = {"message": complaint, "type": "BadRequestError", "code": 400}
            return await _send(writer, 400, json.dumps({"error": error}))
        self.answered += 1
        match self.script[min(self.answered, len(self.script)) - 1]:
            case str(text):
                await self._reply(reader, writer, received, Reply(text))
            case Reply() as reply:
                await self._reply(reader, writer, received, reply)
            case Refusal() as refusal:
                error = {"message": refusal.message, "code": refusal.code, "type": "scripted"}
                after = refusal.retry_after
                extra = {} if after is None else {"Retry-After": f"{after:g}"}
                await _send(writer, refusal.status, json.dumps({"error": error}), extra)
            case ErrorAnswer() as answer:
                await self._error(writer, answer, stream=bool(received.body.get("stream")))
            case Silence():
                await self._gone(reader, None)
            case Hangup(after=after, in_body=in_body):
                if in_body:
                    await _send(writer, 200, "", {"Content-Length": "1000"})
                if after is not None:
                    await self._stream(writer, Reply("word " * 50), after)
            case Raw(body, content_type, cut):
                promised = {"Content-Length": str(len(body) + 100)} if cut else {}
                await _send(writer, 200, body, {"Content-Type": content_type, **promised})
        return None

    async def _error(
        self, writer: asyncio.StreamWriter, answer: ErrorAnswer, *, stream: bool
    ) -> None:
        error = {"message": answer.message, "code": answer.code}
        body: dict[str, Any] = {"id": None, "choices": None, "model": None, "error": error}
        if answer.in_choice:
            half = {"role": "assistant", "content": "def dou"}
            place = {"index": 0, "delta" if stream else "message": half, "error": error}
            body = self._envelope("chat.completion", [{**place, "finish_reason": "error"}])
        if stream:
            text = f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n"
            await _send(writer, 200, text, {"Content-Type": "text/event-stream"})
        else:
            await _send(writer, 200, json.dumps(body))

    async def _gone(self, reader: asyncio.StreamReader, seconds: float | None) -> bool:
        """Wait until the client goes away, at most `seconds`; return whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await reader.read()
        except TimeoutError:
            return False
        self.abandoned.set()
        return True

    async def _reply(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        received: Received,
        reply: Reply,
    ) -> None:
        if reply.delay and await self._gone(reader, reply.delay):
            return
        if received.body.get("stream"):
            await self._stream(writer, reply, None)
            return
        choice = {"index": 0, "message": _message(reply), "finish_reason": reply.finish}
        body = self._envelope("chat.completion", [choice])
        await _send(writer, 200, json.dumps({**body, "usage": _usage(reply)}))

    async def _stream(self, writer: asyncio.StreamWriter, reply: Reply, cut: int | None) -> None:
        writer.write(_head(200, {"Content-Type": "text/event-stream"}, chunked=True))
        repeated = {"usage": _usage(reply)} if reply.repeat else {}
        finish = {"finish_reason": reply.finish if reply.repeat else None}
        for piece in _pieces(reply)[:cut]:
            delta = {"index": 0, "delta": {"role": "assistant", **piece}, **finish}
            await self._event(writer, [delta], **repeated)
            await asyncio.sleep(reply.pause)
        if cut is not None:
            return
        ending = {"index": 0, "delta": {}, "finish_reason": reply.finish}
        await self._event(writer, [ending], **repeated)
        if reply.usage:
            await self._event(writer, [], usage=_usage(reply))
        if reply.done:
            _chunk(writer, "data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _event(
        self, writer: asyncio.StreamWriter, choices: list[dict[str, Any]], **more: Any
    ) -> None:
        data = {**self._envelope("chat.completion.chunk", choices), **more}
        _chunk(writer, f"data: {json.dumps(data)}\n\n")
        await writer.drain()

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": "x", "object": kind, "created": 0, "model": self.model, "choices": choices}


@contextlib.contextmanager
def serve(
    script: Sequence[Step] = ("ok",),
    model: str = "tiny",
    template: Template = Template(),
) -> Iterator[OpenAIServer]:
    """Run the server in another thread, for tests that start programs."""
    server = OpenAIServer(script, model, template)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def run() -> None:
        async with server:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        ready.wait(30)
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


async def _received(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    lines = [line.partition(":") for line in head[1:] if line]
    headers = {name.lower(): value.strip() for name, _, value in lines}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(head[0].split(" ")[1], headers, json.loads(body) if body else {})


def _message(reply: Reply) -> dict[str, Any]:
    """Return the message of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.call is not None:
        message |= {"content": None, "tool_calls": [_tool_call(reply.call)]}
    return message | ({reply.thinking_in: reply.thinking} if reply.thinking else {})


def _pieces(reply: Reply) -> list[dict[str, Any]]:
    """Return the deltas of a stream: thinking and text word by word, a tool call at once."""
    pieces: list[dict[str, Any]] = []
    for name, text in ((reply.thinking_in, reply.thinking), ("content", reply.text)):
        words = text.split(" ") if text or name == "content" else []
        pieces += [{name: word if at == 0 else f" {word}"} for at, word in enumerate(words)]
    if reply.call is not None:
        pieces.append({"tool_calls": [{"index": 0, **_tool_call(reply.call)}]})
    return pieces


def _tool_call(arguments: str) -> dict[str, Any]:
    return {
        "id": "call_1",
        "type": "function",
        "function": {"name": "python", "arguments": arguments},
    }


def _usage(reply: Reply) -> dict[str, Any] | None:
    if not reply.usage:
        return None
    words = len(reply.text.split())
    usage: dict[str, Any] = {
        "prompt_tokens": 7,
        "completion_tokens": words,
        "total_tokens": 7 + words,
    }
    if reply.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": reply.cached_tokens}
    return usage


def _head(status: int, headers: dict[str, str], *, chunked: bool = False) -> bytes:
    more = {"Transfer-Encoding": "chunked"} if chunked else {}
    lines = [f"{name}: {value}" for name, value in {**headers, **more}.items()]
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "Connection: close", "", ""]).encode()


def _chunk(writer: asyncio.StreamWriter, text: str) -> None:
    data = text.encode()
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def _send(
    writer: asyncio.StreamWriter, status: int, text: str, extra: dict[str, str] | None = None
) -> None:
    body = text.encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    writer.write(_head(status, {**headers, **(extra or {})}) + body)
    await writer.drain()
