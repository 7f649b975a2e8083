"""Compile a table of allowed system calls into a seccomp filter.

The filter is a balanced tree over the call number. The kernel runs it for every call, and for
every number when it loads the filter, so its cost is the depth of the tree.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

KILL = 0x80000000
ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
EPERM = _ERRNO | 1
ENOSYS = _ERRNO | 38
ENOTSUP = _ERRNO | 95

_LOAD, _AND, _JUMP, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
"""Numbers from here on belong to the x32 ABI of x86-64, which is not supported."""
_ELSE = -1
"""A jump to the end of the current alternative."""


@dataclass(frozen=True)
class Where:
    """Argument number `argument`, masked, must be one of `values` (at most 32 bits wide)."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF


Conditions = tuple[tuple[Where, ...], ...]
"""Alternatives: the call is allowed if all conditions of one of them hold."""
Action = int | Conditions
_Instruction = tuple[int, int, int, int]


def compile_filter(actions: Mapping[int, Action], machine: str) -> bytes:
    """Return the filter program for `actions` by call number; other calls fail with EPERM.

    A call of another architecture kills the process.
    """
    program: list[_Instruction] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _ARCHITECTURE[machine]),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, 0),
        *_tree(_segments(actions)),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _segments(actions: Mapping[int, Action]) -> list[tuple[int, Action]]:
    """Split the numbers into ranges with one action each, given by their start."""
    starts: dict[int, Action] = {0: EPERM, _X32: KILL}
    for number in sorted(actions):
        starts[number] = actions[number]
        starts.setdefault(number + 1, EPERM)
    merged: list[tuple[int, Action]] = []
    for start, action in sorted(starts.items(), key=lambda item: item[0]):
        if not merged or merged[-1][1] != action:
            merged.append((start, action))
    return merged


def _tree(segments: list[tuple[int, Action]]) -> list[_Instruction]:
    if len(segments) == 1:
        return _leaf(segments[0][1])
    middle = len(segments) // 2
    left, right = _tree(segments[:middle]), _tree(segments[middle:])
    pivot = segments[middle][0]
    if len(left) < 256:
        return [(_AT_LEAST, len(left), 0, pivot), *left, *right]
    return [(_AT_LEAST, 0, 1, pivot), (_JUMP, 0, 0, len(left)), *left, *right]


def _leaf(action: Action) -> list[_Instruction]:
    if isinstance(action, int):
        return [(_RETURN, 0, 0, action)]
    code: list[_Instruction] = []
    for alternative in action:
        checks = [step for where in alternative for step in _check(where)]
        checks.append((_RETURN, 0, 0, ALLOW))
        code += [_resolve(step, len(checks) - at - 1) for at, step in enumerate(checks)]
    return [*code, (_RETURN, 0, 0, EPERM)]


def _check(where: Where) -> list[_Instruction]:
    low = 16 + 8 * where.argument
    code: list[_Instruction] = [(_LOAD, 0, 0, low)]
    if where.mask & 0xFFFFFFFF != 0xFFFFFFFF:
        code.append((_AND, 0, 0, where.mask & 0xFFFFFFFF))
    last = len(where.values) - 1
    for at, value in enumerate(where.values):
        code.append((_EQUAL, last - at, _ELSE if at == last else 0, value))
    if where.mask >> 32:
        code += [(_LOAD, 0, 0, low + 4), (_EQUAL, 0, _ELSE, 0)]
    return code


def _resolve(step: _Instruction, rest: int) -> _Instruction:
    code, yes, no, value = step
    return (code, rest if yes == _ELSE else yes, rest if no == _ELSE else no, value)
