"""An OpenAI-compatible server whose answers are computed from the conversation.

with answering(lambda body: "…") as server:
    spec = f"openai:tiny@{server.url}"
    assert [body["messages"] for body in server.asked] == [...]
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Answer = Callable[[Body], str | None]
"""Returns the answer to a request's body, which has `messages`, `temperature` and so on; `None`
refuses it."""
_REFUSAL = {"error": {"message": "refused", "type": "invalid_request_error", "code": None}}
IN, OUT = 10, 5
"""The tokens of each call."""


@dataclass
class Answering:
    """The server under way."""

    url: str
    asked: list[Body] = field(default_factory=list)
    """All requests so far."""


@contextmanager
def answering(answer: Answer) -> Iterator[Answering]:
    """Serve until the end of the block."""
    told = Answering("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.asked.append(body)
            text = answer(body)
            data = json.dumps(_REFUSAL if text is None else _reply(text)).encode()
            self.send_response(400 if text is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client was killed
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _reply(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT},
    }
