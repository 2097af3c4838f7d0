"""The example alerts speak of metrics that there are."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from workers.metrics import FAMILIES

ALERTS = Path(__file__).parents[2] / "deploy" / "prometheus" / "avant-alerts.yml"
SERIES = {family.series: family for family in FAMILIES.values()}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_speaks_of_what_is_measured(rule: dict[str, Any]) -> None:
    """Every metric exists, every label is one of its, and what is shown is not aggregated away."""
    named = re.findall(r"(avant_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert named
    for name, matchers in named:
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= set(SERIES[name].labels)
    kept = {label for labels in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in re.split(r",\s*", labels)}
    known = kept or {label for name, _ in named for label in SERIES[name].labels}
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= known


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert set(rule["annotations"]) == {"summary", "action"}
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_every_alert_has_its_reason_beside_it() -> None:
    lines = ALERTS.read_text().splitlines()
    named = [number for number, line in enumerate(lines) if "- alert:" in line]
    assert len(named) == len(rules())
    assert all(lines[number - 1].strip().startswith("# ") for number in named)


def test_every_metric_is_in_the_manual() -> None:
    """With its labels."""
    manual = (ALERTS.parents[2] / "docs/operating/observability.md").read_text()
    listed = re.findall(r"^\| `(avant_\w+)` \|([^|]*)\|", manual, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in listed} == {
        family.series: set(family.labels) for family in FAMILIES.values()
    }
