"""Hostile texts, and runs that hold one of them wherever a text can stand."""

from typing import Any

from opencodeinterpreter.nodes.records import Record, Task
from opencodeinterpreter.testing import ScriptedModel, graded
from opencodeinterpreter.tools.execution import (
    Artifact,
    Execution,
    ExecutionError,
    Logs,
    Result,
    TestOutcome,
)
from opencodeinterpreter.tools.program import Program
from tests.scripts import World

MARK = "document.documentElement.dataset.owned='yes'"
"""What the scripts among these texts do if they run."""

TEXTS = {
    "script": f"<script>{MARK}</script>",
    "closes the data": f'</script></style></title><img src=x onerror="{MARK}">',
    "event": f'"><svg onload="{MARK}"><a href="javascript:{MARK}">x</a>',
    "frame": f'<iframe srcdoc="<script>parent.{MARK}</script>"></iframe>',
    "loads": '<link rel=stylesheet href="http://outside.invalid/"><img src="//outside.invalid">',
    "style": "<style>*{display:none!important}@import 'http://outside.invalid/'</style>",
    "markdown": f"[x](javascript:{MARK}) ![](http://outside.invalid/a.png) <!-- ",
    "comment": "<!--<script>--!><!-- ]]> &lt;script&gt; &#60;",
    "template": "{{ 7*7 }} {% raw %} ${7*7} #{7*7}",
    "proto": "__proto__",
    "constructor": "constructor",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m\x00\x08over\rwritten",
    "direction": "\u202eesrever\u2066\u200f\u061cmarks\u2069",
    "lines": "a\u2028b\u2029c\ufeffd",
    "surrogates": "\ud83d alone".encode("utf-8", "replace").decode() + "\U0001f600\U000e0041",
    "path": "../../../etc/passwd\u202egnp.exe",
    "long": "A" * 100_000,
    "wide": "\n".join("<b>" + "x" * 5000 for _ in range(30)),
}


class _Hostile:
    """A runner that puts a text wherever an execution can hold one."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def run(self, program: Program) -> Execution:
        text = self._text
        kinds = ("text", "html", "markdown", "svg", "javascript", "latex")
        results = [Result.model_validate({kind: text}) for kind in kinds]
        tests = [
            TestOutcome(name=text, status="failed", message=f"Input: {text}\nActual: {text}"),
            TestOutcome(name=text, status="passed", word=text),
        ]
        return graded(False).model_copy(
            update={
                "status": "error",
                "reason": text,
                "results": (*results, Result(png=text), Result(jpeg=text, text=text)),
                "logs": Logs(stdout=text, stderr=text),
                "error": ExecutionError(name=text, value=text, traceback=text),
                "limits_hit": (text,),
                "artifacts": (Artifact(path=text, size=1, sha256="0" * 64),),
                "tier": text,
                "profile": text,
                "tests": tuple(tests),
            }
        )


async def hostile_record(text: str) -> Record:
    """Return a run whose every text is this one."""
    said = f"{text}\n\n```python\n# {text}\nprint(1)\n```\n{text}"
    fence = f"{text}\n\n```python\nprint(2)\n```\n"
    world = World(coder=ScriptedModel([said, fence]), runner=_Hostile(text))
    task = {"prompt": text, "entry_point": None, "reference": text}
    record = await world.solve(task, critic="execution", limits={"turns": 2})
    return _everywhere(record, text)


def _everywhere(record: Record, text: str) -> Record:
    """Return a record with the text in the places that no node would write it to."""
    turns = []
    for turn in record.turns:
        assert turn.drafts is not None and turn.verdict is not None
        (draft,) = turn.drafts
        assert draft.call is not None
        call = draft.call.model_copy(update={"thinking": text, "model": text, "finish": text})
        draft = draft.model_copy(update={"files": {text: text}, "call": call})
        verdict = turn.verdict.model_copy(update={"reason": text})
        feedback = turn.feedback and turn.feedback.model_copy(update={"notes": (text,)})
        update = {"drafts": (draft,), "verdict": verdict, "feedback": feedback}
        turns.append(turn.model_copy(update=update))
    settings: dict[str, Any] = {}
    for at, values in record.settings.items():
        settings[at] = {**values, text: text, "prompts": {text: text}}
    tests = {"kind": "python", "source": text, "files": {text: text}}
    task = Task.model_validate({**dict(record.task), "tests": tests})
    changed = {"turns": tuple(turns), "settings": settings, "tasks": (task,)}
    return record.model_copy(update=changed)
