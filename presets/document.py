"""
A TOML document in, a typed value out, or one sentence that says which key is wrong and which was meant.

Presets, deliveries and lists of edges are all read here, so that a typing mistake is answered the same way
everywhere.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError


class Document(BaseModel):
    """A part of a document: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        populate_by_name=True,
        hide_input_in_errors=True,  # a mistaken address may hold a secret, and errors go into logs
    )


class DocumentError(Exception):
    """A document that can't be read. `sentence` says what and where; `hint` says what to do."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


AnyDocument = TypeVar("AnyDocument", bound=Document)


def read(kind: type[AnyDocument], path: Path) -> AnyDocument:
    """Read the document of this kind at `path`. Raises `DocumentError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error
    except OSError as error:
        raise DocumentError(f"{path} can't be read: {error.strerror}.", "Check the path.") from error
    return parse(kind, text, name=str(path))


def parse(kind: type[AnyDocument], text: str, *, name: str) -> AnyDocument:
    """Parse `text` as a document of this kind; `name` says in errors where it came from."""
    try:
        return kind.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(f"{name} is not TOML: {error}.", "Mend that line.") from error
    except RecursionError as error:
        raise DocumentError(f"{name} is nested too deeply to be a document.", "Check which file that is.") from error
    except ValidationError as error:
        raise _explained(kind, error, name) from error


def nearest(word: str, words: list[str]) -> str | None:
    """The one of `words` that `word` was most likely meant to be, if any is near."""
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.5)), None)


def _explained(kind: type[Document], error: ValidationError, name: str) -> DocumentError:
    faults = error.errors(include_url=False)
    # A mistyped key also reads as a missing one: the mistake is named, not its echo.
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    where = _dotted(first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(kind, first["loc"][:-1])
        meant = nearest(str(first["loc"][-1]), known)
        hint = f"Did you mean `{meant}`?" if meant else f"Known keys here: {', '.join(sorted(known))}."
        return DocumentError(f"{name}: `{where}` is not a key of this document.", hint)
    if first["type"] == "missing":
        return DocumentError(f"{name}: `{where}` is missing.", f"Add `{first['loc'][-1]}`.")
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    at = f"`{where}`: " if where else ""
    return DocumentError(f"{name}: {at}{message}.", "Correct that value.")


def _dotted(loc: tuple[int | str, ...]) -> str:
    """`("audio", 1, "language")` → `audio[2].language`: people count from one."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def _keys_at(kind: type[Document], loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the sub-document that `loc` leads to."""
    here: type[Document] | None = kind
    for part in loc:
        if isinstance(part, str) and here is not None:
            here = next(
                (document_in(f.annotation) for k, f in here.model_fields.items() if part in (k, f.alias)),
                here,
            )
    return [f.alias or k for k, f in here.model_fields.items()] if here else []


def document_in(annotation: Any) -> type[Document] | None:
    """The kind of document that a field of this type holds, alone or in a tuple, if any."""
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return annotation
    return next((found for arg in get_args(annotation) if (found := document_in(arg))), None)
