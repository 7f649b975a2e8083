"""Small real parts that stand where the world does: a scripted model, runner and person.

Models answer by position (turn, then number within the turn), runners by the program's code, so
that a run which is interrupted and resumed, or carried on by another process, goes the same way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langgraph.checkpoint.memory import InMemorySaver

from opencodeinterpreter.graph.build import Graph, build_graph
from opencodeinterpreter.graph.runs import Origin, Run, advance, create_run, open_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed, task_seed
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.records import Record, Turn
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import read
from opencodeinterpreter.tools.errors import ModelError, SandboxError
from opencodeinterpreter.tools.execution import Execution, ExecutionError, Logs, TestOutcome
from opencodeinterpreter.tools.models.protocol import Model, Request, Response, Role, Usage
from opencodeinterpreter.tools.person import Person, PersonAnswer, Question
from opencodeinterpreter.tools.runner import Program, Runner

HOLDER = """
import asyncio, sys
from opencodeinterpreter.graph.store.opening import open_store

async def main(url, run):
    async with open_store(url) as store, store.claim(run):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main(*sys.argv[1:]))
"""
"""A program that holds a run of a store until its input ends: `python -c HOLDER URL RUN`."""

USAGE = Usage(input_tokens=10, output_tokens=5)


class ScriptedModel:
    """Answers with `replies[turn - 1]`, or its n-th text for the n-th call; the last one repeats.

    `fails_at` names turns at which the first call raises ModelError, once each.
    """

    def __init__(
        self,
        replies: Sequence[str | Sequence[str]],
        *,
        spec: str = "scripted:test",
        usage: Usage | None = USAGE,
        fails_at: Iterable[int] = (),
    ) -> None:
        self.spec = spec
        self.asked: list[Request] = []
        self._replies = replies
        self._usage = usage
        self.fails_at = set(fails_at)

    async def complete(self, request: Request) -> Response:
        self.asked.append(request)
        if request.at.turn in self.fails_at:
            self.fails_at.remove(request.at.turn)
            raise ModelError("the server at 'example' can't be reached")
        entry = self._replies[min(request.at.turn, len(self._replies)) - 1]
        texts = [entry] if isinstance(entry, str) else entry
        text = texts[min(request.at.number, len(texts)) - 1]
        return Response(text=text, model=self.spec, usage=self._usage, seconds=0.5)


class TableRunner:
    """Answers each program by its code, stripped; `default` answers what is not in the table.

    `fails` names codes whose first run raises SandboxError.
    """

    def __init__(
        self,
        table: Mapping[str, Execution] | None = None,
        default: Execution | None = None,
        fails: Iterable[str] = (),
    ) -> None:
        self.ran: list[Program] = []
        self._table = table or {}
        self._default = default or ran("")
        self._fails = set(fails)

    async def run(self, program: Program) -> Execution:
        self.ran.append(program)
        code = program.code.strip()
        if code in self._fails:
            self._fails.remove(code)
            raise SandboxError("the sandbox broke")
        return self._table.get(code, self._default)


class GivenPerson:
    """Gives its answers in order."""

    def __init__(self, *answers: PersonAnswer) -> None:
        self.asked: list[Question] = []
        self._answers = list(answers)

    async def ask(self, question: Question) -> PersonAnswer:
        self.asked.append(question)
        return self._answers.pop(0)


def draft(code: str, words: str = "Here it is.") -> str:
    """Return a coder's response that holds `code`."""
    return f"{words}\n\n```python\n{code}\n```\n"


def ran(stdout: str, **fields: Any) -> Execution:
    """Return a clean run that printed `stdout`."""
    return Execution(status="ok", exit_code=0, logs=Logs(stdout=stdout), seconds=0.25, **fields)


def raised(name: str, value: str = "", **fields: Any) -> Execution:
    """Return a run that ended with an exception."""
    traceback = f"Traceback (most recent call last):\n  line 1\n{name}: {value}"
    error = ExecutionError(name=name, value=value, traceback=traceback)
    return Execution(status="error", exit_code=1, error=error, seconds=0.25, **fields)


def graded(*passed: bool, message: str = "expected 4, got 5") -> Execution:
    """Return a run with one test for each truth value, passed or failed."""
    outcomes = tuple(
        TestOutcome(
            name=f"test {number}",
            status="passed" if good else "failed",
            message="" if good else message,
        )
        for number, good in enumerate(passed, 1)
    )
    return Execution(status="ok", exit_code=0, tests=outcomes, seconds=0.25)


TASK: dict[str, Any] = {"prompt": "Add two numbers."}
WRONG, BETTER, RIGHT = "print(1)", "print(2)", "print(3)"
TABLE = {WRONG: graded(False, False), BETTER: graded(True, False), RIGHT: graded(True, True)}
THREE_TURNS = (draft(WRONG), draft(BETTER), draft(RIGHT))


@dataclass
class World:
    """The three seams of one graph, with a run that is solved at its third turn by default."""

    coder: ScriptedModel = field(default_factory=lambda: ScriptedModel(THREE_TURNS))
    critic: ScriptedModel | None = None
    judge: ScriptedModel | None = None
    runner: Runner = field(default_factory=lambda: TableRunner(TABLE))
    person: Person | None = None

    @property
    def models(self) -> dict[Role, Model]:
        named: dict[Role, Model | None] = {
            "coder": self.coder,
            "judge": self.judge,
            "critic": self.critic,
        }
        return {role: model for role, model in named.items() if model is not None}

    def settings(self, **fields: Any) -> Settings:
        """Return settings that name these models."""
        specs = {role: model.spec for role, model in self.models.items()}
        return Settings.model_validate({"models": specs, **fields})

    def graph(self, store: Store | None = None) -> Graph:
        saver = store.saver if store else None
        return build_graph(self.models, self.runner, self.person, checkpointer=saver)

    async def solve(self, task: Mapping[str, Any] = TASK, **fields: Any) -> Record:
        """Run a task through the graph without a store; return what it recorded."""
        return await self.drive(task_seed(dict(task), self.settings(**fields)))

    async def drive(self, seed: Mapping[str, Any]) -> Record:
        """Carry a seed on to its end, in memory."""
        graph = build_graph(self.models, self.runner, self.person, checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "t"}}
        return read(cast(Any, await graph.ainvoke(cast(Any, dict(seed)), config)))

    async def run(self, store: Store, task: Mapping[str, Any] = TASK, **fields: Any) -> Run:
        """Run a task through a store to its end."""
        row = await create_run(store, task_seed(dict(task), self.settings(**fields)))
        return await advance(store, self.graph(store), row)

    async def branch(self, store: Store, parent: Row, turn: int, edit: Edit) -> Run:
        """Branch a run of a store and carry the branch on to its end."""
        record = (await open_run(store, parent.id)).record
        seed = branch_seed(record, parent.short, turn, edit)
        row = await create_run(store, seed, Origin(parent=parent.id, parent_turn=turn))
        return await advance(store, self.graph(store), row)


def summary(record: Record) -> list[str]:
    """Return one line a turn: draft, run, verdict and feedback, with what was given in brackets.

    For example `1 draft: print(1) | 0/2 | revise by tests in process | execution`.
    """
    return [" | ".join(_parts(record, turn)) for turn in record.turns]


def _parts(record: Record, turn: Turn) -> Iterable[str]:
    def mark(part: Any) -> str:
        return f" [{turn.given[part]}]" if part in turn.given else ""

    code = "no code" if turn.code is None else turn.code.strip()
    yield f"{turn.number} draft: {code}{mark('drafts')}"
    if turn.execution:
        yield f"{_outcome(turn.execution)}{mark('executions')}"
    if turn.verdict:
        yield f"{turn.verdict.decision} by {turn.verdict.decided_by}{mark('verdict')}"
    if turn.feedback:
        action = turn.feedback.action
        yield turn.feedback.kind + (f" {action}" if action != "words" else "") + mark("feedback")


def _outcome(execution: Execution) -> str:
    if execution.tests is None:
        return execution.status
    passed = sum(test.status == "passed" for test in execution.tests)
    return f"{passed}/{len(execution.tests)}"
