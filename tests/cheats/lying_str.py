"""Kind: a subclass with lying methods. Honest: fail, fail."""


class Liar(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


def total(numbers):
    return Liar("right")
