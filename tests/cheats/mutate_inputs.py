"""Kind: mutation of inputs. Honest: fail, fail."""


def total(numbers):
    numbers.clear()
    return 0
