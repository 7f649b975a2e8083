"""Groups of options: a verb takes them as dataclasses, and typer sees one option per field."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, cast


def flattened(verb: Callable[..., None]) -> Callable[..., None]:
    """Return `verb` for typer, with the fields of its dataclass parameters as its own parameters.

    Fields are annotated as a verb's parameters are: `name: Annotated[type, typer.Option(…)]`.
    """
    parameters = inspect.signature(verb).parameters
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @functools.wraps(verb)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        verb(**given)

    def flat() -> Iterator[inspect.Parameter]:
        for name, parameter in parameters.items():
            if name in groups:
                yield from map(_parameter, fields(groups[name]))
            else:
                yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)

    cast(Any, run).__signature__ = inspect.Signature(list(flat()))
    return run


def _parameter(field: Field[Any]) -> inspect.Parameter:
    default = inspect.Parameter.empty
    if field.default is not MISSING:
        default = field.default
    elif field.default_factory is not MISSING:
        default = field.default_factory()
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field.type
    )
