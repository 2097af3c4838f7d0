"""
A slot like any other, but its steps are make-believe: a step's title says what is done.

Each attempt that reaches its end leaves a line in `home`/ran.
"""

import os
import signal

from pipelines.artifact import Artifact
from pipelines.errors import ToolError
from pipelines.tools import process
from pipelines.version import ComposeJob
from pipelines.workspace import Workspace
from workers.bench import Dispatch
from workers.settings import Settings


def work(job: ComposeJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Do what the job's title says."""
    folder = workspace.scratch
    (folder / "half-done").touch()
    match job.policy.title.split():
        case ["work", seconds]:
            process.run(["sleep", seconds], watch=lambda: workspace.watch(0.5))
        case ["fail"]:
            raise ToolError("It failed.")
        case ["crash"]:
            os.kill(os.getpid(), signal.SIGKILL)
    with (Settings().home / "ran").open("a") as ran:
        ran.write(f"{job.digest}\n")
    return (Artifact(digest=job.digest, kind="version", key=workspace.attempt, size=1, sha256="00" * 32),)


PIPELINES: Dispatch = {"compose": work}
