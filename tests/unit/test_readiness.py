"""Whether a release will be in time, from facts: for each part, for each edition, and if things were otherwise."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.arrival import Arrival
from pipelines.delivery import AudioRole, TextKind
from pipelines.errors import DeliveryError
from pipelines.plan import Plan, missing
from pipelines.release import Ref
from tests.fakes.premiere import FALLBACKS, premiere
from workers.degrade import Remedy, chosen, remedies
from workers.ledger import Fault, Overview, Release, StepView
from workers.ledger.urgency import latest_start
from workers.pace import Pace, Queued, Seat
from workers.readiness import Going, Known, Outlook, Part, readiness
from workers.suppose import arrived, given_up, lost

NOW = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)
FARM = (Seat(host="h", lanes=("encode", "audio", "package", "control")), Seat(host="h", lanes=("package", "warm")))
#: Each step takes what it is estimated to take.
EXACT = tuple(Pace(sort=(), host="h", ratio=1.0) for _ in range(5))


def facts(plan: Plan, *done: str, at: datetime, failed: str = "", seats: tuple[Seat, ...] = FARM) -> Known:
    """What is known when the steps whose labels begin as `done` says were done, and nothing runs."""
    over = [step for step in plan.steps if step.label.startswith(done)] if done else []
    made = frozenset(each for step in over for each in step.makes)
    views = tuple(StepView(
        step=step, state="failed" if failed and step.label.startswith(failed) else "done" if step in over else "ready",
        progress=0.0, attempts=1, host=None, worker=None, started_at=None, finished_at=None, not_before=None,
        fault=Fault(kind="DeliveryError", message="It is silent.", hint="", retryable=False, who="deliverer"),
    ) for step in plan.steps)  # fmt: skip
    stuck = {view.step.id for view in views if view.state == "failed"}
    queue = tuple(
        Queued(step=step, key=latest_start(step, deadline=at.timestamp(), submitted_at=0), ours=True)
        for step in missing(plan, set(made))
        if step.id not in stuck
    )
    return Known(
        overview=Overview(plan=plan, deadline=at, submitted_at=NOW, now=NOW, steps=views, made=made),
        release=Release(episode="e", at=at, wall="2026-11-29 03:00 Europe/Paris", editions=plan.editions),
        ref=Ref(episode="e", generation=0, state="not-yet", version=None, flipped_at=None),
        lacks={each.version: dict.fromkeys(set(each.goals) - made, "") for each in plan.editions},
        queue=queue,
        seats=seats,
        paces=EXACT,
    )


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def least(known: Known) -> Outlook:
    return readiness(known, "seed").least.outlook


def parts(known: Known) -> dict[tuple[str, str], Part]:
    return {(part.name, part.urgency): part for part in readiness(known, "seed").parts}


def editions(known: Known) -> tuple[Going, ...]:
    return readiness(known, "seed").editions


def names(remedy: Remedy | None) -> Iterable[str]:
    return remedy.names if remedy else ()


def test_what_is_whole_is_ready() -> None:
    """From facts alone: its artifacts exist and the gate lacks nothing, whatever any step says of itself."""
    plan = premiere(after(60))
    known = facts(plan, "", at=after(60))
    assert least(replace(known, overview=replace(known.overview, steps=facts(plan, at=after(60)).overview.steps))) == (
        Outlook(state="ready")
    )
    assert {part.outlook.state for part in readiness(known, "seed").parts} == {"ready"}


def test_the_time_it_takes_decides() -> None:
    """About 20 s of encodes on one slot, then packaging and 6 s of warming."""
    states = [least(facts(premiere(after(left)), at=after(left))).state for left in (60, 10)]
    assert states == ["in time", "late"]
    outlook = least(facts(premiere(after(60)), at=after(60)))
    assert outlook.p50
    assert outlook.p95
    assert after(20) < outlook.p50 <= outlook.p95 < after(35)
    assert outlook.slack == (after(60) - outlook.p95).total_seconds()


def test_what_follows_has_hours() -> None:
    """SHOULD counts from T + 2 h, LATER from T + 24 h; what is late for T is in time for those."""
    plan = premiere(after(20), should=["video 540p"], later=["text *"])
    going = editions(facts(plan, at=after(20)))
    assert [(one.edition.urgency, one.outlook.state) for one in going] == [
        ("must", "late"), ("should", "in time"), ("later", "in time")
    ]  # fmt: skip
    ends = [one.outlook.p95 for one in going if one.outlook.p95]
    assert ends == sorted(ends)


def test_each_language_version_answers_for_itself() -> None:
    """What is made waits for verification and warming alone; what failed is nobody else's fault, and says why."""
    plan = premiere(after(60))
    known = facts(plan, "audio en", "package en", at=after(60), failed="audio fr")
    found = parts(known)
    assert [len(part.each) for part in found.values()] == [len(part.tracks) for part in found.values()]
    made, failed, picture = found["en", "must"], found["fr", "must"], found["picture", "must"]
    assert len(made.made) == 1
    assert made.outlook.p95
    assert picture.outlook.p95
    assert made.outlook.p95 < picture.outlook.p95
    assert (failed.outlook.state, failed.outlook.why) == ("never", ("`audio fr dub stereo` failed: It is silent.",))
    assert least(known).why == failed.outlook.why


def test_each_rung_answers_for_itself() -> None:
    """The part is as late as its last track."""
    known = facts(premiere(after(60)), "encode", "package 234p", at=after(60))
    picture = parts(known)["picture", "must"]
    ends = [outlook.p95 for outlook in picture.each if outlook.p95]
    assert [track.label for track in picture.tracks] == ["234p", "360p", "540p"]
    assert ends[0] == min(ends) < max(ends) == picture.outlook.p95


def test_what_no_slot_serves_is_never_ready() -> None:
    plan = premiere(after(60))
    assert least(facts(plan, at=after(60), seats=FARM[1:])).why == ("no slot serves audio, control, encode",)


def test_a_check_that_failed_keeps_it_from_being_ready() -> None:
    """Whatever exists: the gate would refuse."""
    plan = premiere(after(60))
    known = facts(plan, "", at=after(60))
    cold = replace(known, lacks={plan.version: {"edge paris": "It has forgotten 3 objects."}})
    assert least(cold) == Outlook(state="never", why=("edge paris: It has forgotten 3 objects.",))


def test_viewers_who_have_more_must_not_lose_it() -> None:
    """Of a corrected delivery only the fullest edition counts; what viewers have is released."""
    plan = premiere(after(60), should=["video 540p"])
    known = facts(plan, at=after(60))
    other = replace(known, ref=replace(known.ref, state="released", generation=1, version="other"))
    assert [going.edition.urgency for going in editions(other)] == ["should"]
    first = replace(known, ref=replace(known.ref, state="released", generation=1, version=plan.editions[0].version))
    assert [going.released for going in editions(first)] == [True, False]


def test_the_same_facts_give_the_same_answer() -> None:
    known = facts(premiere(after(60)), at=after(60))
    assert readiness(known, "seed") == readiness(known, "seed")


def test_slots_that_are_lost_cost_time() -> None:
    """Encodes go first, and what they had done is done again."""
    plan = premiere(after(60))
    known = facts(plan, at=after(60), seats=(*FARM, *FARM[:1]))
    running = replace(known, queue=(replace(known.queue[0], progress=0.5, elapsed=4.0), *known.queue[1:]))
    ends = [least(one).p50 for one in (running, lost(running, 1), lost(running, 9))]
    assert ends[0]
    assert ends[1]
    assert ends[0] + timedelta(seconds=4) < ends[1]
    assert ends[2] is None
    assert lost(running, 1).queue[0].elapsed == 0


@pytest.mark.parametrize(
    ("what", "language", "part"),
    [("subtitles", "de", "text"), ("subtitles", "fr", "text"), ("dub", "it", "it"), ("forced", "it", "it")],
)
def test_what_arrives_late_holds_up_the_release(what: TextKind | AudioRole, language: str, part: str) -> None:
    """A text or a dub that the plan lacks, or has: made from its arrival on, verified and warmed with the rest."""
    known = facts(premiere(after(60)), at=after(60))
    arrival = Arrival(what=what, language=language)
    soon, late = (arrived(known, arrival, after(wait)) for wait in (1, 600))
    assert least(soon).state == "in time"
    outlook = least(late)
    assert outlook.p50
    assert after(606) < outlook.p50 < after(620)
    assert parts(late)[part, "must"].outlook.state == "late"
    assert parts(late)["picture", "must"].outlook.state == "in time"


def test_a_dub_that_comes_later_keeps_its_class() -> None:
    """What the release does not wait for can't hold it up."""
    known = facts(premiere(after(60), should=["audio fr"]), at=after(60))
    late = arrived(known, Arrival(what="dub", language="fr"), after(600))
    assert [going.outlook.state for going in editions(late)] == ["in time", "in time"]
    (then,) = [going.outlook.p95 for going in editions(late)[1:]]
    assert then
    assert then > after(600)


def test_giving_something_up_gains_its_time() -> None:
    """And what is given up follows as SHOULD. What failed stays failed: only who does not wait for it is helped."""
    known = facts(premiere(after(60)), at=after(60))
    less = given_up(known, known.overview.plan.fallbacks[0])
    before, then = least(known).p50, least(less).p50
    assert before
    assert then
    assert then + timedelta(seconds=4) < before
    assert parts(less)["picture", "should"].outlook.state == "in time"
    failed = facts(premiere(after(60)), at=after(60), failed="audio fr")
    rung, dub = (given_up(failed, each) for each in failed.overview.plan.fallbacks)
    assert (least(rung).state, least(dub).state) == ("never", "in time")


def test_what_runs_goes_on_when_something_is_given_up() -> None:
    """A chunk whose rungs are under way together is not begun again."""
    known = facts(premiere(after(60)), at=after(60))
    first = replace(known.queue[0], progress=0.9, elapsed=7.5)
    less = given_up(replace(known, queue=(first, *known.queue[1:])), known.overview.plan.fallbacks[0])
    assert less.queue[0] == first
    again = [one for one in less.queue[1:] if set(one.step.makes) & set(first.step.makes)]
    assert again == []


def test_the_first_fallback_that_makes_it_is_offered() -> None:
    """Alone if one does, else the first ones together. One that needs nobody goes before one that needs somebody."""
    plan = premiere(after(22))
    known = facts(plan, at=after(22))
    found = remedies(known, least(known), "seed")
    assert [remedy.names for remedy in found] == [("no-540p",), ("no-dub",)]
    assert (names(chosen(found)), found[0].outlook.state, found[1].outlook.state) == (("no-540p",), "in time", "late")
    assert not found[0].automatic
    tight = facts(premiere(after(20)), at=after(20))
    assert names(chosen(remedies(tight, least(tight), "seed"))) == ("no-540p", "no-dub")
    patient: list[Mapping[str, object]] = [
        *FALLBACKS[:1],
        {"name": "only-234p", "drop": ["video 540p", "video 360p"], "automatic": True},
    ]
    two = facts(premiere(after(22), fallbacks=patient), at=after(22))
    taken = chosen(remedies(two, least(two), "seed"))
    assert taken
    assert (taken.names, taken.automatic) == (("only-234p",), True)


def test_what_would_not_help_is_not_offered() -> None:
    known = facts(premiere(after(20)), at=after(20), seats=())
    assert chosen(remedies(known, least(known), "seed")) is None


def test_what_was_given_up_is_not_offered_again() -> None:
    known = facts(premiere(after(20)), at=after(20))
    less = given_up(known, known.overview.plan.fallbacks[0])
    assert less.overview.plan.given_up == ("no-540p",)
    assert [remedy.names for remedy in remedies(less, least(less), "seed")] == [("no-dub",)]


def test_a_release_must_keep_what_can_be_watched() -> None:
    whole = premiere(after(60), fallbacks=[{"name": "a", "drop": ["video 540p", "video 360p"]},
                                           {"name": "b", "drop": ["video 234p"]}])  # fmt: skip
    less = given_up(facts(whole, at=after(60)), whole.fallbacks[0])
    with pytest.raises(DeliveryError, match="fallback `b` leaves no rung"):
        given_up(less, whole.fallbacks[1])
