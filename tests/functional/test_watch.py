"""Checkpoints on a real store, a real ledger and an edge: when they come, what they find, who is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from pipelines import layout
from pipelines.errors import DeliveryError, EdgeError, Interrupted
from pipelines.tools.s3 import Store, Upload
from pipelines.warm import Edge
from scripts.avant.__main__ import app
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.farm import claimed, plan, step, until
from tests.fakes.hook import SECRET, hook
from tests.fakes.liar import Liar, standing
from tests.fakes.premiere import NO_HD, armed, premiere
from tests.fakes.promised import Promised, promised
from tests.fakes.shelf import Shelf
from tests.fakes.sundial import Sundial
from workers import lookout
from workers.checkpoint import AGAIN, due, recheck
from workers.farm import Farm
from workers.ledger import Lack, Release, open_ledger
from workers.settings import Settings
from workers.store import names
from workers.watch import Watch, look

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Night:
    """An episode that is whole, a day and a half before its release."""

    promised: Promised
    edge: Liar
    dial: Sundial

    @property
    def farm(self) -> Farm:
        return self.promised.farm

    def told(self) -> list[tuple[str, list[str]]]:
        """Checkpoint and subjects of each notice, the first first."""
        return [(body["checkpoint"], body["subjects"]) for body, _ in reversed(self.farm.ledger.notices("e"))]

    def to(self, before: timedelta) -> None:
        """Turn the ledger's clock, and have all looked at whose time has come."""
        self.dial.turn(self.promised.release.at - before)
        look(self.farm, lambda _share: None)

    def asked(self) -> bool:
        """Whether the edge was asked for anything since this was asked last."""
        number = self.edge.asked.total()
        self.edge.asked.clear()
        return number > 0


@pytest.fixture
def night(store_service: StoreService, store: Store, tmp_path: Path) -> Iterator[Night]:
    settings = Settings(home=tmp_path, **spine.outside(store_service, store.bucket), naming_key=SecretStr(spine.KEY))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with closing(open_ledger(url)) as real:
        dial = Sundial(real.now())
    with closing(dial.ledger(url)) as ledger, standing(Liar(bodies=Shelf(store))) as edge:
        ledger.enrol("h", memory=1 << 40, slots=["heavy"])
        farm = Farm(settings=settings, store=store, names=names(settings), ledger=ledger)
        whole = promised(farm, [Edge(name="paris", url=edge.url)], dial.now + 1.5 * DAY)
        edge.asked.clear()
        yield Night(promised=whole, edge=edge, dial=dial)


def test_everything_is_looked_at_again_at_each_checkpoint(night: Night) -> None:
    """Once, whoever looks how often; nothing is before, and all being well is told to nobody."""
    looked = []
    for before in (24.1, 23.9, 23, 6.1, 5.9, 5, 1.1, 0.9, 0.5, 0.17, 0.16, 0.1, 0, -1):
        night.to(timedelta(hours=before))
        night.to(timedelta(hours=before))
        if night.asked():
            looked.append(before)
    # The clocks of host and store stand, so they disagree with the ledger's: that is all that is told.
    assert looked == [23.9, 5.9, 0.9, 0.16]
    assert night.told() == [
        ("T-24 h", ["clocks"]),
        ("T-6 h", ["clocks"]),
        ("T-1 h", ["clocks"]),
        ("T-10 min", ["clocks"]),
    ]
    found = {check.subject: check.said for check in night.farm.ledger.checks(night.promised.release.version)}
    assert found == {"store": "", "edge paris": ""}


def test_what_is_not_well_is_looked_at_until_it_is(night: Night) -> None:
    """Between checkpoints too, and after T: what was mended is released."""
    store, key = night.farm.store, night.promised.key("234p", "00003.m4s")
    body, _ = store.get(key) or (b"", "")
    night.to(timedelta(minutes=59))
    store.delete([key])
    night.to(timedelta(minutes=9, seconds=59))
    assert night.told()[-1] == ("T-10 min", ["clocks", "store"])
    night.asked()
    night.to(timedelta(minutes=9, seconds=10))
    assert not night.asked()
    night.to(timedelta(minutes=8))
    assert night.asked()
    assert len(night.told()) == 2
    spoilt = night.promised.release.editions[0]
    assert [lack.kind for lack in night.farm.ledger.lacking(spoilt)] == ["failed"]
    store.put_once(Upload(key=key, body=body, content_type=layout.content_type(key), cache_control=layout.IMMUTABLE))
    night.to(-timedelta(minutes=2))
    assert night.farm.ledger.lacking(spoilt) == ()
    assert night.told()[-1] == ("", ["clocks"])


def test_of_two_clocks_one_looks(night: Night) -> None:
    """And the other does when that one died of it, or looked too early."""
    ledger, at = night.farm.ledger, night.promised.release.at
    night.dial.turn(at - timedelta(hours=6))
    since, long_ago = at - timedelta(hours=6), at - timedelta(hours=6, minutes=30)

    def begun() -> bool:
        return ledger.begin_round("v", ended_before=since + timedelta(seconds=1), begun_before=max(since, long_ago))

    night.dial.turn(since + timedelta(seconds=1))
    assert [begun(), begun()] == [True, False]
    night.dial.turn(since + timedelta(minutes=31))
    assert ledger.begin_round("v", ended_before=since, begun_before=night.dial.now - timedelta(minutes=30))
    ledger.end_round("v", whole=True)
    assert not begun()


def test_a_clock_that_stops_leaves_a_look_at_once(night: Night) -> None:
    """No finding is made up of it, and whoever is left looks at once."""

    def over(_share: float) -> None:
        raise Interrupted("The clock is stopping.")

    night.dial.turn(night.promised.release.at - timedelta(minutes=9))
    with pytest.raises(Interrupted):
        look(night.farm, over)
    assert night.farm.ledger.checks(night.promised.release.version) == ()
    look(night.farm, lambda _share: None)
    assert night.told() == [("T-10 min", ["clocks"])]


def test_what_is_failing_is_due_again_and_what_is_not_made_is_not(night: Night) -> None:
    """Only a fresh look can heal a failed or stale check; what was never proved, only work."""
    release = night.promised.release
    lacks = {kind: Lack(subject="store", kind=kind, said="x") for kind in ("unproved", "failed", "stale")}  # type: ignore[arg-type]
    late = release.at + timedelta(hours=1)
    assert due(release, [lacks["failed"]], release.at - timedelta(hours=25)) == ()
    assert due(release, [], late) == ()
    assert due(release, [lacks["unproved"]], late) == ()
    for kind in ("failed", "stale"):
        (again,) = due(release, [lacks[kind]], late)
        assert (again.checkpoint, again.ended_before) == ("", late - AGAIN)
    early = due(release, [lacks["failed"]], release.at - timedelta(hours=5))
    assert [one.checkpoint for one in early] == ["T-6 h", ""]


def test_a_clock_beside_its_flips_looks_and_tells(night: Night) -> None:
    """Its two threads, with a webhook that fails first: told within seconds of the checkpoint."""
    night.dial.turn(night.promised.release.at - timedelta(minutes=9))
    with hook(503, 204) as listening:
        url = {"webhook_url": SecretStr(listening.url), "webhook_secret": SecretStr(SECRET)}
        farm = Farm(
            settings=night.farm.settings.model_copy(update=url),
            store=night.farm.store,
            names=night.farm.names,
            ledger=night.farm.ledger,
        )
        with Watch(farm):
            until(lambda: bool(listening.bodies))
            night.dial.turn(night.dial.now + timedelta(seconds=6))
            until(lambda: [taken for _, taken in farm.ledger.notices("e")] == [True])
    assert listening.genuine(1)
    assert json.loads(listening.bodies[1])["checkpoint"] == "T-10 min"


def test_it_looks_ahead_too(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread of its own, again and again, until the clock is stopped: what is automatic is given up."""
    monkeypatch.setattr(lookout, "INTERVAL", 0.05)
    ledger, at = night.farm.ledger, night.dial.now + timedelta(seconds=110)
    ledger.enrol("h", memory=1 << 40, slots=["heavy", "light"])
    late = premiere(at, preset="avc-hd", fallbacks=[{**NO_HD, "automatic": True}])
    with Watch(night.farm):
        armed(ledger, late, at)
        until(lambda: [act.by.action for act in ledger.acts(late.episode, limit=1)] == ["drop"])
    assert [thread.name for thread in threading.enumerate() if thread.name == "watch"] == []


def test_work_that_is_late_or_failed_is_danger(night: Night) -> None:
    """Long before T, if it can't be in time any more; at the last checkpoint, whatever is not done."""
    ledger, release = night.farm.ledger, night.promised.release
    waiting = plan("late", [step("late-one")])
    ledger.submit(waiting, deadline=release.at)
    tonight = Release(episode="late", at=release.at, wall="then", editions=waiting.editions)
    ledger.arm(tonight)

    def said() -> list[str]:
        return [each.said for each in recheck(night.farm, tonight).findings if each.subject == "work"]

    assert said() == []
    night.dial.turn(release.at - timedelta(minutes=9))
    assert said() == ["`late-one` is not done; `late-verified` is not done"]
    night.dial.turn(release.at - timedelta(seconds=1))
    assert said() == ["`late-one` is late; `late-verified` is late"]
    held = claimed(ledger)
    ledger.fail(held.step.id, held.token, DeliveryError("It is no film."))
    assert said() == ["`late-one` failed: It is no film; `late-verified` is late"]


def test_prerelease_says_what_is_not_well_and_ends_with_75(night: Night) -> None:
    """For cron: 0 while all is well, and a document either way. Of what is due later nothing is asked."""

    def prerelease(*words: str) -> Result:
        return CliRunner().invoke(app, ["prerelease", *words, "--json"], env=night.farm.settings.environment())

    far = prerelease("--within", "24h")
    assert (far.exit_code, json.loads(far.stdout)) == (0, {"ok": True, "releases": []})
    well = prerelease("--within", "2d")
    assert (well.exit_code, json.loads(well.stdout)["ok"]) == (0, True)
    night.farm.store.delete([night.promised.key("ar dub 2", "00001.m4s")])
    ill = prerelease("--within", "2d")
    (release,) = json.loads(ill.stdout)["releases"]
    assert (ill.exit_code, release["episode"], release["ok"]) == (75, "e", False)
    said = {each["subject"]: each["said"] for each in release["findings"]}
    assert said["store"].startswith("ar dub stereo: Version ")
    assert night.told() == [("", ["store"])]
    assert prerelease("--within", "soon").exit_code == 2


def test_a_proof_on_demand_counts_at_the_gate(night: Night) -> None:
    """Well or not; what another list of edges says of them does not."""

    def prove(*words: str | Path) -> Result:
        environment = night.farm.settings.environment()
        return CliRunner().invoke(app, ["warm", "prove", "e", "--json", *map(str, words)], env=environment)

    def kept() -> list[bool]:
        return [check.ok for check in night.farm.ledger.checks(night.promised.release.version)]

    other = night.farm.settings.home / "edges.toml"
    other.write_text(f'[[edges]]\nname = "paris"\nurl = "{night.edge.url}"\n')
    assert (prove("--edges", other).exit_code, kept()) == (0, [])
    night.edge.room = 0
    night.edge.copies.clear()
    assert isinstance(prove().exception, EdgeError)
    assert kept() == [False]
    night.edge.room = 1000
    assert (prove().exit_code, kept()) == (0, [True])
