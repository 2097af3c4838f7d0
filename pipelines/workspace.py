"""What a step is given to work with: a private folder, the store, its inputs, and a way to say how far it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.artifact import Artifact
from pipelines.layout import Names
from pipelines.tools.s3 import Store

#: Called with the share of the step that is done (0 to 1), at least once a second while a tool runs.
#: Raises `Interrupted` when the work no longer counts; the tool is then killed.
Watch = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Everything outside the job itself that a step may touch."""

    #: An empty folder that is removed afterwards, whatever happens.
    scratch: Path
    store: Store
    names: Names
    #: Key prefix, ending in "/", that belongs to this attempt alone: intermediates go there.
    attempt: str
    #: The committed artifacts that the step needs, by digest.
    inputs: Mapping[str, Artifact]
    watch: Watch
