"""Asking a person at a terminal what to do with a draft."""

import click
from rich.console import Console
from rich.syntax import Syntax

from opencodeinterpreter.cli.printable import printable
from opencodeinterpreter.tools.person import Answer, Question

_CHOICES = "[a]pprove, [w]ords for the coder, [e]dit the code, [s]top"


def ask_person(question: Question, console: Console) -> Answer:
    """Show the draft and what it did, and return the person's decision."""
    if question.code:
        console.print(Syntax(printable(question.code), "python", background_color="default"))
    console.print(printable(question.result), markup=False)
    console.print(printable(f"turn {question.turn}: {question.verdict}"), markup=False)
    while True:
        choice = click.prompt(_CHOICES, default="w", err=True)[:1].lower()
        if choice == "a":
            return Answer(action="approve")
        if choice == "s":
            return Answer(action="stop")
        if choice == "w" and (words := click.prompt("words", err=True).strip()):
            return Answer(action="words", text=words)
        if choice == "e":
            edited = click.edit(question.code or "", extension=".py")
            if edited is not None and edited.strip():
                return Answer(action="edit", text=edited)
            console.print("nothing was changed")
