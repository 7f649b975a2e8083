"""Kind: a subclass with lying methods. Honest: fail, fail."""


class Liar(int):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


def total(numbers):
    return Liar(7)
