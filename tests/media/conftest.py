from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.workspace import Workspace
from tests.media.bench import Bench


@pytest.fixture
def bench(make_workspace: Callable[..., Workspace], tmp_path: Path) -> Bench:
    return Bench(make_workspace=make_workspace, folder=tmp_path)
