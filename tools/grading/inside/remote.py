"""Runs in the sandbox, on the tests' side: the candidate's module and objects from far away.

All that is done to them is asked of the candidate's process and answered with plain data, further
handles, or an exception. It depends on the standard library, `wire` and nothing else.
"""

import builtins
import types
from collections.abc import Callable, Iterator
from typing import Any

from opencodeinterpreter.tools.grading.inside.wire import Form, WireError, Writer, read

Ask = Callable[[str], str]
"""Sends a request to the candidate's side and returns the reply."""

_SAME_NAME = "abs bool complex float hash int iter len next repr reversed round str"
_OPERATORS = (
    "add delitem floordiv getitem iadd iand ifloordiv ilshift imatmul imod imul index invert ior "
    "ipow irshift isub itruediv ixor lshift matmul mod mul neg pos pow rshift setitem sub truediv "
    "xor contains enter exit"
)
_REFLECTED = "add floordiv lshift matmul mod mul pow rshift sub truediv xor"
_ORDER = "lt le gt ge"


class Link:
    """The tests' end of the boundary."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._writer = Writer(_handle)
        self._kinds: dict[int, type[BaseException]] = {}

    def module(self, number: int) -> types.ModuleType:
        """Return the candidate's module, whose handle is `number`."""
        return _Module(Remote(self, number))

    def do(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call `function`, a handle or the name of a function, on the candidate's side.

        Arguments that the call changed are changed here too. Raises what the candidate raised,
        and TypeError for arguments that can't cross.
        """
        reply = read(self._ask(self._writer.text([function, arguments, named])), other=self._made)
        kind, *told = reply
        if kind == "error":
            raise self.exception(told)
        value, changed = told
        for at, new in changed.items():
            _change(arguments[at], new)
        return value

    def exception(self, told: list[Any]) -> BaseException:
        """Return the exception that a reply tells of."""
        name, others, arguments, text, lines = told
        kind = self._kind(name, others)
        try:
            error = kind(*arguments)
        except Exception:
            error = kind.__new__(kind)
        error.told = text, lines  # type: ignore[attr-defined]
        return error

    def _kind(self, name: str, others: list[Any]) -> type[BaseException]:
        """Return the class that stands for an exception type of the candidate's."""
        kind: Any = getattr(builtins, name, None)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            kind = Exception
        for number, own in reversed(others):
            if number not in self._kinds:
                self._kinds[number] = type(own, (kind,), {"__init__": _init, "__str__": _text})
            kind = self._kinds[number]
        return kind  # type: ignore[no-any-return]

    def _made(self, tag: str, body: Any) -> Any:
        if tag == "handle":
            number, _ = body
            return Remote(self, number)
        if tag == "exception":
            return self._kind(*body)
        if tag == "builtin" and isinstance(kind := getattr(builtins, body, None), type):
            return kind
        raise WireError(f"no type has the tag {tag!r}")


def _init(self: BaseException, *arguments: Any) -> None:
    self.args = arguments


def _text(self: Any) -> str:
    return str(self.told[0])


def _change(argument: Any, new: Any) -> None:
    """Make a list, dict or set of the tests' equal to what the candidate made of its copy."""
    if type(argument) is not type(new):
        return
    argument.clear()
    (argument.update if isinstance(argument, dict | set) else argument.extend)(new)


def _handle(value: Any) -> Form:
    if isinstance(value, Remote):
        return {"handle": value._remote_number}
    name = getattr(value, "__name__", None)
    if isinstance(name, str) and getattr(builtins, name, None) is value:
        return {"builtin": name}
    raise TypeError(
        f"{type(value).__name__} cannot be passed to the candidate: only plain data crosses to it"
    )


class _Module(types.ModuleType):
    """The candidate's module: its names are looked up when they are asked for."""

    def __init__(self, remote: "Remote") -> None:
        super().__init__("solution")
        self.__dict__["_remote"] = remote

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return _do(self._remote, "public")
        if name in ("__path__", "__spec__", "__file__"):
            raise AttributeError(name)
        return getattr(self._remote, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._remote, name, value)


class Remote:
    """An object of the candidate's; it equals only itself."""

    __slots__ = ("_remote_link", "_remote_number")

    _remote_link: Link
    _remote_number: int

    def __init__(self, link: Link, number: int) -> None:
        object.__setattr__(self, "_remote_link", link)
        object.__setattr__(self, "_remote_number", number)

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        """Call the object, or make one of the class that it is."""
        return self._remote_link.do(self, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return _do(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _do(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        _do(self, "delattr", name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and self._remote_number == other._remote_number

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, Remote) and bool(_do(value, "isinstance", self))

    def __divmod__(self, other: Any) -> Any:
        return _do(self, "floordiv", other), _do(self, "mod", other)

    def __and__(self, other: Any) -> Any:
        return _do(self, "and_", other)

    def __or__(self, other: Any) -> Any:
        return _do(self, "or_", other)

    def __format__(self, spec: str) -> str:
        return str(_do(self, "format", spec))

    def __exit__(self, *told: object) -> Any:
        return _do(self, "exit", None, None, None)


def _do(remote: Remote, function: str, *arguments: Any) -> Any:
    return remote._remote_link.do(function, remote, *arguments)


def _methods() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in f"{_SAME_NAME} {_OPERATORS}".split():
        yield f"__{name}__", _asking(name)
    for name in _REFLECTED.split():
        yield f"__r{name}__", _reflected(name)
    for name in _ORDER.split():
        yield f"__{name}__", _ordering(name)


def _asking(name: str) -> Callable[..., Any]:
    return lambda self, *arguments: _do(self, name, *arguments)


def _reflected(name: str) -> Callable[..., Any]:
    return lambda self, other: self._remote_link.do(name, other, self)


def _ordering(name: str) -> Callable[..., Any]:
    def method(self: Remote, other: Any) -> Any:
        # An object may say anything of itself: it has no place among numbers.
        return _do(self, name, other) if isinstance(other, Remote) else NotImplemented

    return method


for _name, _method in _methods():
    if _name not in vars(Remote) or _name == "__hash__":
        setattr(Remote, _name, _method)
