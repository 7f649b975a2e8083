"""Run tests written in Python in a process of their own, and pass on what they ask."""

import json
from collections.abc import Sequence
from typing import Any

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.boundary import LEAST_SECONDS, REPLIES, Held, how_it_ended
from opencodeinterpreter.tools.grading.inside import assertions, remote, tester, wire
from opencodeinterpreter.tools.grading.inside.candidate import MARK
from opencodeinterpreter.tools.grading.plan import Step
from opencodeinterpreter.tools.grading.shipping import AGAIN, ship
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox

_SPARE_SECONDS = 1.0
"""What the tests' own process may take beyond the candidate's time."""


class Testing:
    """Tests in a context of their own, whose requests are passed on to the candidate."""

    def __init__(self, sandbox: ContextSandbox, context: Context, held: Held) -> None:
        self._sandbox = sandbox
        self._context = context
        self._held = held
        self._told: list[dict[str, Any]] = []

    async def run(self, steps: Sequence[Step]) -> list[dict[str, Any]]:
        """Run the steps of a plan; return what was told of each; raises SandboxError."""
        program = await ship(self._sandbox, wire, remote, assertions, tester)
        said = await self._cell(program, {"steps": steps})
        while said is not None and said["request"] is not None:
            said = await self._cell(AGAIN, await self._answer(said["request"]))
        return self._told

    async def _answer(self, request: str) -> dict[str, Any]:
        if self._held.gone or self._held.left < LEAST_SECONDS:
            return {"stop": True}
        reply = await self._held.ask(request)
        if reply is not None:
            return {"reply": reply}
        if self._held.last.status == "timeout":
            return {"late": True}
        return {"gone": how_it_ended(self._held.last)}

    async def _cell(self, code: str, message: dict[str, Any]) -> dict[str, Any] | None:
        left = max(self._held.left, LEAST_SECONDS) + _SPARE_SECONDS
        limits = SandboxLimits(
            wall_seconds=left,
            cpu_seconds=left,
            output_bytes=REPLIES,
        )
        ended = await self._sandbox.run_code(
            code, stdin=json.dumps(message), limits=limits, context=self._context
        )
        _, mark, reply = ended.logs.stdout.rpartition(MARK)
        if ended.status != "ok" or not mark:
            status = "timeout" if ended.status == "timeout" else "error"
            what = f"the tests' own process: {how_it_ended(ended)}"
            self._told.append({"status": status, "message": what})
            return None
        said: dict[str, Any] = json.loads(reply)
        self._told += said["told"]
        return said
