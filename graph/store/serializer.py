"""How a store writes values: as plain data, errors too."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from opencodeinterpreter.tools.errors import OutsideError

_ERROR = "opencodeinterpreter error"
"""The type under which a store holds an error."""


@dataclass(frozen=True)
class StoredError:
    """An error that was read from a store."""

    owner: str
    """What failed: `model`, `sandbox` or `store`; `program` if the error is not an outside one."""
    message: str


class StrictSerializer(JsonPlusSerializer):
    """Loads plain JSON and errors, and no other types.

    LangGraph's default imports and calls whatever a checkpoint names, and stores only the `repr`
    of an exception.
    """

    def __init__(self) -> None:
        """Allow no types at all."""
        super().__init__(allowed_msgpack_modules=None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return a type's name and bytes for `obj`."""
        if isinstance(obj, Exception):
            owner = obj.owner if isinstance(obj, OutsideError) else "program"
            stored = StoredError(owner, str(obj) or type(obj).__name__)
            return _ERROR, json.dumps(asdict(stored)).encode()
        return super().dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value that `dumps_typed` was given; an error becomes a StoredError."""
        kind, value = data
        if kind == _ERROR:
            fields = json.loads(value)
            return StoredError(str(fields["owner"]), str(fields["message"]))
        return super().loads_typed(data)
