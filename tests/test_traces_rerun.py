"""Running a record again with some nodes live: what is asked, what differs, where it stops."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from opencodeinterpreter.cli.running import check_settings
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.testing import ScriptedModel, ScriptedRunner, draft, graded
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.runner import open_runner
from opencodeinterpreter.traces.rerun import LiveNode, Rerun, live_specs, rerun, settings_of_rerun
from opencodeinterpreter.traces.trace import Trace, read_trace, trace_of
from tests.chatting import EUROPE, LOAD, SALES, WORDS
from tests.chatting import WRONG as CHAT_WRONG
from tests.command import Command, warm
from tests.doubling import PLUS_TWO, solved, write, write_script
from tests.doubling import RIGHT as DOUBLE
from tests.doubling import draft as double_draft
from tests.scripts import BETTER, RIGHT, TABLE, THREE_TURNS, WRONG, World

EXAMPLE = Path(__file__).parent.parent / "traces" / "examples" / "live_drafts.jsonl"
OLD = Path(__file__).parent / "traces_of_version_1" / "live_drafts.jsonl"


@pytest.fixture
async def trace(tmp_path: Path) -> Trace:
    """Return the trace of a run that was solved at its third turn."""
    async with open_store(str(tmp_path / "store.sqlite")) as store:
        return trace_of(await World().run(store))


async def again(
    trace: Trace, live: Collection[LiveNode], *replies: str, table: Any = TABLE
) -> Rerun:
    coder = ScriptedModel(replies or THREE_TURNS)
    return await rerun(trace, live, lambda _: {"coder": coder}, ScriptedRunner(table))


@pytest.mark.parametrize("live", [["coder", "executor"], ["coder"], ["executor"], ["judge"]])
async def test_what_answers_as_before_gives_the_same_run(
    trace: Trace, live: list[LiveNode]
) -> None:
    found = await again(trace, live)
    assert (found.before, found.after, found.stopped) == ("solved", "solved", "")
    assert found.diff.empty


async def test_a_live_coder_that_is_right_at_once_ends_sooner(trace: Trace) -> None:
    found = await again(trace, ["coder", "executor"], draft(RIGHT))
    assert (found.after, found.stopped) == ("solved", "")
    assert [turn.only for turn in found.diff.turns] == ["", "first", "first"]


async def test_a_program_that_was_never_run_needs_a_live_executor(trace: Trace) -> None:
    found = await again(trace, ["coder"], draft("print(9)"))
    assert found.stopped == (
        "turn 1: executor is not live, and the program differs from the recorded ones"
    )


async def test_a_question_that_was_never_asked_needs_a_live_coder(trace: Trace) -> None:
    table = {WRONG: graded(True, False), BETTER: graded(True, False), RIGHT: graded(True, True)}
    found = await again(trace, ["executor"], table=table)
    assert found.stopped == (
        "turn 1: coder is not live, and the request differs from the recorded one"
    )
    assert found.after == "revise"
    assert found.diff.turns[0].tests["test 1"].after == "passed"


async def test_a_run_that_goes_on_longer_than_the_record_says_so(trace: Trace) -> None:
    table = dict.fromkeys((WRONG, BETTER, RIGHT), graded(False, False))
    shorter = trace.model_copy(
        update={"record": trace.record.model_copy(update={"turns": trace.record.turns[:1]})}
    )
    found = await again(shorter, ["executor"], table=table)
    assert found.stopped == "turn 1: the record holds no answer for what comes next"


async def test_a_live_critic_without_a_model_of_its_own_is_the_coders(tmp_path: Path) -> None:
    world = World(coder=ScriptedModel([draft(WRONG), "Look at 2.", draft(RIGHT)]))
    async with open_store(str(tmp_path / "store.sqlite")) as store:
        trace = trace_of(await world.run(store, critic="simulated"))
    (settings,) = settings_of_rerun(trace).values()
    assert live_specs(settings, ["critic"]) == settings.models
    assert live_specs(settings, ["executor"]) == {}
    critic = ScriptedModel(["Look at 3."])
    found = await rerun(trace, ["critic"], lambda _: {"coder": critic}, ScriptedRunner(TABLE))
    assert len(critic.asked) == 1
    assert found.diff.turns[0].feedback is not None
    after = found.diff.turns[0].feedback.after
    assert after is not None
    assert after.startswith("Look at 3.\n\nWhat happened")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, warm)


def test_the_programs_of_a_run_do_the_same_again(command: Command) -> None:
    run = solved(command)
    done = command("rerun", run, "--live", "executor", "--times", "2")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *["live: executor; solved -> solved", "alike: 3 turns"] * 2,
        "2 reruns: solved 2; the outcome changed in 0, anything in 0",
    ]


def test_what_an_older_version_recorded_is_told_apart(command: Command) -> None:
    """It named tests without their file."""
    done = command("rerun", str(OLD), "--live", "executor", "--trust")
    assert (done.status, done.stderr) == (1, "")
    assert "test assert is_even(4): passed -> not there" in done.stdout


@pytest.mark.parametrize("live", get_args(LiveNode))
def test_a_strangers_settings_reach_nothing_unless_trusted(command: Command, live: str) -> None:
    done = command("rerun", str(EXAMPLE), "--live", live)
    assert (done.status, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "coder=" in line
    assert line.endswith("if you trust them, add --trust")


_CHANGED: dict[str, Any] = {
    "models": {"coder": "openai:m@http://127.0.0.1:1/v1", "judge": "scripted:/tmp/judge.toml"},
    "sampling": {"coder": {"temperature": 1.5, "seed": 7}},
    "drafts": 64,
    "critic": "none",
    "retry": {"form": "fresh", "drafts": 63, "temperature": 1.25},
    "limits": {"turns": 99, "calls": 98, "tokens": 97, "cost": 96.5, "seconds": 95.5},
    "sandbox": {"wall_seconds": 94.5, "memory_mb": 93_000, "processes": 92},
    "client": {
        "key_variable": "SECRET",
        "timeout_seconds": 91.5,
        "retries": 90,
        "engine": {"plugin": "evil", "load": {"path": "/etc"}},
    },
    "prompts": {"critic_simulated": "Say {code}"},
    "versions": {"opencodeinterpreter": "0"},
}


def test_every_setting_that_is_not_the_usual_one_is_named_before_it_is_trusted() -> None:
    assert _CHANGED.keys() == Settings.model_fields.keys()
    with pytest.raises(InputError) as told:
        check_settings("a trace", Settings.model_validate(_CHANGED), trust=False)
    values = (leaf for name, value in _CHANGED.items() for leaf in _leaves(name, value))
    assert [leaf for leaf in values if leaf not in str(told.value)] == []
    assert "prompts of its own: critic_simulated;" in str(told.value)
    assert "wall" not in str(told.value).replace("wall_seconds=94.5", "")
    check_settings("a trace", Settings.model_validate(_CHANGED), trust=True)


def _leaves(name: str, value: object) -> Iterator[str]:
    if name in ("prompts", "versions"):
        return
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves("", inner)
    else:
        yield str(value)


def test_a_stored_run_is_run_again_several_times_and_nothing_is_stored(command: Command) -> None:
    write_script(command.home / "script.toml")  # its own, since it changes below
    run = solved(command)
    write_script(command.home / "script.toml", [double_draft(DOUBLE)])
    done = command("rerun", run, "--live", "coder,executor", "--times", "3")
    assert (done.status, done.stderr) == (1, "")
    assert (
        done.stdout.splitlines()[-1]
        == "3 reruns: solved 3; the outcome changed in 0, anything in 3"
    )
    assert len(command("runs").stdout.splitlines()) == 1


def test_an_unknown_node_is_named_with_those_that_there_are(command: Command) -> None:
    done = command("rerun", str(EXAMPLE), "--live", "coder,runner")
    assert done.status == 2
    assert "there is no node 'runner'; use coder, executor, judge, critic" in done.stderr


async def test_a_run_that_no_node_has_worked_on_is_refused_with_the_reason(trace: Trace) -> None:
    begun = trace.record.model_copy(update={"turns": ()})
    with pytest.raises(InputError, match="no node made a turn of it yet"):
        settings_of_rerun(trace.model_copy(update={"record": begun}))


def chatted(command: Command, *replies: str) -> str:
    """Store a chat of three messages, of which the second takes two turns; return its id."""
    write(command.home / "sales.csv", SALES)
    write_script(command.home / "script.toml", replies or REPLIES)
    done = command("chat", "sales.csv", "--model", "scripted:script.toml", stdin=MESSAGES)
    assert done.status == 0, done.stderr
    return command("runs").stdout.split("\t")[0]


MESSAGES = "Load sales.csv.\nNow only Europe.\nWhich columns?\n"
REPLIES = (*(double_draft(f"{code}\n") for code in (LOAD, CHAT_WRONG, EUROPE)), WORDS)


def test_a_chat_is_run_again_message_by_message(command: Command) -> None:
    run = chatted(command)
    for live in ("executor", "executor,coder"):
        done = command("rerun", run, "--live", live)
        assert (done.status, done.stderr) == (0, "")
        assert done.stdout.splitlines()[1:] == ["alike: 4 turns"]


def test_messages_follow_also_where_one_before_them_took_fewer_turns(command: Command) -> None:
    run = chatted(command)
    write_script(command.home / "script.toml", [REPLIES[0], *REPLIES[2:]])
    done = command("rerun", run, "--live", "coder,executor", "--json")
    assert (done.status, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert found["stopped"] == ""
    told = [(turn["number"], turn["only"], turn["code"] != []) for turn in found["diff"]["turns"]]
    assert told == [(2, "", True), (3, "first", True), (4, "", False)]


def test_how_often_the_outcome_changes_is_counted(command: Command) -> None:
    write_script(command.home / "script.toml")
    run = solved(command)
    write_script(command.home / "script.toml", [double_draft(PLUS_TWO)])
    done = command("rerun", run, "--live", "coder,executor", "--times", "2")
    assert done.status == 1
    assert "the outcome changed in 2, anything in 2" in done.stdout.splitlines()[-1]


REPEATED = 20
EXAMPLES = sorted(EXAMPLE.parent.glob("*.jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_programs_do_the_same_in_twenty_reruns(path: Path) -> None:
    example = read_trace(path.read_text("utf-8").split("\n"), path.name)
    async with open_runner("full") as runner:
        for _ in range(REPEATED):
            found = await rerun(example, {"executor"}, lambda _: {}, runner)
            assert found.diff.empty, found
            assert not found.stopped
