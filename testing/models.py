"""A model that answers from a list, by turn."""

from collections.abc import Iterable, Sequence

from opencodeinterpreter.tools.errors import ModelError
from opencodeinterpreter.tools.models.protocol import Request, Response, Usage

USAGE = Usage(input_tokens=10, output_tokens=5)
"""The usage of each call, unless another is given."""


class ScriptedModel:
    """Answers turn k with `replies[k - 1]`; the last entry answers all later turns.

    An entry with several texts answers the n-th call of its turn (the n-th draft, a question
    asked again) with the n-th, and further calls with the last. Answers depend on the position of
    a call alone, so a resumed run gets the same answers as an uninterrupted one. To read replies
    from a file, use the spec `scripted:FILE`.

    The first call at each turn in `fails_at` raises ModelError.
    """

    def __init__(
        self,
        replies: Sequence[str | Sequence[str]],
        *,
        spec: str = "scripted:test",
        usage: Usage | None = USAGE,
        fails_at: Iterable[int] = (),
    ) -> None:
        self.spec = spec
        self.asked: list[Request] = []
        """All requests so far."""
        self.fails_at = set(fails_at)
        self._replies = replies
        self._usage = usage

    async def complete(self, request: Request) -> Response:
        """Return the reply for the position of `request`."""
        self.asked.append(request)
        if request.at.turn in self.fails_at:
            self.fails_at.remove(request.at.turn)
            raise ModelError("the server at 'example' can't be reached")
        entry = self._replies[min(request.at.turn, len(self._replies)) - 1]
        texts = [entry] if isinstance(entry, str) else entry
        text = texts[min(request.at.number, len(texts)) - 1]
        return Response(text=text, model=self.spec, usage=self._usage, seconds=0.5)


def draft(code: str, words: str = "Here it is.") -> str:
    """Return a coder's response: `words`, then `code` in a fenced block."""
    return f"{words}\n\n```python\n{code}\n```\n"
