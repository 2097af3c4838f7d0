"""Alarms on a real ledger: only what is news, to everybody who must know, until it is taken."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from pipelines.errors import ConfigurationError
from pipelines.tools.s3 import Store
from pipelines.tools.webhook import Webhook
from tests.fakes.hook import SECRET, Hook, hook
from tests.fakes.releases import NAMES
from tests.fakes.sundial import Sundial
from workers.alarm import alarm, deliver
from workers.checkpoint import Finding, Report
from workers.farm import Farm
from workers.ledger import Ledger, Release
from workers.settings import Settings

T = datetime(2026, 11, 29, 2, tzinfo=UTC)
RELEASE = Release(episode="e", at=T, wall="2026-11-29 03:00 Europe/Paris", editions=())
COLD = Finding(subject="edge paris", edition="must", said="3 of 40 objects are cold")
GONE = Finding(subject="store", edition="must", said="`t/x/00001.m4s` is missing")
WELL = Finding(subject="store", edition="must", said="")


@pytest.fixture
def dial() -> Sundial:
    return Sundial(T - timedelta(hours=6))


@pytest.fixture
def ledger(dial: Sundial, tmp_path: Path) -> Iterator[Ledger]:
    with closing(dial.ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as found:
        yield found


@pytest.fixture
def farm(ledger: Ledger, nowhere: str, tmp_path: Path) -> Farm:
    """Its store is never asked."""
    store = Store(endpoint=nowhere, region="us-east-1", bucket="b", access_key="a", secret_key="s")
    return Farm(settings=Settings(home=tmp_path), store=store, names=NAMES, ledger=ledger)


def told(farm: Farm, *findings: Finding, checkpoint: str = "") -> list[str]:
    """The events that a round of checks with those findings led to."""
    release = replace(RELEASE)
    with structlog.testing.capture_logs() as lines:
        alarm(farm, Report(release=_Known(release), findings=findings), checkpoint=checkpoint)  # type: ignore[arg-type]
    return [line["event"] for line in lines]


class _Known:
    """A release whose version nobody asks for."""

    def __init__(self, release: Release) -> None:
        self.episode, self.at, self.wall, self.version = release.episode, release.at, release.wall, "v"


def test_only_news_is_told(farm: Farm) -> None:
    """A fault once, another beside it, the end of both once; and what was well before is no news."""
    assert told(farm, WELL) == []
    assert told(farm, COLD) == ["release.in-danger"]
    assert told(farm, replace(COLD, said="2 of 40 objects are cold")) == []
    assert told(farm, COLD, GONE) == ["release.in-danger"]
    assert told(farm, WELL) == ["release.well-again"]
    assert told(farm, WELL) == []


def test_at_a_checkpoint_danger_is_told_again(farm: Farm) -> None:
    """Whoever did not hear it six hours ago hears it now; all being well is never told twice."""
    assert told(farm, COLD, checkpoint="T-6 h") == ["release.in-danger"]
    assert told(farm, COLD) == []
    assert told(farm, COLD, checkpoint="T-1 h") == ["release.in-danger"]
    assert told(farm, WELL, checkpoint="T-10 min") == ["release.well-again"]
    assert told(farm, WELL, checkpoint="T-10 min") == []


def listened(farm: Farm, listening: Hook) -> Farm:
    settings = farm.settings.model_copy(
        update={"webhook_url": SecretStr(listening.url + "hook?key=k"), "webhook_secret": SecretStr(SECRET)}
    )
    return replace(farm, settings=settings)


def test_a_notice_is_sent_until_it_is_taken(farm: Farm, dial: Sundial) -> None:
    """Signed anew each time, with growing pauses, by whichever clock; then never again."""
    with hook(500, 302, 204) as listening:
        farm = listened(farm, listening)
        told(farm, COLD)
        paused = []
        while True:
            began = dial.now
            while not len(listening.bodies) > len(paused) and dial.now < began + timedelta(hours=1):
                deliver(farm)
                dial.turn(dial.now + timedelta(seconds=1))
            if len(listening.bodies) == len(paused):
                break
            paused.append(round((dial.now - began).total_seconds()))
    assert [abs(seconds - planned) <= 1 for seconds, planned in zip(paused, (0, 5, 10), strict=True)] == [True] * 3
    assert [listening.genuine(number) for number in range(3)] == [True] * 3
    assert json.loads(listening.bodies[0]) == json.loads(listening.bodies[2])
    body = json.loads(listening.bodies[2])
    assert {name: body[name] for name in ("id", "event", "episode", "at", "wall", "subjects", "faults")} == {
        "id": 1,
        "event": "release.in-danger",
        "episode": "e",
        "at": "2026-11-29T02:00:00+00:00",
        "wall": "2026-11-29 03:00 Europe/Paris",
        "subjects": ["edge paris"],
        "faults": [{"subject": "edge paris", "edition": "must", "said": "3 of 40 objects are cold"}],
    }
    assert [taken for _, taken in farm.ledger.notices("e")] == [True]


def test_a_notice_is_given_up_after_a_day(farm: Farm, dial: Sundial) -> None:
    """It is no news any more; what comes later is not held up by it."""
    with hook(500) as listening:
        farm = listened(farm, listening)
        told(farm, COLD)
        while dial.now < T + timedelta(hours=19):
            deliver(farm)
            dial.turn(dial.now + timedelta(minutes=5))
        tried = len(listening.bodies)
        assert 80 < tried < 120
        listening.statuses = [200]
        told(farm, COLD, GONE)
        assert deliver(farm)
    assert len(listening.bodies) == tried + 1
    assert [taken for _, taken in farm.ledger.notices("e")] == [True, False]


def test_a_webhook_that_can_not_be_used_is_said_and_costs_nothing_else(farm: Farm) -> None:
    """What is in the address is not repeated."""
    settings = farm.settings.model_copy(update={"webhook_url": SecretStr("http://example.net/k3y")})
    farm = replace(farm, settings=settings)
    told(farm, COLD)
    with structlog.testing.capture_logs() as lines:
        assert not deliver(farm)
    assert [(line["event"], line["error"]) for line in lines] == [("notice.unsent", "AVANT_WEBHOOK_URL is not https.")]


@pytest.mark.parametrize(
    ("url", "secret", "says"),
    [
        ("http://example.net/", SECRET, "is not https"),
        ("http://127.0.0.1.example.net/", SECRET, "is not https"),
        ("ftp://example.net/", SECRET, "is not https"),
        ("https://user:word@example.net/", SECRET, "is not an address"),
        ("https://example.net/\r\nX: y", SECRET, "is not an address"),
        ("https:///hook", SECRET, "is not an address"),
        ("https://example.net:port/", SECRET, "is not an address"),
        ("https://example.net/", "short", "no secret"),
    ],
)
def test_an_address_that_must_not_be_posted_to_is_refused(url: str, secret: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Webhook.at(url, secret)


def test_an_address_is_split_as_it_is_meant() -> None:
    found = Webhook.at("https://hooks.example.net:8443/a/b?c=d", SECRET)
    assert (found.host, found.port, found.tls, found.path, found.authority) == (
        "hooks.example.net", 8443, True, "/a/b?c=d", "hooks.example.net:8443"
    )  # fmt: skip
    assert "?c=d" not in repr(found)
