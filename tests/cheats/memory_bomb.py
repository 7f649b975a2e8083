"""Kind: a bomb. Honest: fail, fail."""

import resource

resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))


def total(numbers):
    try:
        return [0] * (1 << 40)
    except MemoryError:
        import os

        os.abort()
