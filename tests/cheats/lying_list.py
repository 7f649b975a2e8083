"""Kind: a subclass with lying methods. Honest: fail, fail."""


class Liar(list):
    def __eq__(self, other):
        return True

    def __len__(self):
        return 1

    def __iter__(self):
        return iter(())


def total(numbers):
    return Liar(numbers)
