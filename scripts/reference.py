"""
`docs/presets.md`, `docs/delivery.md`, `docs/edges.md` and the page of settings, written from the models, so that they
can't be wrong.

    python -m scripts.reference          writes them
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipelines.delivery import Delivery
from pipelines.warm import Edges
from presets.catalogue import load, names
from presets.document import Document, document_in
from presets.preset import Preset
from workers.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
MADE = "<!-- Written by `python -m scripts.reference` from the models. -->"


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    library = "\n".join(f"* `{name}`: {load(name).title}" for name in names())
    return {
        DOCS / "presets.md": _page(
            "Presets",
            "A preset says what is made of every episode that names it. The library has:\n\n"
            f"{library}\n\n"
            "A folder named by `AVANT_PRESETS` adds more, or hides one of these. A key that is not listed here is "
            "refused, with the nearest one that is.",
            Preset,
        ),
        DOCS / "delivery.md": _page(
            "The delivery: `episode.toml`",
            "A delivery is one document and the files or S3 objects that it names. Paths are relative to the document.",
            Delivery,
        ),
        DOCS / "edges.md": _page(
            "Edges: `edges.toml`",
            "Which caches stand between viewers and the store, and how much of each warming may take. How it is used: "
            "[How do I have edges warmed?](operating/edges.md)",
            Edges,
        ),
        DOCS / "operating" / "settings.md": _settings(),
    }


def _settings() -> str:
    rows = "\n".join(
        f"| `AVANT_{name.upper()}` | {(field.description or '').replace(chr(10), ' ')} |"
        for name, field in Settings.model_fields.items()
    )
    return (
        f"# Which settings are there?\n\n{MADE}\n\nThe environment says where things are. What is not set is embedded: "
        f"started by `avant run`, kept in the home folder.\n\n| variable | what it is |\n| --- | --- |\n{rows}\n"
    )


def _page(title: str, opening: str, kind: type[Document]) -> str:
    return f"# {title}\n\n{MADE}\n\n{opening}\n\n" + "\n".join(_sections(kind, ""))


def _sections(kind: type[Document], name: str) -> Iterator[str]:
    yield f"## `[{name}]`\n" if name else "## Top level\n"
    yield f"{kind.__doc__}\n"
    yield "| key | type | default | what it is |\n| --- | --- | --- | --- |"
    parts = []
    for key, field in kind.model_fields.items():
        word = field.alias or key
        part = document_in(field.annotation)
        if part:
            parts.append((part, f"{name}.{word}".lstrip(".")))
        meaning = (field.description or "").replace("\n", " ").replace("|", "\\|")
        yield f"| `{word}` | {_type(field)} | {_default(field)} | {meaning} |"
    yield ""
    for part, path in parts:
        yield from _sections(part, path)


def _type(field: FieldInfo) -> str:
    if document_in(field.annotation):
        return "tables" if str(field.annotation).startswith("tuple") else "table"
    choices = _choices(field.annotation)
    if choices:
        return " · ".join(f"`{choice}`" for choice in choices)
    words = [getattr(a, "__name__", "") for a in _parts(field.annotation)]
    return next((say for word, say in _WORDS.items() if word in words), "text")


_WORDS = {"bool": "true or false", "int": "whole number", "float": "number", "str": "text"}


def _parts(annotation: Any) -> Iterator[Any]:
    """The annotation and all that it is put together from."""
    yield annotation
    for arg in get_args(annotation):
        yield from _parts(arg)


def _choices(annotation: Any) -> list[str]:
    if "Literal" in str(getattr(annotation, "__origin__", "")):
        return [str(arg) for arg in get_args(annotation)]
    return [choice for arg in get_args(annotation) for choice in _choices(arg)]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or field.default in ((), ""):
        return "–"
    if isinstance(field.default, Document | tuple):
        return "as below"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def main() -> None:
    for path, text in pages().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
