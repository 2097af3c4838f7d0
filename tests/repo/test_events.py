"""The manual's table of events is the code's."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "docs" / "operating" / "observability.md"
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")
#: What `log.X(event)` may be given besides a name: a variable of this type, whose values are the names.
ENDINGS = re.compile(r'"(step\.[a-z-]+)"')


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Every `log.info(…)` and its like."""
    for floor in ("workers", "scripts"):
        for file in (ROOT / floor).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LEVELS
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "log"
                ):
                    yield file, node


def logged() -> set[str]:
    names: set[str] = set()
    for file, call in calls():
        event = call.args[0]
        if isinstance(event, ast.Constant):
            names.add(event.value)
        else:
            names |= set(ENDINGS.findall(file.read_text()))
    return names


def test_every_event_is_in_the_manual() -> None:
    """And the manual names none that is never logged. `library.said` is put together from what libraries say."""
    listed = re.findall(r"^\| `([a-z]+\.[a-z_-]+)` \|", MANUAL.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(logged() | {"library.said"})


def test_events_are_dotted_names() -> None:
    """What varies stands in keys: a name can be counted."""
    assert [name for name in logged() if not re.fullmatch(r"[a-z]+\.[a-z_-]+", name)] == []
