"""The commands of a chat: lines that begin with a slash."""

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from opencodeinterpreter.cli.chat.talk import Talk
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable

Words = Sequence[str]


class Left(Exception):
    """A person has left the chat."""


class Command(NamedTuple):
    """A command: what it takes, what it does, and the function that does it.

    The function returns the text to start the next line from, mostly an empty one.
    """

    takes: str
    does: str
    run: Callable[[Talk, Words], Awaitable[str]]


async def do(talk: Talk, line: str) -> str:
    """Run the command in a line; raises InputError, Left, Stopped, or what the work raises."""
    name, _, rest = line.strip().partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise InputError(f"there is no command {name}; /help lists them")
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None
    if words and not command.takes:
        raise InputError(f"{name} takes no argument")
    return await command.run(talk, words)


async def _add(talk: Talk, words: Words) -> str:
    return _told(talk, talk.add(words))


async def _files(talk: Talk, words: Words) -> str:
    return _told(talk, *talk.files())


async def _save(talk: Talk, words: Words) -> str:
    if len(words) > 1:
        raise InputError("name one folder: /save [DIR]")
    short = talk.run.row.short if talk.run else ""
    return _told(talk, talk.save(words[0] if words else f"chat-{short}"))


async def _undo(talk: Talk, words: Words) -> str:
    told, text = await talk.undo()
    _told(talk, told)
    return text


async def _branch(talk: Talk, words: Words) -> str:
    if words and not (len(words) == 1 and words[0].isdecimal()):
        raise InputError(f"name a message by its number: /branch [N]; there are {talk.messages}")
    return _told(talk, await talk.branch(int(words[0]) if words else talk.messages))


async def _retry(talk: Talk, words: Words) -> str:
    await talk.work()
    return ""


async def _help(talk: Talk, words: Words) -> str:
    lines = [f"{f'{name} {each.takes}':<16}{each.does}" for name, each in COMMANDS.items()]
    return _told(talk, *lines, "Everything else is a message. Alt-Enter begins a new line.")


async def _quit(talk: Talk, words: Words) -> str:
    raise Left


def _told(talk: Talk, *lines: str) -> str:
    for line in lines:
        talk.showing.console.print(printable(line))
    return ""


COMMANDS: Mapping[str, Command] = {
    "/add": Command("FILE…", "send files with the next message", _add),
    "/files": Command("", "list the files of this session", _files),
    "/save": Command("[DIR]", "write the programs and their files into a new folder", _save),
    "/undo": Command("", "go on without the last message", _undo),
    "/branch": Command("[N]", "go on in a branch that ends after message N", _branch),
    "/retry": Command("", "go on with a message that was stopped or failed", _retry),
    "/help": Command("", "list these commands", _help),
    "/quit": Command("", "leave; the chat is stored (also Ctrl-D)", _quit),
}
