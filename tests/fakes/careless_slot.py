"""
A slot whose tool fails, and is given what nobody may read: in its argv, and in what it says last.

A step's title says what is done: `leak`, or `nothing`.
"""

from pipelines.artifact import Artifact
from pipelines.tools import process
from pipelines.version import ComposeJob
from pipelines.workspace import Workspace
from workers.bench import Dispatch

#: Each holds a secret: of our settings, of a signed URL, of a loopback address, of somebody's.
LEAKS = (
    "postgresql://avant:tr4pdoor@db.example.net/avant",
    "https://films.example.net/s01e01.mov?X-Amz-Signature=5ca1ab1e&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE",
    "http://127.0.0.1:40123/uW_x-9-nobody-can-guess-this",
    "password=hunter2hunter2",
    "open-sesame",
)
SECRETS = ("tr4pdoor", "5ca1ab1e", "nobody-can-guess-this", "hunter2hunter2", "open-sesame")
#: And what helps whoever mends it.
SOURCE = "/srv/deliveries/s01e01/s01e01.mov"


def work(job: ComposeJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Do what the job's title says."""
    if job.policy.title == "leak":
        where = [str(workspace.scratch / f"{number}") for number in range(12)]
        process.run(["ls", "-d", SOURCE, *where, *LEAKS])
    return (Artifact(digest=job.digest, kind="version", key=workspace.attempt, size=1, sha256="00" * 32),)


PIPELINES: Dispatch = {"compose": work}
