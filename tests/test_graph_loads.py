"""How often a run is loaded from its store: it may be long."""

from collections import Counter
from pathlib import Path
from typing import Any

from opencodeinterpreter.graph.runs import advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from tests.scripts import TASK, World


def counted(store: Store) -> Counter[str]:
    """Return a count of the loads that the store's saver will make."""
    saver: Any = store.saver
    load, loads = saver.aget_tuple, Counter[str]()

    async def counting(config: Any) -> Any:
        found = await load(config)
        loads["runs"] += found is not None
        return found

    saver.aget_tuple = counting
    return loads


async def test_a_run_is_loaded_once_by_us_and_once_by_langgraph(tmp_path: Path) -> None:
    async with open_store(str(tmp_path / "runs.sqlite")) as store:
        loads = counted(store)
        row = await create_run(store, task_seed(TASK, World().settings()))
        assert loads["runs"] == 0
        run = await advance(store, World().graph(store), row)
        assert loads["runs"] == 2
        assert await open_run(store, row.id) == run
        assert loads["runs"] == 3
