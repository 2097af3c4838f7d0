"""A premiere that is nearly due: a plan of real steps, in a ledger where nothing runs by itself."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from pipelines.artifact import Artifact
from pipelines.delivery import Delivery
from pipelines.plan import Plan, make_plan
from presets.catalogue import load
from tests.fakes.farm import claim
from tests.unit.test_plan import PARIS, delivery, examined
from workers.ledger import Ledger, Release

ZONE = ZoneInfo("Europe/Paris")
#: What the delivery says may be given up: the top rung first, then the dub.
FALLBACKS = ({"name": "no-540p", "drop": ["video 540p"]}, {"name": "no-dub", "drop": ["language fr"]})


#: The same for the preset `avc-hd`: all of it takes two minutes, what is left 50 s.
NO_HD = {"name": "no-hd", "drop": ["video 720p", "video 1080p"]}


def premiere(
    at: datetime, *, fallbacks: Iterable[Mapping[str, object]] = FALLBACKS, preset: str = "quick", **matrix: object
) -> Plan:
    """The plan of a delivery in two languages that is to be released at `at`, a whole second."""
    asked = delivery().model_dump(exclude_unset=True, by_alias=True)
    wall = at.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S")
    asked["release"] = {"at": wall, "zone": ZONE.key, "fallback": list(fallbacks), **matrix}
    return make_plan(examined(Delivery.model_validate(asked)), load(preset), [PARIS])


def armed(ledger: Ledger, plan: Plan, at: datetime) -> Release:
    """Submit and arm it."""
    ledger.submit(plan, deadline=at)
    wall = f"{at.astimezone(ZONE):%Y-%m-%d %H:%M} {ZONE.key}"
    release = Release(episode=plan.episode, at=at, wall=wall, editions=plan.editions)
    ledger.arm(release)
    return release


def do(ledger: Ledger, *labels: str) -> list[str]:
    """Do what can be done of the steps whose labels begin so; without any, all. Their labels, in order."""
    done: list[str] = []
    held = []
    while one := claim(ledger):
        if labels and not one.step.label.startswith(labels):
            held.append(one)
            continue
        made = [
            Artifact(digest=each, kind="version", key=f"x/{each}", size=1, sha256="00" * 32) for each in one.step.makes
        ]
        ledger.commit(one.step.id, one.token, made)
        done.append(one.step.label)
    for one in held:
        ledger.hand_back(one.step.id, one.token)
    return done
