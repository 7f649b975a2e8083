"""Asking a person at a terminal what to do with a draft."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.syntax import Syntax

from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.tools.person import PersonAnswer, Question

_CHOICES = "[a]pprove, [w]ords for the coder, [e]dit the code, [s]top"
_LISTEN_SECONDS = 0.25


def ask_person(question: Question, console: Console) -> PersonAnswer:
    """Show the draft and what it did, and return the person's decision."""
    if question.code:
        console.print(Syntax(printable(question.code), "python", background_color="default"))
    console.print(printable(question.result), markup=False)
    console.print(printable(f"turn {question.turn}: {question.verdict}"), markup=False)
    while True:
        choice = click.prompt(_CHOICES, default="w", err=True)[:1].lower()
        if choice == "a":
            return PersonAnswer(action="approve")
        if choice == "s":
            return PersonAnswer(action="stop")
        if choice == "w" and (words := click.prompt("words", err=True).strip()):
            return PersonAnswer(action="words", text=words)
        if choice == "e":
            if edited := _edited(question.code or "", console):
                return PersonAnswer(action="edit", text=edited)
            console.print("nothing was changed")


def _edited(code: str, console: Console) -> str:
    """Return what a person makes of `code` in their editor, which has Ctrl-C to itself."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    # Not ignored, which the editor would inherit.
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
    """Make Ctrl-C end a prompt at whatever moment it comes.

    `input` drops an exception that comes while it writes its prompt, and a signal that comes just
    before it reads does not wake it: so a clock asks again whether Ctrl-C was pressed.
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
