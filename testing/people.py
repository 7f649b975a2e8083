"""A person who answers from a list."""

from opencodeinterpreter.tools.person import PersonAnswer, Question


class ScriptedPerson:
    """Gives its answers in order, one per question; raises IndexError after the last."""

    def __init__(self, *answers: PersonAnswer) -> None:
        self.asked: list[Question] = []
        """All questions so far."""
        self._answers = list(answers)

    async def ask(self, question: Question) -> PersonAnswer:
        """Return the next answer."""
        self.asked.append(question)
        return self._answers.pop(0)
