"""Asking a person at a terminal what to do with a draft."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.syntax import Syntax

from opencodeinterpreter.tools.person import PersonAnswer, Question
from opencodeinterpreter.tools.printable import printable

_CHOICES = "[a]pprove, [w]ords for the coder, [e]dit the code, [s]top"
_LISTEN_SECONDS = 0.25


def ask_person(question: Question, console: Console) -> PersonAnswer:
    """Show the draft and what it did, and return the person's decision.

    What is typed instead of a choice is words for the coder.
    """
    if question.code:
        console.print(Syntax(printable(question.code), "python", background_color="default"))
    console.print(printable(question.result), markup=False)
    console.print(printable(f"turn {question.turn}: {question.verdict}"), markup=False)
    while True:
        typed = click.prompt(_CHOICES, default="w", err=True).strip()
        match typed.lower():
            case "a" | "approve":
                return PersonAnswer(action="approve")
            case "s" | "stop":
                return PersonAnswer(action="stop")
            case "w" | "words":
                if words := click.prompt("words", err=True).strip():
                    return PersonAnswer(action="words", text=words)
            case "e" | "edit":
                if edited := _edited(question.code or "", console):
                    return PersonAnswer(action="edit", text=edited)
                console.print("nothing was changed")
            case words if len(words) > 1:  # a sentence that begins with an a approves nothing
                return PersonAnswer(action="words", text=typed)
            case _:
                console.print(f"there is no choice {printable(typed)!r}", markup=False)


def _edited(code: str, console: Console) -> str:
    """Open `code` in the person's editor and return the result; Ctrl-C goes to the editor alone."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    # A handler and not SIG_IGN: the editor would inherit that.
    handler = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        edited = click.edit(code, extension=".py") or ""
        return edited if edited.strip() else ""
    except click.ClickException as error:
        console.print(f"{error.message}; EDITOR names another", markup=False)
        return ""
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.setitimer(signal.ITIMER_REAL, _LISTEN_SECONDS, _LISTEN_SECONDS)


@contextmanager
def ctrl_c_heard() -> Iterator[None]:
    """Make Ctrl-C end a prompt at any moment.

    `input` drops an exception that is raised while it writes its prompt, and a signal just before
    it reads does not wake it. A timer therefore checks again whether Ctrl-C was pressed.
    """
    pressed = False

    def hear(number: int, _frame: object) -> None:
        nonlocal pressed
        if number == signal.SIGINT:
            pressed = True
            signal.setitimer(signal.ITIMER_REAL, _LISTEN_SECONDS, _LISTEN_SECONDS)
        if pressed:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_REAL, _LISTEN_SECONDS, _LISTEN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
