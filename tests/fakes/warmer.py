"""A process that warms and can be killed: `python -m tests.fakes.warmer FILE`, which says what."""

import pickle
import sys
from pathlib import Path
from typing import Any

from pipelines.layout import Names
from pipelines.tools.s3 import Store
from pipelines.warm import WarmJob, make
from pipelines.workspace import Workspace
from workers import services


def order(path: Path, job: WarmJob, workspace: Workspace, endpoint: str, secrets: Any) -> list[str]:
    """Write down what is to be warmed; the command that does it."""
    store = {
        "endpoint": endpoint,
        "region": services.REGION,
        "bucket": workspace.store.bucket,
        "access_key": secrets.access_key,
        "secret_key": secrets.secret_key,
    }
    said = {
        "job": job,
        "inputs": dict(workspace.inputs),
        "key": workspace.names.key,
        "store": store,
        "scratch": workspace.scratch,
    }
    path.write_bytes(pickle.dumps(said))
    return [sys.executable, "-m", "tests.fakes.warmer", str(path)]


def main() -> None:
    said = pickle.loads(Path(sys.argv[1]).read_bytes())
    workspace = Workspace(
        scratch=said["scratch"],
        store=Store(**said["store"]),
        names=Names(key=said["key"]),
        attempt="",
        inputs=said["inputs"],
        watch=lambda _: None,
    )
    make(said["job"], workspace)


if __name__ == "__main__":
    main()
