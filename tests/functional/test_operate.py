"""The operators' levers on the ledger, on a real SQLite file and on a real PostgreSQL."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.errors import ConfigurationError, DeliveryError, Interrupted, StoreError, ToolError
from tests.fakes.farm import MEBIBYTE, claim, claimed, made, plan, step
from tests.fakes.postgres import Postgres
from workers.ledger import By, Ledger, Overview, Release, open_ledger
from workers.production import check_open

SOON = datetime.now(UTC) + timedelta(hours=1)
LATER = SOON + timedelta(hours=5)


@pytest.fixture
def ledger(ledger_address: str) -> Iterator[Ledger]:
    one = open_ledger(ledger_address)
    one.enrol("h", memory=1000 * MEBIBYTE, slots=["heavy", "heavy", "light"])
    yield one
    one.close()


def view(ledger: Ledger, episode: str = "e") -> Overview:
    found = ledger.overview(episode)
    assert found
    return found


def states(ledger: Ledger, episode: str = "e") -> list[str]:
    return [one.state for one in view(ledger, episode).steps]


def labels(ledger: Ledger) -> list[str]:
    order = []
    while found := claim(ledger):
        order.append(found.step.label)
    return order


def failed(ledger: Ledger, error: Exception, *, times: int = 1, host: str = "h") -> None:
    for _ in range(times):
        held = claimed(ledger, host=host)
        ledger.fail(held.step.id, held.token, error)


def test_a_drained_host_claims_nothing_and_finishes_what_it_has(ledger: Ledger) -> None:
    """Its slots are not woken; another host has the rest; workers that start there again stay drained."""
    ledger.enrol("other", memory=1, slots=["heavy"])
    ledger.submit(plan("e", [step("a"), step("b"), step("c")]), deadline=None)
    held = claimed(ledger)
    assert (ledger.drain("h", drained=True).running, ledger.drain("h", drained=True).drained) == (1, True)
    assert claim(ledger) is None
    assert ledger.look().slots == {"heavy": 1}
    assert ledger.look().drained == {"h"}
    assert ledger.renew(held.step.id, held.token, progress=0.5, lease_seconds=30)
    ledger.commit(held.step.id, held.token, made(held.step))
    assert claimed(ledger, host="other").step.label == "b"
    ledger.enrol("h", memory=1000 * MEBIBYTE, slots=["heavy"])
    assert claim(ledger) is None
    assert not ledger.drain("h", drained=False).drained
    assert claimed(ledger).step.label == "c"


def test_a_run_on_a_drained_host_says_so(ledger: Ledger) -> None:
    """Rather than wait for slots that it may not have."""
    ledger.enrol("h", memory=1, slots=[])
    check_open(ledger, "h")
    ledger.drain("h", drained=True)
    with pytest.raises(ConfigurationError, match="is drained") as raised:
        check_open(ledger, "h")
    assert raised.value.hint == "`avant undrain h`."


def test_a_host_that_is_not_known_can_not_be_drained(ledger: Ledger) -> None:
    ledger.enrol("encoder-07", memory=1, slots=[])
    with pytest.raises(ConfigurationError, match="no host `encoder-7`") as raised:
        ledger.drain("encoder-7", drained=True)
    assert raised.value.hint == "Did you mean `encoder-07`?"


def test_nobody_claims_from_a_paused_lane(ledger: Ledger) -> None:
    """The other lanes go on, in their order; no ticket is sent for what is paused."""
    ledger.submit(plan("e", [step("a"), step("b", lane="audio"), step("c")]), deadline=None)
    ledger.pause_lane("encode", paused=True)
    ledger.pause_lane("encode", paused=True)
    assert ledger.look().ready == {"audio": 1}
    assert labels(ledger) == ["b"]
    assert claim(ledger, lanes=["encode"]) is None
    ledger.pause_lane("encode", paused=False)
    assert ledger.look().ready == {"encode": 2}
    assert labels(ledger) == ["a", "c"]


def test_hosts_and_lanes_are_listed(ledger: Ledger) -> None:
    """What they have, hold and run; also where there is nothing."""
    ledger.enrol("idle", memory=5, slots=[])
    ledger.submit(plan("e", [step("a", memory=7), step("b"), step("c", lane="audio")]), deadline=None)
    failed(ledger, DeliveryError("x"))
    claimed(ledger)
    ledger.drain("idle", drained=True)
    ledger.pause_lane("audio", paused=True)
    first, second = ledger.hosts()
    assert (first.host, first.slots, first.running, first.reserved) == ("h", {"heavy": 2, "light": 1}, 1, 0)
    assert (second.host, second.slots, second.running, second.memory, second.drained) == ("idle", {}, 0, 5, True)
    lanes = {one.lane: (one.ready, one.running, one.failed, one.paused) for one in ledger.lanes()}
    assert lanes["encode"] == (0, 1, 1, False)
    assert lanes["audio"] == (1, 0, 0, True)
    assert lanes["warm"] == (0, 0, 0, False)


def test_a_failed_step_gets_another_chance(ledger: Ledger) -> None:
    """As if nothing had happened to it; its dependants follow; what did not fail is left alone."""
    a, b = step("a"), step("b")
    ledger.submit(plan("e", [a, b, step("c", needs=[a])]), deadline=None)
    failed(ledger, ToolError("x"), times=3)
    busy = claimed(ledger)
    assert states(ledger) == ["failed", "running", "waiting", "waiting"]
    assert ledger.retry("e") == (a.id,)
    assert states(ledger) == ["ready", "running", "waiting", "waiting"]
    held = claimed(ledger)
    assert (held.step.label, held.attempt) == ("a", 1)
    assert view(ledger).steps[0].fault is None
    ledger.commit(held.step.id, held.token, made(held.step))
    assert claimed(ledger).step.label == "c"
    assert ledger.renew(busy.step.id, busy.token, progress=0.5, lease_seconds=30)
    assert ledger.retry("e") == ()


def test_one_step_is_retried_by_its_id_or_label(ledger: Ledger) -> None:
    ledger.submit(plan("e", [step("a"), step("b")]), deadline=None)
    failed(ledger, DeliveryError("x"), times=2)
    assert ledger.retry("e", "b") == ("compose-b",)
    assert ledger.retry("e", "compose-a") == ("compose-a",)
    with pytest.raises(ConfigurationError, match="No step `a` of `e` has failed"):
        ledger.retry("e", "a")
    with pytest.raises(ConfigurationError, match="no episode `f`"):
        ledger.retry("f")


def test_who_has_mended_the_store_need_not_wait(ledger: Ledger) -> None:
    """A step that waits after a failure does so no longer."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    failed(ledger, StoreError("down"))
    assert claim(ledger) is None
    assert ledger.retry("e") == ("compose-a",)
    assert claimed(ledger).attempt == 1


def test_a_quarantined_step_gets_another_chance(ledger: Ledger) -> None:
    ledger.submit(plan("e", [step("a")]), deadline=None)
    for _ in range(5):
        claimed(ledger, lease=-1)
        ledger.expire()
    assert states(ledger)[0] == "quarantined"
    assert ledger.retry("e") == ("compose-a",)
    assert claimed(ledger).attempt == 1


def test_nothing_more_is_begun_for_a_cancelled_episode(ledger: Ledger) -> None:
    """What runs for it alone loses its lease at the next renewal and can't be committed; what is made stays."""
    steps = [step("made"), step("running"), step("ready"), step("bad")]
    one = plan("e", steps)
    ledger.submit(one, deadline=None)
    ledger.arm(Release(episode="e", at=SOON, wall="then", editions=one.editions))
    held = claimed(ledger)
    ledger.commit(held.step.id, held.token, made(held.step))
    held = claimed(ledger)
    plan_before = ledger.cancel("e", dry_run=True)
    assert ledger.renew(held.step.id, held.token, progress=0.1, lease_seconds=30)
    ana = By(who="ana", action="cancel", why="wrong master")
    found = ledger.cancel("e", by=ana)
    assert found == plan_before
    assert [(act.by, act.before["wall"]) for act in ledger.acts("e")] == [(ana, "then")]
    assert (found.stopped, found.shared, found.disarmed) == (("compose-running",), (), True)
    assert found.dropped == ("compose-bad", "compose-e-verified", "compose-ready")
    assert not ledger.renew(held.step.id, held.token, progress=0.1, lease_seconds=30)
    with pytest.raises(Interrupted):
        ledger.commit(held.step.id, held.token, made(held.step))
    ledger.hand_back(held.step.id, held.token)
    assert claim(ledger) is None
    assert ledger.armed() == ()
    assert view(ledger).cancelled_at
    assert states(ledger) == ["done", "waiting", "waiting", "waiting", "waiting"]


def test_a_cancelled_episode_can_be_submitted_again(ledger: Ledger) -> None:
    """Under a new token: who still held a step of it can't come back."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    held = claimed(ledger)
    ledger.cancel("e")
    ledger.submit(plan("e", [step("a")]), deadline=None)
    assert view(ledger).cancelled_at is None
    again = claimed(ledger)
    assert (again.step, again.token) == (held.step, held.token + 1)
    assert not ledger.renew(held.step.id, held.token, progress=0.1, lease_seconds=30)


def test_what_others_want_goes_on(ledger: Ledger) -> None:
    """A step that two episodes share is neither stopped nor dropped; its urgency is that of who is left."""
    ledger.submit(plan("premiere", [step("both"), step("own")]), deadline=SOON)
    ledger.submit(plan("bulk", [step("both"), step("other")]), deadline=LATER)
    ledger.submit(plan("between", [step("third")]), deadline=SOON + timedelta(hours=1))
    held = claimed(ledger)
    assert held.step.label == "both"
    assert ledger.cancel("premiere").shared == ("compose-both",)
    assert ledger.renew(held.step.id, held.token, progress=0.1, lease_seconds=30)
    ledger.hand_back(held.step.id, held.token)
    assert labels(ledger) == ["third", "both", "other"]


def test_a_bump_moves_an_episode_by_its_new_deadline(ledger: Ledger) -> None:
    """Forward or back; what failed of it stays failed, unlike after a new submission."""
    ledger.submit(plan("a", [step("bad"), step("a")]), deadline=SOON)
    failed(ledger, DeliveryError("x"))
    ledger.submit(plan("b", [step("b")]), deadline=None)
    assert ledger.bump("b", SOON - timedelta(minutes=5)) == 2
    assert view(ledger, "b").deadline == SOON - timedelta(minutes=5)
    assert states(ledger, "a")[0] == "failed"
    assert labels(ledger) == ["b", "a"]


def test_first_goes_before_all_that_there_is(ledger: Ledger) -> None:
    """Even what is late already; the deadline that it is judged by stays."""
    ledger.submit(plan("late", [step("late", tail=3600)]), deadline=SOON - timedelta(days=2))
    ledger.submit(plan("bulk", [step("short", tail=1), step("long", tail=5)]), deadline=None)
    ledger.bump("bulk", None)
    assert view(ledger, "bulk").deadline is None
    assert labels(ledger) == ["long", "short", "late"]


def test_a_bump_reaches_steps_that_another_plan_makes(ledger: Ledger) -> None:
    ledger.submit(plan("one", [step("shared")]), deadline=None)
    ledger.submit(plan("between", [step("between")]), deadline=LATER)
    ledger.submit(plan("two", [step("shared"), step("own")]), deadline=None)
    ledger.bump("two", SOON)
    assert labels(ledger) == ["shared", "own", "between"]


def test_a_tool_that_failed_is_tried_on_another_host_first(ledger: Ledger) -> None:
    """Its own host goes on with other work meanwhile."""
    ledger.enrol("other", memory=1000, slots=["heavy"])
    ledger.submit(plan("e", [step("a"), step("b")]), deadline=None)
    failed(ledger, ToolError("x"))
    assert ledger.look().ready == {"encode": 2}
    assert claimed(ledger).step.label == "b"
    assert claim(ledger) is None
    assert claimed(ledger, host="other").step.label == "a"


@pytest.mark.parametrize("others", ["none", "stopped", "drained"])
def test_where_there_is_no_other_host_the_same_tries_at_once(ledger: Ledger, others: str) -> None:
    if others != "none":
        ledger.enrol("other", memory=1000, slots=[] if others == "stopped" else ["heavy"])
        ledger.drain("other", drained=others == "drained")
    ledger.submit(plan("e", [step("a")]), deadline=None)
    failed(ledger, ToolError("x"))
    assert claimed(ledger).step.label == "a"


def test_services_are_waited_for_while_there_is_slack(ledger: Ledger) -> None:
    """Longer than ten attempts, if the deadline allows; a host's own trouble is not."""
    ledger.submit(plan("e", [step("a")]), deadline=SOON)
    for _ in range(12):
        held = claimed(ledger)
        assert ledger.fail(held.step.id, held.token, StoreError("down")).pause
        with ledger._write() as connection:
            connection.exec_driver_sql("UPDATE steps SET not_before = 0")
    ledger.bump("e", datetime.now(UTC))
    held = claimed(ledger)
    assert ledger.fail(held.step.id, held.token, StoreError("down")).pause is None


def test_a_failure_stops_dependants_and_not_siblings(ledger: Ledger) -> None:
    """And says, of each that it stops, because of what; and who can put it right."""
    a, b = step("a"), step("b")
    c = step("c", needs=[a])
    ledger.submit(plan("e", [a, b, c]), deadline=SOON)
    failed(ledger, DeliveryError("No sound.", hint="Send it."))
    assert labels(ledger) == ["b"]
    found = view(ledger)
    assert {name: culprit.step.label for name, culprit in found.stopped.items()} == {
        c.id: "a",
        "compose-e-verified": "a",
    }
    assert [one.fault and one.fault.who for one in found.stuck] == ["deliverer"]


def test_slack_is_what_is_left_until_a_step_must_begin(ledger: Ledger) -> None:
    """Of one that runs, what was left when it began; none of what is done, or has no deadline."""
    ledger.submit(plan("e", [step("a", tail=600), step("b", tail=60), step("c")]), deadline=SOON)
    held = claimed(ledger)
    ledger.commit(held.step.id, held.token, made(held.step))
    claimed(ledger)
    found = view(ledger)
    done, running, ready, _ = [found.slack(one) for one in found.steps]
    assert done is None
    assert ready
    assert ready == pytest.approx((SOON - found.now).total_seconds() - 10, abs=0.1)
    assert found.steps[1].started_at
    assert running == pytest.approx((SOON - found.steps[1].started_at).total_seconds() - 60, abs=0.1)
    ledger.submit(plan("bulk", [step("d")]), deadline=None)
    assert view(ledger, "bulk").slack(view(ledger, "bulk").steps[0]) is None


def test_a_forecast_knows_the_queue_and_what_steps_took(ledger: Ledger) -> None:
    """Ours, and what of others runs or goes before; not what comes after, or will never come."""
    ledger.submit(plan("bulk", [step("busy"), step("after")]), deadline=None)
    claimed(ledger)
    ledger.submit(plan("urgent", [step("before")]), deadline=SOON)
    ledger.submit(plan("e", [step("a"), step("b"), step("bad")]), deadline=LATER)
    for _ in range(2):
        held = claimed(ledger)
        ledger.commit(held.step.id, held.token, made(held.step))
    held = claimed(ledger)
    ledger.renew(held.step.id, held.token, progress=0.25, lease_seconds=30)
    queue = {one.step.label: one for one in ledger.queue("e")}
    assert {label: one.ours for label, one in queue.items()} == {
        "busy": False, "a": True, "b": True, "bad": True, "e-verified": True,
    }  # fmt: skip
    assert queue["a"].progress == 0.25
    assert queue["a"].elapsed > 0
    assert queue["b"].elapsed == 0
    assert [pace.sort for pace in ledger.paces()] == [("compose",)] * 2
    assert all(0 < pace.ratio < 60 for pace in ledger.paces())
    assert ledger.queue("nobody") == ()


def test_levers_pulled_at_once_wait_for_nobody_in_a_circle(server: Postgres) -> None:
    """Among claims, commits and failures of the same steps: the server ends none of them."""
    address = server.ledger()
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, [address] * 6, range(6)))
    database = address.partition("@/")[2].partition("?")[0]
    assert server.sql(f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{database}'") == [(0,)]


def work(address: str, number: int) -> None:
    """Do this and that to episodes that share their steps, on a connection of its own."""
    chance, ledger = random.Random(number), open_ledger(address)
    host, episode = f"h{number % 2}", f"e{number % 3}"
    ledger.enrol(host, memory=1000, slots=["heavy"])
    ledger.submit(plan(episode, [step("s0")]), deadline=None)
    for _ in range(15):
        match chance.randrange(6):
            case 0:
                some = [step(f"s{n}") for n in chance.sample(range(10), 6)]
                ledger.submit(plan(episode, some), deadline=chance.choice([None, SOON]))
            case 1:
                pull(ledger, episode, chance)
            case 2:
                ledger.drain(host, drained=chance.random() < 0.3)
                ledger.pause_lane("encode", paused=chance.random() < 0.2)
            case _:
                end(ledger, host, chance)
    ledger.close()


def pull(ledger: Ledger, episode: str, chance: random.Random) -> None:
    match chance.randrange(3):
        case 0:
            ledger.cancel(episode)
        case 1:
            ledger.retry(episode)
        case _:
            ledger.bump(episode, chance.choice([None, LATER]))


def end(ledger: Ledger, host: str, chance: random.Random) -> None:
    """Claim a step, and fail or commit it, unless it was called off meanwhile."""
    held = claim(ledger, host=host)
    if held is None:
        return
    try:
        if chance.random() < 0.4:
            ledger.fail(held.step.id, held.token, ToolError("x"))
        else:
            ledger.commit(held.step.id, held.token, made(held.step, token=held.token))
    except Interrupted:
        return
