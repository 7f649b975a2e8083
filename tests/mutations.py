"""What contains each breach, as a change of the program that takes it away.

Each mutation names the tests that must then fail. `tests/test_mutations.py` makes the changes, one
at a time, in a copy of the program.
"""

from typing import Literal, NamedTuple

_SANDBOX = "tools/sandbox"
_PROFILES = f"{_SANDBOX}/inside/profiles.py"
_SEAL = f"{_SANDBOX}/inside/seal.py"
_CHILD = f"{_SANDBOX}/local/child.py"
_METER = f"{_SANDBOX}/local/meter.py"
_DESCRIPTORS = f"{_SANDBOX}/local/descriptors.py"
_POSTGRES = "graph/store/postgres.py"
_SQLITE = "graph/store/sqlite.py"
_CLAIMS_OF_POSTGRES = "graph/store/claims.py"
_SERVING = "graph/serving.py"
_BRANCH = "cli/verbs/branch.py"

_KERNEL_MEMORY = "test_sandbox_kernel_memory.py"
_REFUSED = f"{_KERNEL_MEMORY}::test_what_no_limit_would_count_is_refused"
_KNOWN_CALLS = (
    f"{_KERNEL_MEMORY}::test_each_allowed_call_is_known_for_what_it_makes_the_kernel_keep"
)
_DENIED = "test_sandbox_isolation.py::test_dangerous_system_calls_are_denied"
_FEW_SIGNALS = f"{_KERNEL_MEMORY}::test_signals_and_timers_are_few"
_TOGETHER = "test_sandbox_limits.py::test_limits_count_all_processes_of_a_run_together"
_FULL_LIMITS = "test_sandbox_limits.py::test_each_limit_of_the_full_tier_is_named"
_REDUCED_LIMITS = "test_sandbox_limits.py::test_each_limit_of_the_reduced_tier_is_named"
_FORBIDDEN = "test_sandbox_isolation.py::test_what_a_program_has_no_business_with_fails"
_CLAIMED = (
    "test_sandbox_fuzz.py::test_a_claimed_value_that_a_store_refuses_never_reaches_the_caller"
)
_STATUSES = "test_sandbox_statuses.py::test_each_ending_has_its_own_status"
_STOPPED = "test_stopped_runs.py::test_a_run_stopped_at_a_statement_of_sqlite_resumes"
_CALLERS = "test_graph_serving.py::test_a_caller_that_asks_for_more_is_told_so"
_FORMS = "test_models_keys.py::test_a_key_is_found_in_every_form"

Need = Literal["", "root", "cgroups", "postgresql"]


class Mutation(NamedTuple):
    """One change: `old`, which stands in the file once, becomes `new`."""

    contains: str
    """What the mechanism contains."""
    path: str
    old: str
    new: str
    test: str
    """A test that must fail: its file in `tests/`, and its function."""
    need: Need = ""
    """What the test needs to run."""


def _allowing(what: str, x86: int, arm: int, test: str) -> Mutation:
    """Allow a call that no profile knows, by its number on each machine."""
    table = "return {at: action for at, action in numbered if at is not None}"
    number = f'{{"x86_64": {x86}, "aarch64": {arm}}}[machine]'
    return Mutation(what, _PROFILES, table, f"{table} | {{{number}: ALLOW}}", test)


_KERNEL = (
    _allowing("socket buffers made large, by setsockopt", 54, 208, _REFUSED),
    _allowing("descriptors in flight, by sendmsg", 46, 211, _REFUSED),
    _allowing("locks of files, by flock", 73, 32, _FORBIDDEN),
    _allowing("memory files, by memfd_create", 319, 279, _FORBIDDEN),
    _allowing("watches of files, by inotify_init1", 294, 26, _DENIED),
    _allowing("keys, by add_key", 248, 217, _DENIED),
    _allowing("keyrings, by keyctl", 250, 219, _DENIED),
    _allowing("System V memory, by shmget", 29, 194, _DENIED),
    _allowing("message queues, by mq_open", 240, 180, _DENIED),
    Mutation(
        "any call whose memory nobody has looked at",
        _PROFILES,
        '"clone3": ENOSYS,',
        '"clone3": ALLOW,',
        _KNOWN_CALLS,
    ),
    Mutation(
        "pipes made large",
        _PROFILES,
        "(0, 1, 2, 3, 1030, 1032, 1034)",
        "(0, 1, 2, 3, 1030, 1031, 1032, 1034)",
        _REFUSED,
    ),
    Mutation(
        "shared memory that is dropped or unmapped in part, and huge pages",
        _PROFILES,
        '"mmap": ((Where(3, (0,), 0x40020),), (Where(3, (0x22,), 0x4002F),)),',
        '"mmap": ALLOW,',
        _REFUSED,
    ),
    Mutation(
        "pages that tell what other processes hold",
        _PROFILES,
        "(*range(5), *range(8, 12), *range(13, 26))",
        "(*range(26),)",
        _REFUSED,
    ),
    Mutation(
        "what a descriptor tells of the process at the other end",
        _PROFILES,
        "(3, 4, 7, 8, 30, 38, 39)",
        "(3, 4, 7, 8, 17, 30, 31, 38, 39, 59, 77)",
        _REFUSED,
    ),
    Mutation(
        "attributes of the host's files",
        _PROFILES,
        '"llistxattr", "flistxattr"), ENOTSUP',
        '"llistxattr", "flistxattr"), ALLOW',
        _REFUSED,
    ),
    Mutation(
        "shared memory of a device",
        f"{_SANDBOX}/inside/root.py",
        '"zero": "full"',
        '"zero": "zero"',
        f"{_KERNEL_MEMORY}::test_the_zero_device_gives_bytes_and_no_memory",
    ),
    Mutation(
        "the limit of message queues",
        _SEAL,
        "(resource.RLIMIT_MSGQUEUE, 0)",
        "(resource.RLIMIT_MSGQUEUE, 4096)",
        _REFUSED,
    ),
    Mutation(
        "a program of the host that takes core files",
        _SEAL,
        "(resource.RLIMIT_CORE, 1)",
        "(resource.RLIMIT_CORE, 0)",
        _REFUSED,
    ),
    Mutation(
        "pending signals and timers",
        _SEAL,
        "(resource.RLIMIT_SIGPENDING, _SIGNALS)",
        "(resource.RLIMIT_SIGPENDING, 8 * _SIGNALS)",
        _FEW_SIGNALS,
    ),
    Mutation(
        "real-time signals of `reduced`",
        _PROFILES,
        "_STANDARD_SIGNALS = tuple(range(32))",
        "_STANDARD_SIGNALS = tuple(range(65))",
        _FEW_SIGNALS,
    ),
    Mutation(
        "timers of `reduced`",
        _PROFILES,
        '*("timer_create", "timer_delete",',
        '*("timer_delete",',
        _FEW_SIGNALS,
    ),
    Mutation(
        "descriptors, and what each of them holds",
        _SEAL,
        "_DESCRIPTORS = 256",
        "_DESCRIPTORS = 4096",
        _FORBIDDEN,
    ),
    Mutation(
        "files of the work folder",
        _SEAL,
        "_FILES = 2048",
        "_FILES = 1 << 20",
        _FULL_LIMITS,
    ),
    Mutation(
        "page tables",
        _METER,
        '(b"VmRSS:", b"VmPTE:", b"VmSwap:")',
        '(b"VmRSS:", b"VmSwap:")',
        f"{_KERNEL_MEMORY}::test_page_tables_count_as_memory",
    ),
    Mutation(
        "standard input as a place to keep data",
        _CHILD,
        "        fcntl.fcntl(self._stdin, fcntl.F_ADD_SEALS, seals)\n",
        "",
        _REFUSED,
    ),
    Mutation(
        "pipes of all runs together, if the host is root",
        f"{_SANDBOX}/inside/zygote.py",
        "self._users[run % (len(self._users) - 1) + 1 if len(self._users) > 1 else 0]",
        "self._users[0]",
        "test_sandbox_neighbours.py"
        "::test_the_pipes_of_many_hogs_leave_those_of_an_honest_run_as_they_are",
        "root",
    ),
)

_COUNTING = (
    Mutation(
        "CPU time of a chain of processes that nobody waits for",
        _METER,
        "max(self._known_seconds(), self._estimate / 2 - _CHANCE_SECONDS)",
        "self._known_seconds()",
        _TOGETHER,
    ),
    Mutation(
        "memory of all processes",
        _METER,
        "                memory += held\n",
        "",
        _TOGETHER,
    ),
    Mutation(
        "buffers of sockets and pipes of all processes",
        _METER,
        "        memory += buffer_bytes([self.pid, *others])\n",
        "",
        _TOGETHER,
    ),
    Mutation(
        "descriptors so many that the host looks at some alone",
        _DESCRIPTORS,
        "unseen += max(0, len(held) - looks)",
        "unseen += 0",
        _TOGETHER,
    ),
    Mutation(
        "deleted files that are open, in `reduced`",
        f"{_SANDBOX}/local/limit_watch.py",
        "named + deleted >",
        "named >",
        _REDUCED_LIMITS,
    ),
    Mutation(
        "deleted files that are mapped alone, in `reduced`",
        _DESCRIPTORS,
        "if mapped <= sizes.keys() else None",
        "if mapped else 0",
        _REDUCED_LIMITS,
    ),
    Mutation(
        "memory of one process",
        f"{_SANDBOX}/local/limit_watch.py",
        "usage.memory > limits.memory_mb << 20",
        "usage.memory < 0",
        _FULL_LIMITS,
    ),
    Mutation(
        "threads in `reduced`",
        f"{_SANDBOX}/local/limit_watch.py",
        "usage.processes > limits.processes and not self._own_room",
        "usage.processes < 0",
        _REDUCED_LIMITS,
    ),
    Mutation(
        "folders so deep that a walk sees nothing else, in `reduced`",
        f"{_SANDBOX}/local/work_folder.py",
        "_DEPTH = 64",
        "_DEPTH = 1 << 20",
        _REDUCED_LIMITS,
    ),
)

_CLAIMS = (
    Mutation(
        "results that a program claims",
        f"{_SANDBOX}/local/run.py",
        "return claims.ending(answer)",
        "return claims.cell_ending(answer)",
        "test_sandbox_fuzz.py::test_a_program_has_no_results_whatever_it_claims",
    ),
    Mutation(
        "integers of more than 64 bits",
        f"{_SANDBOX}/inside/display.py",
        "not -_WORD <= value < _WORD",
        "value is None",
        _CLAIMED,
    ),
    Mutation(
        "depth of claimed values",
        f"{_SANDBOX}/inside/display.py",
        "isinstance(value, list | dict) and depth == 0",
        "value is None",
        _CLAIMED,
    ),
    Mutation(
        "long answers of a program",
        _CHILD,
        "PROGRAM_FRAME = 1 << 18",
        "PROGRAM_FRAME = 1 << 25",
        "test_sandbox_fuzz.py::test_a_programs_answer_is_small",
    ),
    Mutation(
        "a flood between two cells",
        f"{_SANDBOX}/local/drain.py",
        "        self._idle_room -= size\n",
        "",
        "test_sandbox_fuzz.py::test_what_a_context_prints_between_cells_is_not_read_for_ever",
    ),
    Mutation(
        "answers that take long to read",
        f"{_SANDBOX}/local/drain.py",
        "if not _is_light(body):",
        "if not body:",
        "test_sandbox_fuzz.py::test_a_frame_that_takes_long_to_read_is_not_read",
    ),
    Mutation(
        "links out of the work folder",
        f"{_SANDBOX}/local/work_folder.py",
        'getattr(os, "O_NOFOLLOW", 0)',
        "0",
        "test_sandbox_contexts.py::test_no_path_leads_out_of_the_work_folder",
    ),
    Mutation(
        "the folders that killed hosts left, in `reduced`",
        f"{_SANDBOX}/local/host_folders.py",
        "        await asyncio.to_thread(_sweep)\n",
        "",
        "test_sandbox_deaths.py"
        "::test_the_folder_of_a_killed_host_is_removed_by_the_next_one_and_no_other",
    ),
    Mutation(
        "the arguments of the host's command",
        f"{_SANDBOX}/inside/zygote.py",
        'sys.orig_argv[:] = sys.argv[:] = ["python"]',
        'sys.argv[:] = ["python"]',
        "test_sandbox_isolation.py::test_the_hosts_environment_and_arguments_are_not_there",
    ),
    Mutation(
        "the host's name",
        f"{_SANDBOX}/inside/root.py",
        '_HOST = "sandbox"',
        "_HOST = os.uname().nodename",
        "test_sandbox_isolation.py::test_the_hosts_name_and_editable_installs_are_not_there",
    ),
    Mutation(
        "`abort` of process 1",
        f"{_SANDBOX}/inside/zygote.py",
        "            aborting.tell_aborts()\n",
        "            pass\n",
        _STATUSES,
    ),
    Mutation(
        "`abort` of a process that a run starts",
        f"{_SANDBOX}/inside/aborting.py",
        "        os.register_at_fork(after_in_child=_be_usual)\n",
        "",
        "test_sandbox_limits.py::test_a_child_of_a_run_aborts_as_everywhere",
    ),
)

_STORE = (
    Mutation(
        "a kill between a node's writes and the next checkpoint",
        "graph/driving.py",
        'update is None or node.startswith("__")',
        'update is None or node == "__interrupt__"',
        _STOPPED,
    ),
    Mutation(
        "a kill between a run's first checkpoint and its row",
        "graph/runs.py",
        "return await read_row(store, run_id) or await _restored_row(store, run_id)",
        "return await read_row(store, run_id)",
        _STOPPED,
    ),
    Mutation(
        "set-ups of a new store at once",
        _POSTGRES,
        'if await _ask(connection, "SELECT pg_try_advisory_lock(%s)", key):\n            break',
        "if connection:\n            break",
        "test_graph_postgres.py::test_processes_that_open_a_new_store_at_once_all_succeed",
        "postgresql",
    ),
    Mutation(
        "connections that grow with the runs",
        _POSTGRES,
        "max_size=CONNECTIONS,",
        "max_size=10 * CONNECTIONS,",
        "test_graph_postgres.py::test_connections_stay_few_however_many_runs_go_on_at_once",
        "postgresql",
    ),
    Mutation(
        "writes of a process that has lost its run",
        _CLAIMS_OF_POSTGRES,
        "if await found.fetchone() is None:",
        "if found is None:",
        "test_graph_claims.py::test_a_worker_that_lost_its_run_writes_nothing_more",
        "postgresql",
    ),
    Mutation(
        "a living holder's run in other hands",
        _CLAIMS_OF_POSTGRES,
        "WHERE claim.holder = excluded.holder OR NOT ({_ALIVE})",
        "WHERE true OR ({_ALIVE})",
        "test_graph_claims.py::test_nobody_takes_a_run_from_a_living_holder",
        "postgresql",
    ),
    Mutation(
        "two processes on a run of a file",
        _SQLITE,
        "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        "test_graph_store.py::test_a_run_is_claimed_under_all_names_of_its_store",
    ),
    Mutation(
        "a stranger's settings in a branch",
        _BRANCH,
        "trust=here or trust)",
        "trust=True)",
        "test_cli_branch.py::test_a_trace_file_can_be_branched_if_its_settings_are_trusted",
    ),
    Mutation(
        "the settings of another turn, shown for trust",
        _BRANCH,
        "before = settings_at(parent.record, name, number)",
        "before = settings_at(parent.record, name, len(parent.record.turns))",
        "test_cli_export.py::test_a_branch_names_the_settings_of_its_own_turn_for_trust",
    ),
    Mutation(
        "whole numbers that no store holds",
        "traces/trace.py",
        "isinstance(value, int) and not -(2**63) <= value < 2**63",
        "value is level",
        "test_traces_hostile.py::test_what_no_store_can_hold_is_named",
    ),
    Mutation(
        "deep nesting",
        "traces/trace.py",
        '    if level:\n        raise InputError(f"it is nested',
        '    if level is None:\n        raise InputError(f"it is nested',
        "test_traces_hostile.py::test_what_no_store_can_hold_is_named",
    ),
    Mutation(
        "a run in the place of another",
        "graph/runs.py",
        "    if named != run_id:\n",
        "    if named is None:\n",
        "test_bad_store.py::test_what_is_another_runs_is_told_in_one_line",
    ),
    Mutation(
        "a checkpoint in the place of another",
        "graph/store/saver.py",
        'found.checkpoint["id"] != found.config["configurable"]["checkpoint_id"]',
        "found.checkpoint is None",
        "test_bad_store.py::test_what_is_another_runs_is_told_in_one_line",
    ),
    Mutation(
        "replays that take the square of a run's turns",
        "tools/growing.py",
        "        results = results[:same]\n",
        "        same, results = 0, []\n",
        "test_graph_growth.py::test_the_work_of_a_turn_does_not_grow_with_the_turns_before_it",
    ),
    Mutation(
        "a replay that says nothing for long",
        "cli/verbs/replay.py",
        'status.update(f"replaying: {replayed} of {parts} parts")',
        "status.update()",
        "test_cli_terminal.py::test_a_replay_tells_how_far_it_is",
    ),
    *(
        Mutation(f"a key {form}", "tools/models/redaction.py", old, new, _FORMS)
        for form, old, new in (
            ("reversed", "(key, key[::-1], quote", "(key, key, quote"),
            ("quoted for a URL", 'quote(key, safe=""), quote(key)', "key"),
            ("in base64", "yield from (whole, whole.replace", "yield from (key, whole.replace"),
            ("in hexadecimal digits", '"%" + key.encode().hex("%")', "key"),
            ("mixed with characters that are not seen", "\\u200b-\\u200d", ""),
            ("split", "_BETWEEN.join(map(re.escape, form))", "re.escape(form)"),
        )
    ),
    Mutation(
        "a key in an answer",
        "tools/models/langchain_model.py",
        "text = without_key(text, secret.get_secret_value())",
        "pass",
        "test_models_keys.py::test_a_key_that_a_server_repeats_in_its_answer_is_not_recorded",
    ),
    Mutation(
        "readers of the store",
        _SQLITE,
        "os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600",
        "os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o644",
        "test_graph_store.py::test_the_files_of_a_store_are_for_their_owner_alone",
    ),
    Mutation(
        "readers of a store that a link names",
        _SQLITE,
        "    path = Path(os.path.realpath(path))\n",
        "",
        "test_graph_store.py::test_a_store_that_a_link_names_is_for_its_owner_alone",
    ),
    Mutation(
        "writers into the folder of locks",
        _SQLITE,
        "path.parent.mkdir(0o700, exist_ok=True)",
        "path.parent.mkdir(0o755, exist_ok=True)",
        "test_graph_store.py::test_the_files_of_a_store_are_for_their_owner_alone",
    ),
    Mutation(
        "two processes on a run, by two names of its store",
        _SQLITE,
        'Path(f"{os.path.realpath(path)}-locks")',
        'Path(f"{path}-locks")',
        "test_graph_store.py::test_a_run_is_claimed_under_all_names_of_its_store",
    ),
    Mutation(
        "a link in the place of a new file",
        "tools/atomic_file.py",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW",
        "os.O_WRONLY | os.O_CREAT",
        "test_atomic_file.py::test_a_planted_link_is_not_written_through",
    ),
    Mutation(
        "tracing that another program asked for",
        "graph/tracing.py",
        "        with no_tracing():\n            yield\n",
        "        yield\n",
        "test_graph_tracing.py::test_runs_are_traced_only_if_asked_and_replays_never",
    ),
    Mutation(
        "tracing of replays",
        "traces/replay.py",
        "        with no_tracing():\n            await walk.run()\n",
        "        await walk.run()\n",
        "test_graph_tracing.py::test_runs_are_traced_only_if_asked_and_replays_never",
    ),
)

_SERVED = (
    Mutation(
        "a person who answers a server in a plain sentence",
        "tools/person.py",
        "if isinstance(value, str):",
        "if value is None:",
        "test_graph_hosted.py::test_the_answers_of_agent_inbox_are_understood",
    ),
    Mutation(
        "a caller's model that a server does not offer",
        _SERVING,
        "        if not self._allowed(settings.models):\n",
        "        if not settings.models:\n",
        _CALLERS,
    ),
    Mutation(
        "a caller's limits over those of a server",
        _SERVING,
        "if value is not None and value > ceiling:",
        "if value is not None and value > 2**62:",
        _CALLERS,
    ),
    Mutation(
        "errors that a server masks, and tries again",
        "tools/errors.py",
        "class OpenCodeInterpreterError(RuntimeError):",
        "class OpenCodeInterpreterError(Exception):",
        "test_errors.py::test_a_server_tells_our_errors_and_does_not_try_again",
    ),
)

MUTATIONS = (*_KERNEL, *_COUNTING, *_CLAIMS, *_STORE, *_SERVED)
