"""Kind: a subclass with lying methods. Honest: fail, fail."""


class Liar(float):
    def __eq__(self, other):
        return True

    def __sub__(self, other):
        return 0.0

    __rsub__ = __sub__


def total(numbers):
    return Liar(0.5)
