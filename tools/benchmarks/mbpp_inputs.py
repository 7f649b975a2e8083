"""Convert MBPP+ inputs, which are JSON, to the Python types that each task needs.

The conversions are those of EvalPlus 0.3.1, including their oddities: in task 115 an empty list
means an empty dict.
"""

from collections.abc import Callable, Sequence
from typing import Any

Convert = Callable[[Any], Any]
_Args = Sequence[Any]


def _as_it_is(value: Any) -> Any:
    return value


def _list_of_tuples(value: Any) -> Any:
    return [tuple(item) for item in value]


def _tuple_of_tuples(value: Any) -> Any:
    return tuple(tuple(item) for item in value)


def _tuple_of_mixed(value: Any) -> Any:
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _dict_of_tuples(value: Any) -> Any:
    return {key: tuple(item) for key, item in value.items()}


def _list_of_sets(value: Any) -> Any:
    return [set(item) if isinstance(item, list) and item else {} for item in value]


def _tuples_all_through(value: Any) -> Any:
    return tuple(map(_tuples_all_through, value)) if isinstance(value, list) else value


def _everywhere(convert: Convert) -> Callable[[_Args], _Args]:
    return lambda arguments: [convert(argument) for argument in arguments]


def _in_turn(*converts: Convert) -> Callable[[_Args], _Args]:
    """Convert the first arguments, each by its own function, and keep the others."""

    def convert(arguments: _Args) -> _Args:
        rest = arguments[len(converts) :]
        first = zip(converts, arguments, strict=False)
        return [*(each(argument) for each, argument in first), *rest]

    return convert


_RULES: tuple[tuple[str, Callable[[_Args], _Args]], ...] = (
    (
        "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809",
        _everywhere(tuple),
    ),
    ("63 64 70 94 120 237 272 299 400 409 417 438 473 614 780", _everywhere(_list_of_tuples)),
    ("75 413 444 753", _in_turn(_list_of_tuples)),
    ("106 750", _in_turn(_as_it_is, tuple)),
    ("115", _in_turn(_list_of_sets)),
    ("124", _in_turn(float, complex)),
    ("250 307 405 446 617 720 763 808", _in_turn(tuple)),
    ("252", _in_turn(complex)),
    ("259 401 445", _everywhere(_tuple_of_tuples)),
    ("278", _everywhere(_tuple_of_mixed)),
    ("580 615 791", _everywhere(_tuples_all_through)),
    ("722", _in_turn(_dict_of_tuples)),
)
_CONVERTERS = {int(number): convert for numbers, convert in _RULES for number in numbers.split()}


def python_inputs(task_id: str, inputs: Sequence[_Args]) -> list[_Args]:
    """Return the arguments of each call of an MBPP+ task (`Mbpp/2`) as Python values."""
    convert = _CONVERTERS.get(int(task_id.rpartition("/")[2]))
    return [convert(arguments) for arguments in inputs] if convert else list(inputs)


def json_inputs(task_id: str, inputs: Sequence[_Args]) -> list[_Args]:
    """Return inputs as JSON values, as EvalPlus writes them to its result files."""
    number = int(task_id.rpartition("/")[2])
    if number == 115:
        return [[[list(item) for item in arguments[0]]] for arguments in inputs]
    if number in (124, 252):
        return [[str(argument) for argument in arguments] for arguments in inputs]
    return list(inputs)
