"""The house has four floors, and imports only go down."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLOORS = ("presets", "pipelines", "workers", "scripts")
#: Where each may be imported. The queue and the database are the workers'; tools are wrapped once.
CONFINED = {
    "dramatiq": "workers",
    "sentry_sdk": "workers",
    "sqlalchemy": "workers",
    "alembic": "workers/ledger",
    "psycopg": "workers/ledger",
    "prometheus_client": "workers/metrics.py",
    "boto3": "pipelines/tools",
    "botocore": "pipelines/tools",
    "ffmpeg": "pipelines/tools",
    "pymediainfo": "pipelines/tools",
    "urllib3": "pipelines/tools",
}


def imports() -> Iterator[tuple[Path, str]]:
    for floor in FLOORS:
        for file in (ROOT / floor).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module]
                yield from ((file.relative_to(ROOT), name) for name in names)


def test_nothing_imports_upwards() -> None:
    """presets ← pipelines ← workers ← scripts."""
    upwards = [
        f"{file} imports {name}"
        for file, name in imports()
        if name.split(".")[0] in FLOORS and FLOORS.index(name.split(".")[0]) > FLOORS.index(file.parts[0])
    ]
    assert upwards == []


def test_libraries_stay_in_their_rooms() -> None:
    """A queue, a database or a tool is known to one place only."""
    strays = [
        f"{file} imports {name}"
        for file, name in imports()
        if (room := CONFINED.get(name.split(".")[0])) and not file.as_posix().startswith(room)
    ]
    assert strays == []


def test_processes_are_started_in_one_place() -> None:
    """Whatever we start dies with us, because one module starts it."""
    starters = {file.as_posix() for file, name in imports() if name.split(".")[0] == "subprocess"}
    assert starters <= {"pipelines/tools/process.py"}
