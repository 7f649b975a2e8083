"""The compiled filter, when interpreted, decides each call as the table says."""

import struct
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencodeinterpreter.tools.sandbox.inside.bpf import (
    ALLOW,
    ENOSYS,
    EPERM,
    KILL,
    Action,
    Where,
    compile_filter,
)
from opencodeinterpreter.tools.sandbox.inside.profiles import table as table_of
from opencodeinterpreter.tools.sandbox.inside.syscall_table import MACHINES, number

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def decide(program: bytes, call: int, arguments: tuple[int, ...], architecture: int) -> int:
    """Interpret a seccomp program for one call, as the kernel does."""
    data = struct.pack("<IIQ6Q", call, architecture, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    code = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        operation, yes, no, value = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x05:
            at += value
        elif operation == 0x15:
            at += yes if accumulator == value else no
        elif operation == 0x35:
            at += yes if accumulator >= value else no
        else:
            return int(value)


def meant(actions: Mapping[int, Action], call: int, arguments: tuple[int, ...]) -> int:
    """Return what the table says about a call."""
    action = actions.get(call, EPERM)
    if isinstance(action, int):
        return action

    def holds(where: Where) -> bool:
        value = (*arguments, 0, 0, 0, 0, 0, 0)[where.argument]
        return value & where.mask in where.values

    return ALLOW if any(all(map(holds, alternative)) for alternative in action) else EPERM


wheres = st.builds(
    Where,
    st.integers(0, 5),
    st.lists(st.integers(0, 7), min_size=1, max_size=3).map(tuple),
    st.sampled_from([0xFFFFFFFF, 0x3, 0xFFFFFFFF_FFFFFFFF]),
)
conditions = st.lists(st.lists(wheres, max_size=3).map(tuple), max_size=3).map(tuple)
actions = st.dictionaries(
    st.integers(0, 600), st.sampled_from([ALLOW, ENOSYS, EPERM]) | conditions, max_size=80
)
words = st.integers(0, 8) | st.integers(0, 2**64 - 1)


# No deadline: the machine may be busy.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions, st.integers(0, 700), st.tuples(words, words, words, words, words, words))
def test_the_program_decides_as_the_table_says(
    table: dict[int, Action], call: int, arguments: tuple[int, ...]
) -> None:
    program = compile_filter(table, "x86_64")
    assert decide(program, call, arguments, ARCHITECTURES["x86_64"]) == meant(
        table, call, arguments
    )


@pytest.mark.parametrize(
    ("profile", "tier"), [("pure", "full"), ("proc", "full"), ("pure", "reduced")]
)
def test_a_profile_decides_as_its_table_says_for_every_number(profile: str, tier: str) -> None:
    for machine in MACHINES:
        table = table_of(profile, tier, machine)
        program = compile_filter(table, machine)
        assert len(program) // 8 < 1000
        for call in range(1000):
            for arguments in ((), (1, 1, 1), (0x3D0F00,), (1, 4, 0x2000), (0, 8)):
                wanted = meant(table, call, arguments)
                assert decide(program, call, arguments, ARCHITECTURES[machine]) == wanted


def test_another_architecture_or_table_kills() -> None:
    program = compile_filter(table_of("pure", "full", "x86_64"), "x86_64")
    write = number("write", "x86_64")
    assert write is not None
    assert decide(program, write, (), 0x40000003) == KILL
    assert decide(program, 0x40000000 + write, (), ARCHITECTURES["x86_64"]) == KILL
    assert decide(program, write, (), ARCHITECTURES["x86_64"]) == ALLOW
