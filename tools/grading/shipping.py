"""Make one program of several of our modules, for an interpreter that may lack this package."""

import asyncio
import base64
import marshal
from collections.abc import Sequence
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import ModuleType

from opencodeinterpreter.tools.sandbox.protocol import Sandbox

# Compiled code loads 20 times faster, but only the same version of Python can read it.
_PROGRAM = """
import base64, importlib.util, marshal, sys, types
compiled = importlib.util.MAGIC_NUMBER == {magic!r}
for name, source, code in {parts!r}:
    code = marshal.loads(base64.b64decode(code)) if compiled else compile(source, name, "exec")
    module = sys.modules[name] = types.ModuleType(name)
    try:
        exec(code, module.__dict__)
    except ImportError:
        del sys.modules[name]  # it needs a package that this interpreter lacks
module.main()
"""
_HELD = """
import sys
module = sys.modules[{name!r}]
module.main()
"""
AGAIN = "module.main()"


_shipped: dict[tuple[ModuleType, ...], str] = {}


async def ship(sandbox: Sandbox, *modules: ModuleType) -> str:
    """Return a program that loads `modules` under their own names, then calls `main` of the last.

    Each may import the earlier ones and the standard library. Modules that `sandbox` has loaded
    are left out. In a later cell of the same context, `AGAIN` calls `main` again.
    """
    if sandbox.holds.issuperset(module.__name__ for module in modules):
        return _HELD.format(name=modules[-1].__name__)
    if modules not in _shipped:
        parts = await asyncio.to_thread(lambda: [_part(module) for module in modules])
        _shipped[modules] = _PROGRAM.format(magic=MAGIC_NUMBER, parts=parts)
    return _shipped[modules]


def _part(module: ModuleType) -> Sequence[str]:
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    code = compile(source, module.__name__, "exec", dont_inherit=True)
    return module.__name__, source, base64.b64encode(marshal.dumps(code)).decode()
