"""The clock's own process, taken through the nights that clocks change."""

import json
import os
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipelines.delivery import ReleaseTime
from pipelines.instant import resolve
from pipelines.release import generation_of
from pipelines.tools import process
from pipelines.tools.s3 import Store
from tests.fakes.farm import plan, step, until
from tests.fakes.hook import SECRET, Hook, hook
from tests.fakes.hosts import FAKETIME, ahead
from tests.fakes.promised import promised
from tests.fakes.sentry import Inbox, inbox
from tests.fakes.spine import Avant
from tests.fakes.sundial import Sundial
from tests.fakes.timed_store import timed_store
from workers.farm import Farm
from workers.ledger import Release
from workers.settings import Settings
from workers.store import names, open_store


@dataclass(kw_only=True)
class Time:
    """What time it is for everyone; a file tells the clock's process by how much it is off."""

    file: Path
    ahead: timedelta = timedelta()

    def turn(self, to: datetime) -> None:
        self.ahead = timedelta(seconds=round((to - datetime.now(UTC)).total_seconds()))
        new = self.file.with_suffix(".new")
        new.write_text(f"{self.ahead.total_seconds():+.0f}\n")
        new.rename(self.file)

    def read(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def time(tmp_path: Path) -> Time:
    """Faketime comes from the system; without it a laptop skips, and CI fails."""
    if not FAKETIME and not os.environ.get("CI"):
        pytest.skip("faketime is not installed")
    return Time(file=tmp_path / "time")


@pytest.mark.parametrize("day", ["2027-03-28", "2026-10-25"])
def test_a_release_at_three_goes_out_at_three_in_the_night_that_clocks_change(
    day: str, time: Time, tmp_path: Path
) -> None:
    """
    Paris, 03:00: in spring the minute after 01:59, in autumn an hour after clocks would have shown it. By the
    ledger's clock it is never early and within a second, and everything was looked at again before. Of another that
    is not made, Sentry and a webhook hear in time.
    """
    at = resolve(ReleaseTime(at=f"{day}T03:00", zone="Europe/Paris"))
    time.turn(at.utc - timedelta(minutes=61))
    with ExitStack() as stack:
        bucket = stack.enter_context(timed_store(time.read))
        box, listening = stack.enter_context(inbox()), stack.enter_context(hook())
        settings = Settings(
            home=tmp_path / "home",
            broker_url="redis://127.0.0.1:1/0",
            s3_endpoint=bucket.address,
            s3_access_key="a",
            s3_secret_key=SecretStr("s"),
            naming_key=SecretStr("a key that all tests share"),
            sentry_dsn=SecretStr(box.address),
            webhook_url=SecretStr(listening.url),
            webhook_secret=SecretStr(SECRET),
            log_format="json",
        )
        settings.home.mkdir()
        store = stack.enter_context(closing(open_store(settings)))
        ledger = stack.enter_context(closing(Sundial(time.read).ledger(settings.ledger_address)))
        ledger.enrol("h", memory=1 << 40, slots=["heavy"])
        farm = Farm(settings=settings, store=store, names=names(settings), ledger=ledger)
        promised(farm, [], at.utc, wall=at.wall)
        late = plan("late", [step("late-one")])
        ledger.submit(late, deadline=at.utc)
        ledger.arm(Release(episode="late", at=at.utc, wall=at.wall, editions=late.editions))
        clock = started(settings, time, tmp_path / "log")
        stack.callback(process.stop, clock, 5.0)
        until(lambda: shown(store) == 0, patience=120)
        for minutes in (60, 30, 1):
            time.turn(at.utc - timedelta(minutes=minutes))
            seen = time.read() + timedelta(seconds=2)
            until(lambda seen=seen: time.read() > seen)
            assert shown(store) == 0
        until(lambda: bool(about_late(box) and told_late(listening)), patience=60)
        time.turn(at.utc - timedelta(seconds=3))
        until(lambda: shown(store) == 1, patience=60)
        (flip,) = ledger.acts("e")
        checks = {check.subject: check.said for check in ledger.checks(flip.after["version"])}
    assert timedelta() <= flip.at - at.utc < timedelta(seconds=1)
    assert checks == {"store": ""}
    assert all("work" in message for message in about_late(box))
    faults = {fault["subject"]: fault["said"] for fault in told_late(listening)[0]["faults"]}
    assert faults["work"] == "`late-one` is not done; `late-verified` is not done"


def about_late(box: Inbox) -> list[str]:
    """What Sentry heard of the one that is not made. A turn of the clock amid a look may be told of the other."""
    return [event["message"] for event in box.events if event["tags"]["episode"] == "late"]


def told_late(listening: Hook) -> list[dict[str, Any]]:
    """The same of the webhook, in so far as it is genuine."""
    genuine = [json.loads(body) for number, body in enumerate(listening.bodies) if listening.genuine(number)]
    return [notice for notice in genuine if (notice["episode"], notice["checkpoint"]) == ("late", "T-10 min")]


def started(settings: Settings, time: Time, log: Path) -> process.Child:
    """`avant clock`, for which it is what time it is."""
    avant = Avant(settings=settings)
    fake = {**ahead(0), "FAKETIME_TIMESTAMP_FILE": str(time.file), "FAKETIME_NO_CACHE": "1", "TZ": "Europe/Paris"}
    del fake["FAKETIME"]
    return process.start(avant.argv("clock"), env={**avant.environment, **fake}, log=log)


def shown(store: Store) -> int | None:
    """The generation that viewers would be shown."""
    found = store.get("e/e/main.m3u8")
    return generation_of(found[0]) if found else None
