"""What is written about the product is true."""

import re
from pathlib import Path

from scripts.avant.__main__ import app
from scripts.reference import pages

ROOT = Path(__file__).parents[2]


def test_generated_pages_are_current() -> None:
    """Every key of every document is in the docs, with its default: `python -m scripts.reference` writes them."""
    assert {path.name: path.read_text() for path in pages()} == {path.name: text for path, text in pages().items()}


def test_library_presets_name_every_key_with_a_comment() -> None:
    """A preset file is its own manual."""
    for file in (ROOT / "presets/library").glob("*.toml"):
        seen: set[str] = set()
        for line in file.read_text().splitlines():
            key = re.match(r"(\w+) = ", line)
            if key and key[1] not in seen and key[1] not in {"name", "title"}:
                assert "#" in line, f"{file.name}: {line}"
                seen.add(key[1])


def test_the_readme_lists_every_command() -> None:
    """Nobody has to find a command by chance."""
    listed = re.findall(r"^\| `avant (\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert listed == [command.callback.__name__ for command in app.registered_commands if command.callback]


def test_every_decision_is_listed() -> None:
    decisions = {page.name for page in (ROOT / "docs/decisions").glob("0*.md")}
    assert decisions == set(re.findall(r"\]\((0[^)]+)\)", (ROOT / "docs/decisions/README.md").read_text()))
