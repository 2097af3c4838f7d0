"""Something is given up so that a release is in time: in the ledger, by the clock, by operators."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import update
from typer.testing import CliRunner, Result

from pipelines.encode import EncodeJob
from pipelines.errors import DeliveryError, ReleaseError
from pipelines.plan import Plan
from scripts.avant.__main__ import app
from tests.fakes.farm import claimed
from tests.fakes.premiere import FALLBACKS, NO_HD, ZONE, armed, do, premiere
from workers.ledger import By, Ledger, open_ledger
from workers.ledger.schema import artifacts
from workers.lookout import Lookout
from workers.outlook import known
from workers.readiness import readiness

ANA = By(who="ana", action="drop", why="the master was late")


@pytest.fixture
def ledger(ledger_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("AVANT_LEDGER_URL", ledger_address)
    monkeypatch.setenv("AVANT_HOME", str(tmp_path / "home"))
    one = open_ledger(ledger_address)
    one.enrol("h", memory=1 << 40, slots=["heavy", "light"])
    yield one
    one.close()


def soon(seconds: float = 3600) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def current(ledger: Ledger) -> Plan:
    found = ledger.overview("e")
    assert found
    return found.plan


def test_plan_steps_and_release_change_together(ledger: Ledger) -> None:
    """The release waits for less, the version with everything stays the same; it is told who did it, and done once."""
    at = soon()
    plan = premiere(at)
    armed(ledger, plan, at)
    taken = ledger.give_up("e", "no-540p", by=ANA)
    assert taken
    (release,) = ledger.armed()
    assert current(ledger) == taken.plan
    assert release.editions == taken.plan.editions
    assert (release.version, len(release.editions), release.at) == (plan.version, 2, at)
    (act,) = ledger.acts("e")
    assert (act.by, act.before["given_up"], act.after["given_up"]) == (ANA, [], ["no-540p"])
    assert ledger.give_up("e", "no-540p", by=ANA) is None
    assert len(ledger.acts("e")) == 1


def test_what_is_waited_for_is_made_without_what_is_not(ledger: Ledger) -> None:
    """Chunks whose rungs were to be encoded together, and are not begun, are parted: nothing of SHOULD goes first."""
    at = soon()
    armed(ledger, premiere(at), at)
    running = claimed(ledger)
    assert isinstance(running.step.job, EncodeJob)
    ledger.give_up("e", "no-540p", by=ANA)
    ledger.hand_back(running.step.id, running.token)
    done = do(ledger)
    least = done.index("warm paris")
    assert [label for label in done[:least] if "540p" in label] in ([], [running.step.label])
    assert done[-1] == "warm paris with should"
    overview = ledger.overview("e")
    assert overview
    assert overview.ready


def test_what_runs_together_is_not_begun_again(ledger: Ledger) -> None:
    at = soon()
    armed(ledger, premiere(at), at)
    claimed(ledger)
    ledger.give_up("e", "no-540p", by=ANA)
    others = do(ledger, "encode")
    assert [label for label in others if label.startswith("encode 0:00")] == []


def test_what_failed_is_not_tried_again_for_it(ledger: Ledger) -> None:
    """Nobody has looked at the failure."""
    at = soon()
    armed(ledger, premiere(at), at)
    while (held := claimed(ledger)).step.label != "audio fr dub stereo":
        ledger.fail(held.step.id, held.token, DeliveryError("It is silent."))
    ledger.fail(held.step.id, held.token, DeliveryError("It is silent."))
    ledger.give_up("e", "no-dub", by=ANA)
    overview = ledger.overview("e")
    assert overview
    assert "audio fr dub stereo" in {view.step.label for view in overview.stuck}


def test_who_submits_again_does_not_undo_it(ledger: Ledger) -> None:
    """The same delivery, or a corrected one, for the same release: nothing that was given up is waited for again."""
    at = soon()
    plan = premiere(at)
    armed(ledger, plan, at)
    ledger.give_up("e", "no-540p", by=ANA)
    less = current(ledger)
    assert ledger.submit_once(plan, deadline=at) is None
    again = armed(ledger, plan, at)
    assert again.editions == plan.editions  # whoever arms need not know
    assert (current(ledger), ledger.armed()[0].editions) == (less, less.editions)
    corrected = premiere(at, later=["text *"])
    armed(ledger, corrected, at)
    assert [len(edition.tracks) for edition in ledger.armed()[0].editions] == [5, 6, 7]


def test_operators_may_have_moved_the_release(ledger: Ledger) -> None:
    """The delivery's own time is still what it was: that is no other promise."""
    at = soon()
    plan = premiere(at)
    release = armed(ledger, plan, at)
    ledger.give_up("e", "no-540p", by=ANA)
    ledger.arm(replace(release, at=at + timedelta(hours=1)))
    assert ledger.submit_once(plan, deadline=at) is None
    assert current(ledger).given_up == ("no-540p",)


@pytest.mark.parametrize("change", ["time", "delivery"])
def test_another_promise_is_kept_whole(ledger: Ledger, change: str) -> None:
    """Another release time, or a delivery that declares no such fallback, waits for everything again."""
    at = soon()
    armed(ledger, premiere(at), at)
    ledger.give_up("e", "no-540p", by=ANA)
    then = soon(7200) if change == "time" else at
    whole = premiere(then, fallbacks=FALLBACKS if change == "time" else FALLBACKS[1:])
    armed(ledger, whole, then)
    assert (current(ledger), ledger.armed()[0].editions) == (whole, whole.editions)


def test_of_two_who_give_it_up_one_does(ledger: Ledger) -> None:
    at = soon()
    armed(ledger, premiere(at), at)
    with ThreadPoolExecutor(4) as clocks:
        taken = list(clocks.map(lambda _: ledger.give_up("e", "no-540p", by=ANA), range(4)))
    assert len([one for one in taken if one]) == len(ledger.acts("e")) == 1


def test_only_what_is_declared_and_armed_is_given_up(ledger: Ledger) -> None:
    at = soon()
    plan = premiere(at)
    ledger.submit(plan, deadline=at)
    with pytest.raises(ReleaseError, match="Nothing of `e` is armed"):
        ledger.give_up("e", "no-540p", by=ANA)
    armed(ledger, plan, at)
    with pytest.raises(ReleaseError, match="declares no fallback `no-54p`") as refused:
        ledger.give_up("e", "no-54p", by=ANA)
    assert refused.value.hint == "Did you mean `no-540p`?"


def looked(*lookouts: Lookout) -> list[Any]:
    with structlog.testing.capture_logs() as said:
        for lookout in lookouts:
            lookout.look()
    return said


def test_danger_is_told_once_with_what_would_help(ledger: Ledger) -> None:
    """Nothing is given up that operators must decide."""
    at = soon(110)
    armed(ledger, premiere(at, preset="avc-hd", fallbacks=[NO_HD]), at)
    one = Lookout(ledger)
    (said,) = looked(one, one)
    assert (said["event"], said["log_level"], said["episode"]) == ("release.endangered", "error", "e")
    assert (said["offered"], said["state"], said["slack_s"] < 0) == (["no-hd"], "late", True)
    assert current(ledger).given_up == ()
    do(ledger, "encode", "audio", "package")
    (said,) = looked(one, one)
    assert (said["event"], said["log_level"]) == ("release.safe", "info")


def test_what_is_automatic_is_given_up_by_the_clock(ledger: Ledger) -> None:
    """By one of any number, and told; the release is safe then. What somebody holds, somebody decides."""
    at = soon(110)
    armed(ledger, premiere(at, preset="avc-hd", fallbacks=[{**NO_HD, "automatic": True}]), at)
    ledger.hold("e", held=True, by=By(who="ana", action="hold"))
    one, two = Lookout(ledger), Lookout(ledger)
    assert [line["event"] for line in looked(one, two)] == ["release.endangered"] * 2
    ledger.hold("e", held=False, by=By(who="ana", action="go"))
    said = [line for line in looked(one, two) if line["event"] != "release.safe"]
    assert [line["event"] for line in said] == ["release.degraded"]
    assert said[0]["given_up"] == ["no-hd"]
    assert current(ledger).given_up == ("no-hd",)
    act = ledger.acts("e")[0]
    assert (act.by.who, act.by.action, act.by.why.startswith("else ready by ")) == ("clock", "drop", True)


def test_nothing_is_drawn_while_a_flip_is_near(ledger: Ledger) -> None:
    """Nor for what is days ahead."""
    at = soon(20)
    armed(ledger, premiere(at), at)
    assert looked(Lookout(ledger)) == []
    far = soon(3 * 86400)
    armed(ledger, premiere(far), far)
    ledger.pause_lane("encode", paused=True)
    assert looked(Lookout(ledger)) == []


def avant(*words: str) -> Result:
    return CliRunner().invoke(app, words, catch_exceptions=False, env={"COLUMNS": "200"})


def told(*words: str) -> Any:
    ended = avant(*words, "--json")
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)


def test_one_screen_answers(ledger: Ledger) -> None:
    """First whether, then when in both clocks, who has it in hand, and each part with its class, hour and slack."""
    at = soon(600)
    armed(ledger, premiere(at, should=["text *"]), at)
    ledger.hold("e", held=True, by=By(who="ana", action="hold", why="wrong dub"))
    do(ledger, "audio")
    text = avant("release", "show", "e").stdout
    assert text.startswith("NO, it is HELD: `avant release go e`. Else: YES, at ")
    assert "Europe/Paris = " in text
    assert f"{at:%H:%M:%S} UTC" in text
    assert "Held by ana, " in text
    assert "ana hold: wrong dub" in text
    ledger.hold("e", held=False, by=By(who="ana", action="go"))
    answer, *lines = avant("release", "show", "e").stdout.splitlines()
    assert answer.startswith("YES, at ")
    assert "with all of it" in answer
    parts = [tuple(line.split()[:2]) for line in lines if "MUST" in line or "SHOULD" in line]
    assert parts[-1] == ("text", "SHOULD")  # what presses least comes last
    assert {*parts[:-1]} == {("picture", "MUST"), ("en", "MUST"), ("fr", "MUST"), ("thumbnails", "MUST")}
    assert len(lines) < 24
    assert "Armed by its submission; not held" in lines[1]


def test_the_screen_is_the_same_for_programs(ledger: Ledger) -> None:
    at = soon(600)
    armed(ledger, premiere(at), at)
    found = told("release", "show", "e")
    assert (found["in_time"], found["at"], found["held"], found["viewers"]["generation"]) == (
        True, at.isoformat(), False, 0
    )  # fmt: skip
    (edition,) = found["editions"]
    assert (edition["state"], edition["warm"], edition["verified"]) == ("in time", {"paris": False}, False)
    assert edition["p50"] <= edition["p95"]
    assert 0 < edition["slack_s"] < 600
    assert [(part["part"], part["class"]) for part in found["parts"]][:2] == [("picture", "must"), ("en", "must")]
    assert found["fallbacks"] == []
    do(ledger)
    assert told("release", "show", "e")["answer"] == "YES, ready."


def test_old_evidence_is_no_danger_while_it_will_be_looked_at_again(ledger: Ledger) -> None:
    """Only after the last checkpoint nobody looks any more."""
    at = soon()
    release = armed(ledger, premiere(at), at)
    do(ledger)
    with ledger._write() as connection:
        connection.execute(update(artifacts).values(committed_at=artifacts.c.committed_at - 26 * 3600))
    assert told("release", "show", "e")["answer"] == "YES, ready."
    assert looked(Lookout(ledger)) == []
    ledger.arm(replace(release, at=soon(300)))
    assert told("release", "show", "e")["answer"].startswith("NO, not without somebody: store: stale")


def test_what_if_is_said_not_to_be_so(ledger: Ledger) -> None:
    """The same screen; nothing is changed by asking."""
    at = soon(600)
    armed(ledger, premiere(at), at)
    before = ledger.overview("e")
    lost = told("release", "show", "e", "--lose-slots", "9")
    assert (lost["in_time"], lost["supposed"]) == (False, ["2 of 2 slots are lost"])
    then = (at + timedelta(hours=1)).astimezone(ZONE)
    late = told("release", "show", "e", "--arrives", f"subtitles.de={then:%Y-%m-%dT%H:%M}")
    assert (late["in_time"], [part["part"] for part in late["parts"] if part["state"] == "late"]) == (False, ["text"])
    less = told("release", "show", "e", "--drop", "no-540p")
    assert [(part["part"], part["class"]) for part in less["parts"]][:2] == [("picture", "must"), ("picture", "should")]
    assert avant("release", "show", "e", "--drop", "no-540p").stdout.startswith("SUPPOSED, not so: `no-540p` is given")
    after = ledger.overview("e")
    assert before
    assert after
    assert (after.plan, after.steps) == (before.plan, before.steps)


@pytest.mark.parametrize(
    "asked", ["subtitles.fr", "song.fr=01:30", "subtitles.fr=half past", "dub=01:30", "dub.x=01:30"]
)
def test_a_supposition_that_is_unclear_is_refused(ledger: Ledger, asked: str) -> None:
    at = soon(600)
    armed(ledger, premiere(at), at)
    ended = avant("release", "show", "e", "--arrives", asked)
    assert ended.exit_code == 2
    assert "subtitles.fr=01:30" in ended.stderr or "BCP 47" in ended.stderr


def test_an_operator_gives_something_up(ledger: Ledger) -> None:
    """Shown first, and only done with a second yes; then a release that was late is in time."""
    at = soon(110)
    armed(ledger, premiere(at, preset="avc-hd", fallbacks=[NO_HD]), at)
    shown = told("release", "drop", "e", "no-hd", "--dry-run")
    assert (shown["in_time"], shown["supposed"], current(ledger).given_up) == (True, ["`no-hd` is given up"], ())
    with pytest.raises(ReleaseError, match="Nobody is at a terminal"):
        avant("release", "drop", "e", "no-hd")
    done = told("release", "drop", "e", "no-hd", "--yes", "--who", "ana", "--why", "late master")
    assert (done["in_time"], done["already"]) == (True, False)
    assert current(ledger).given_up == ("no-hd",)
    assert told("release", "show", "e")["in_time"]
    assert ledger.acts("e")[0].by == By(who="ana", action="drop", why="late master")
    assert told("release", "drop", "e", "no-hd", "--yes")["already"]


def test_what_is_released_gives_nothing_up(ledger: Ledger) -> None:
    """What follows follows anyway; the screen says when."""
    at = soon(0)
    armed(ledger, premiere(at, should=["text *"]), at)
    do(ledger, "encode", "audio", "package", "thumbnails", "compose", "verify", "warm")
    assert ledger.flip("e", generation=0)
    answer = told("release", "show", "e")["answer"]
    assert answer.startswith("YES, released since ")
    assert "; the rest follows, at " in answer
    with pytest.raises(ReleaseError, match="Viewers have what the release of `e` waited for"):
        avant("release", "drop", "e", "no-540p", "--yes")
    do(ledger)
    assert ledger.flip("e", generation=1)
    assert told("release", "show", "e")["answer"].endswith("; viewers have all of it.")


def test_the_forecast_is_what_then_happens(ledger: Ledger) -> None:
    """What a supposition says is what is known once it has become true."""
    at = soon(600)
    armed(ledger, premiere(at), at)
    supposed = told("release", "show", "e", "--drop", "no-540p")
    ledger.give_up("e", "no-540p", by=ANA)
    found = readiness(known(ledger, "e"), "e")
    assert found.least.outlook.p50
    then = datetime.fromisoformat(supposed["editions"][0]["p50"])
    assert abs(found.least.outlook.p50 - then) < timedelta(seconds=5)
