"""Chapters, for apps that skip an intro or place an ad break: data beside the manifests, cut into nothing."""

import json
from fractions import Fraction

from pipelines.policy import Mark, Policy


def chapters(policy: Policy) -> str:
    """JSON of every mark, in seconds of the programme with three decimals, in order of time."""
    marks = sorted(policy.marks, key=lambda mark: mark.start)
    body = {
        "title": policy.title,
        "duration": _seconds(policy.duration),
        "chapters": [_entry(mark) for mark in marks],
    }
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


def _entry(mark: Mark) -> dict[str, str | float | None]:
    return {
        "kind": mark.kind,
        "start": _seconds(mark.start),
        "end": None if mark.end is None else _seconds(mark.end),
        "title": mark.title,
    }


def _seconds(exact: Fraction) -> float:
    return float(round(exact, 3))
