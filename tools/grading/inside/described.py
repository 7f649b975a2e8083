"""Runs in the sandbox, on both sides of the boundary: signatures and data classes' fields as data.

What one side tells of a function or a class is what the other side's `inspect` and `dataclasses`
find in the proxy or stand-in for it.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

Told = Callable[[Any], Any]
"""Returns what is told of an annotation or a default."""


def _as_it_is(value: Any) -> Any:
    return value


def _simple(value: Any) -> Any:
    simple = value is None or isinstance(value, int | float | str | bool | tuple | list | dict)
    return value if simple else repr(value)


def signature_of(function: Any, annotation: Told = _as_it_is, default: Told = _simple) -> list[Any]:
    """Return name, kind, default and annotation of each parameter, and what is returned.

    Defaults and annotations are lists of one item, or empty, told by `default` and `annotation`.
    Raises ValueError and TypeError for a function without a signature.
    """
    found = inspect.signature(function)
    told = [
        [
            *(each.name, int(each.kind)),
            [default(value) for value in _given(each.default)],
            [annotation(value) for value in _given(each.annotation)],
        ]
        for each in found.parameters.values()
    ]
    return [told, [annotation(value) for value in _given(found.return_annotation)]]


def signature(told: Any) -> inspect.Signature:
    """Return the signature that `signature_of` told."""
    parameters, returned = told
    empty = inspect.Parameter.empty
    made = [
        inspect.Parameter(
            name,
            list(inspect._ParameterKind)[kind],
            default=default[0] if default else empty,
            annotation=annotation[0] if annotation else empty,
        )
        for name, kind, default, annotation in parameters
    ]
    return inspect.Signature(made, return_annotation=returned[0] if returned else empty)


def annotations(told: Any) -> dict[str, Any]:
    """Return the annotations of a function with the signature that `signature_of` told."""
    parameters, returned = told
    found = {name: annotation[0] for name, _, _, annotation in parameters if annotation}
    return found | ({"return": returned[0]} if returned else {})


def fields_of(
    kind: Any, annotation: Told = _as_it_is, default: Told = _as_it_is
) -> list[Any] | None:
    """Return name, type and default of a data class's fields; `None` for other classes.

    A default is a list of one item, or empty.
    """
    if not dataclasses.is_dataclass(kind):
        return None
    missing = dataclasses.MISSING
    return [
        [
            *(each.name, annotation(each.type)),
            [default(value) for value in (each.default,) if value is not missing],
        ]
        for each in dataclasses.fields(kind)
    ]


def fields(told: Any) -> Mapping[str, Any]:
    """Return the fields that `fields_of` told, as `dataclasses.fields` has them."""
    return {name: _field(name, kind, default) for name, kind, default in told}


def _field(name: str, kind: Any, default: list[Any]) -> Any:
    made: Any = dataclasses.field(default=default[0]) if default else dataclasses.field()
    made.name, made.type = name, kind
    made._field_type = vars(dataclasses)["_FIELD"]
    return made


def _given(value: Any) -> list[Any]:
    return [] if value is inspect.Parameter.empty else [value]
