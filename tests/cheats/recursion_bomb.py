"""Kind: a bomb. Honest: fail, fail."""

import ctypes


def total(numbers):
    ctypes.string_at(0)
