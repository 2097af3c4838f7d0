"""Frozen values to JSON and back: what the ledger keeps, what `--json` prints, what digests are made of."""

import hashlib
import json
from typing import Any, TypeVar

from pydantic import TypeAdapter

AnyValue = TypeVar("AnyValue")


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Building one takes milliseconds: each is kept."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def to_data(value: Any) -> Any:
    """`value` as plain dicts, lists, strings and numbers. Fractions become `"24000/1001"`."""
    return _adapter(type(value)).dump_python(value, mode="json")


def from_data(kind: type[AnyValue], data: Any) -> AnyValue:
    """The value of this kind that `data`, made by `to_data`, stands for."""
    value: AnyValue = _adapter(kind).validate_python(data)
    return value


def canonical(data: Any) -> bytes:
    """The one JSON spelling of `data`: sorted keys, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(data: Any) -> str:
    """sha256 of the canonical JSON of `data`, in hex."""
    return hashlib.sha256(canonical(data)).hexdigest()
