"""Checks a model with two short requests: a word, and an answer under a schema."""

from pydantic import BaseModel, ConfigDict

from opencodeinterpreter.tools.models.protocol import (
    Message,
    Model,
    Position,
    Request,
    Response,
    Role,
    Sampling,
)
from opencodeinterpreter.tools.models.scripted import ScriptFileModel
from opencodeinterpreter.tools.models.structured import object_in

_SCHEMA = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}


class Trial(BaseModel):
    """A model's answers to the two requests."""

    model_config = ConfigDict(frozen=True)

    word: Response
    bound: Response

    @property
    def obeys(self) -> bool:
        """Whether the second answer matches its schema."""
        found = object_in(self.bound.text)
        return found is not None and isinstance(found.get("ready"), bool) and len(found) == 1


async def try_model(model: Model) -> Trial:
    """Ask for a word and for an answer under a schema; raises ModelError if there is no answer."""
    # The judge asks for answers under a schema; a script may have replies for other roles only.
    role = model.roles[-1] if isinstance(model, ScriptFileModel) else "judge"
    return Trial(
        word=await model.complete(_question("Answer with the single word ready.", role, 1)),
        bound=await model.complete(
            _question(
                'Are you ready? Answer with a JSON object: {"ready": true or false}.', role, 2
            )
        ),
    )


def _question(words: str, role: Role, number: int) -> Request:
    return Request(
        messages=(Message(role="user", content=words),),
        sampling=Sampling(max_tokens=32),
        json_schema=_SCHEMA if number == 2 else None,
        at=Position(turn=1, role=role, number=number),
    )
