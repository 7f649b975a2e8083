"""Figures of a worker for Prometheus (extra `prometheus`), from the runs that end in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from opencodeinterpreter.graph.batch import Finished, Postponed
from opencodeinterpreter.graph.shared import Told, Worker
from opencodeinterpreter.tools.errors import ClaimLostError, InputError


class WorkerMetrics:
    """The figures of one worker, in a registry of their own."""

    def __init__(self, worker: Worker) -> None:
        """Count what ends in `worker` from now on."""
        from prometheus_client import CollectorRegistry, Counter, Gauge

        self.registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"opencodeinterpreter_{name}", about, labels, registry=self.registry)

        self._runs = counter("runs", "Runs that ended here: solved, unsolved, problem.", "outcome")
        self._turns = counter("turns", "Turns of the runs that ended solved or unsolved.")
        self._tokens = counter("tokens", "Tokens of their model calls.", "direction")
        self._model_seconds = counter("model_seconds", "Seconds of their model calls.")
        self._sandbox_seconds = counter("sandbox_seconds", "Seconds of their programs and tests.")
        self._lost = counter("claims_lost", "Runs that another process took over.")
        for direction in ("input", "output"):
            self._tokens.labels(direction)  # They read 0 from the start.
        in_work = Gauge("opencodeinterpreter_in_work", "Tasks in work.", registry=self.registry)
        in_work.set_function(lambda: worker.in_work)
        worker.on_end = self.note

    def note(self, ended: Finished | Postponed) -> None:
        """Count how a task ended, or why it was left."""
        if isinstance(ended, Postponed):
            self._lost.inc(isinstance(ended.failure, ClaimLostError))
        elif ended.problem:
            self._runs.labels("problem").inc()
        else:
            self._runs.labels(ended.run.row.status).inc()
            self._note_turns(ended)

    def _note_turns(self, ended: Finished) -> None:
        turns = ended.run.record.turns
        self._turns.inc(len(turns))
        for call in (call for turn in turns for call in turn.calls()):
            self._model_seconds.inc(call.seconds)
            if call.usage:
                self._tokens.labels("input").inc(call.usage.input_tokens)
                self._tokens.labels("output").inc(call.usage.output_tokens)
        for execution in (each for turn in turns for each in turn.executions or ()):
            self._sandbox_seconds.inc(execution.seconds if execution else 0.0)


@contextmanager
def metrics_served(worker: Worker, port: int, told: Told) -> Iterator[None]:
    """Serve a worker's figures over HTTP for a while; port 0 takes a free one.

    Raises InputError if the extra is missing, or the port taken.
    """
    if find_spec("prometheus_client") is None:
        cure = "pip install 'opencodeinterpreter[prometheus]'"
        raise InputError(f"--metrics-port needs the extra 'prometheus': {cure}")
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, registry=WorkerMetrics(worker).registry)
    except OSError as error:
        raise InputError(f"--metrics-port {port}: {error.strerror}; name another port") from None
    told(f"metrics for Prometheus at port {server.server_port}")
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
