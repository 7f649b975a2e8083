"""From version 1 of a store to version 2: the channel `messages` of our runs is named `texts`.

In version 2 `messages` is a channel of chat messages, as other LangGraph programs mean it.
"""

from collections.abc import Iterable
from typing import Any

OLD, NEW = "messages", "texts"
_OURS = {"tasks", "turns", OLD}


def is_ours(checkpoint: Any, metadata: dict[str, Any]) -> bool:
    """Return whether a checkpoint is of one of our runs; a host's thread keeps its `messages`."""
    if not isinstance(checkpoint, dict):
        return False
    return "run_title" in metadata or checkpoint.get("channel_versions", {}).keys() >= _OURS


def renamed(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint of a run with the channel's new name."""
    changed = {**checkpoint}
    for table in ("channel_values", "channel_versions"):
        changed[table] = _renamed_keys(checkpoint.get(table, {}))
    seen: dict[str, dict[str, Any]] = checkpoint.get("versions_seen", {})
    changed["versions_seen"] = {node: _renamed_keys(channels) for node, channels in seen.items()}
    if checkpoint.get("updated_channels"):
        changed["updated_channels"] = sorted(_renamed_names(checkpoint["updated_channels"]))
    return changed


def renamed_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's metadata with the channel's new name."""
    counters = "counters_since_delta_snapshot"
    if counters not in metadata:
        return metadata
    return {**metadata, counters: _renamed_keys(metadata[counters])}


def _renamed_names(names: Iterable[str]) -> list[str]:
    return [NEW if name == OLD else name for name in names]


def _renamed_keys(table: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(_renamed_names(table), table.values(), strict=True))
