"""Files that programs wrote: a run keeps their contents once, by sha256, within a limit."""

from collections.abc import Mapping

from opencodeinterpreter.tools.execution import Artifact, Execution

KEPT_BYTES = 16 << 20
"""Most bytes of artifacts that one run keeps."""


class Keeper:
    """Takes the contents of artifacts out of executions, while there is room in the run."""

    def __init__(self, held: Mapping[str, str]) -> None:
        """Continue a run that holds these contents, in base64 by sha256."""
        self.added: dict[str, str] = {}
        """The new contents."""
        self._held = held
        self._room = KEPT_BYTES - sum(len(content) * 3 // 4 for content in held.values())

    def take(self, execution: Execution) -> Execution:
        """Return `execution` with its artifacts' names, sizes and digests alone."""
        if not execution.artifacts:
            return execution
        return execution.model_copy(
            update={"artifacts": tuple(self._taken(each) for each in execution.artifacts)}
        )

    def _taken(self, artifact: Artifact) -> Artifact:
        digest, content = artifact.sha256, artifact.content
        if digest is None or content is None:
            return artifact
        known = digest in self._held or digest in self.added
        if not known and artifact.size <= self._room:
            self._room -= artifact.size
            self.added[digest] = content
        return artifact.model_copy(update={"content": None})
