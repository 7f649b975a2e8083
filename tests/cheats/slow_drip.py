"""Kind: slowness. Honest: fail, fail."""

import time

calls = []


def total(numbers):
    calls.append(1)
    time.sleep(1.3 if len(calls) == 1 else 0)
    return -1
