"""
A slot like any other, whose steps are short: two real tools, one that takes its time and one that writes the attempt.

A step's title is its seconds, or "nothing". An attempt is a file of random bytes in the folder that stands for the
store, so that no two are alike; its artifact's facts say which bytes of others it was made from.
"""

import hashlib
import os
from pathlib import Path

from pipelines.artifact import Artifact
from pipelines.errors import ToolError
from pipelines.tools import process
from pipelines.version import ComposeJob
from pipelines.workspace import Workspace
from workers.bench import Dispatch

#: Names the folder that stands for the store.
STORE = "AVANT_TEST_STORE"
#: Bytes of an attempt.
SIZE = 64


def work(job: ComposeJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Read what is needed, take the time that the title says, write."""
    store = Path(os.environ[STORE])
    read = {digest: _read(store, artifact) for digest, artifact in workspace.inputs.items()}
    folder = store / workspace.attempt
    folder.mkdir(parents=True)  # if it is there, a token was given out twice
    made = folder / "made"

    def watch() -> None:
        workspace.watch(0.5)

    if job.policy.title != "nothing":
        process.run(["sleep", job.policy.title], watch=watch)
    process.run(["dd", "if=/dev/urandom", f"of={made}", f"bs={SIZE}", "count=1", "status=none"], watch=watch)
    return (
        Artifact(
            digest=job.digest,
            kind="version",
            key=workspace.attempt,
            size=SIZE,
            sha256=sha256(made),
            facts={"inputs": read},
        ),
    )


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(store: Path, artifact: Artifact) -> str:
    """What was committed, and nothing else."""
    found = sha256(store / artifact.key / "made")
    if found != artifact.sha256:
        raise ToolError(f"{artifact.key} is not what was committed.")
    return found


PIPELINES: Dispatch = {"compose": work}
