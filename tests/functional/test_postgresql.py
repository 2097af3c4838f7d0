"""What only a server can do to the ledger: many at once, going away, refusing."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from pipelines.errors import ConfigurationError, Interrupted, ToolError
from pipelines.tools import process
from tests.fakes.farm import LANES, claim, claimed, made, plan, step, until
from tests.fakes.postgres import Postgres, postgres
from workers.ledger import Claim, Ledger, explained, open_ledger
from workers.ledger.database import pass_gate
from workers.ledger.schema import steps

SOON = datetime.now(UTC) + timedelta(hours=1)
HOSTS = ("h", "i", "j", "k")


@pytest.fixture
def address(server: Postgres) -> str:
    return server.ledger()


@pytest.fixture
def ledger(address: str) -> Iterator[Ledger]:
    one = open_ledger(address)
    for host in HOSTS:
        one.enrol(host, memory=1000, slots=["heavy"] * 4)
    yield one
    one.close()


def at_once(ledgers: list[Ledger], claims: list[Claim]) -> list[int]:
    """Commit each claim on a connection of its own, all at the same moment; how many steps each made ready."""
    together = Barrier(len(claims))

    def commit(ledger: Ledger, held: Claim) -> int:
        together.wait()
        return sum(ledger.commit(held.step.id, held.token, made(held.step)).values())

    with ThreadPoolExecutor(len(claims)) as threads:
        return list(threads.map(commit, ledgers, claims))


def test_the_last_of_several_commits_at_once_makes_their_dependant_ready(ledger: Ledger, address: str) -> None:
    """Each brings a part of what it waits for; whichever is last sees the others' parts."""
    others = [open_ledger(address) for _ in range(4)]
    for number in range(25):
        parts = [step(f"{number}-{part}") for part in "abcd"]
        ledger.submit(plan(f"e{number}", parts), deadline=None)
        made_ready = at_once(others, [claimed(ledger) for _ in parts])
        assert sorted(made_ready) == [0, 0, 0, 1]
        claimed(ledger)
    for one in others:
        one.close()


def test_a_commit_during_a_submission_is_not_missed(ledger: Ledger, address: str) -> None:
    """A second episode that waits for the same artifact is ready whichever comes first."""
    other = open_ledger(address)
    for number in range(25):
        shared = step(f"shared-{number}")
        ledger.submit(plan(f"one-{number}", [shared]), deadline=SOON)
        held = claimed(ledger)
        with ThreadPoolExecutor(2) as threads:
            submitted = threads.submit(other.submit, plan(f"two-{number}", [shared]), deadline=SOON)
            threads.submit(ledger.commit, held.step.id, held.token, made(held.step)).result()
            submitted.result()
        assert {claimed(ledger).step.label, claimed(ledger).step.label} == {
            f"one-{number}-verified",
            f"two-{number}-verified",
        }
        assert claim(ledger) is None
    other.close()


def test_a_commit_waits_at_the_gate_with_nothing_in_its_hands(ledger: Ledger, address: str) -> None:
    """Whoever holds the gate may lock its step meanwhile."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    held, other = claimed(ledger), open_ledger(address)
    waiting = select(func.count()).select_from(text("pg_locks")).where(text("locktype = 'advisory' AND NOT granted"))
    with ThreadPoolExecutor(1) as thread:
        with other._write() as connection:
            pass_gate(connection)
            committed = thread.submit(ledger.commit, held.step.id, held.token, made(held.step))
            until(lambda: connection.execute(waiting).scalar_one() == 1)
            locked = select(steps.c.state).where(steps.c.id == held.step.id).with_for_update(nowait=True)
            assert connection.execute(locked).scalar_one() == "running"
        assert committed.result() == {"control": 1}
    other.close()


def test_nothing_overtakes_on_a_host_short_of_memory(ledger: Ledger, address: str) -> None:
    """However many of its slots ask at the same moment, none gets the small step while the large one waits."""
    steps = [step("running", memory=600), step("large", memory=600), *[step(f"small-{n}", memory=1) for n in range(9)]]
    ledger.submit(plan("e", steps), deadline=None)
    assert claimed(ledger).step.label == "running"
    slots = [open_ledger(address) for _ in range(6)]
    for _ in range(10):
        with ThreadPoolExecutor(6) as threads:
            assert list(threads.map(claim, slots)) == [None] * 6
    assert claimed(ledger, host="i").step.label == "large"
    for one in slots:
        one.close()


def test_a_claim_keeps_nothing_from_others_but_its_step(ledger: Ledger) -> None:
    """While one host's claim is not over, another gets the next step, also of the lanes that the first looked at."""
    ledger.submit(plan("e", [step("a"), step("b"), step("c", lane="package")]), deadline=None)
    from workers.ledger.taking import Taker, take

    with ledger._write() as connection:
        first = take(connection, LANES, Taker(worker="h/1", host="h", lease_seconds=30))
        assert first
        assert [claimed(ledger, host=host).step.label for host in "ij"] == ["b", "c"]
    assert first.id == "compose-a"


def test_whatever_happens_at_once_nothing_waits_in_a_circle(ledger: Ledger, address: str, server: Postgres) -> None:
    """Submissions, claims, commits, failures, expiries and burials of the same steps: the server ends none of them."""
    database = address.partition("@/")[2].partition("?")[0]
    names = [f"s{n}" for n in range(12)]

    def work(number: int) -> int:
        chance, ledger, done = random.Random(number), open_ledger(address), 0
        host = HOSTS[number % 4]
        for _ in range(25):
            match chance.randrange(6):
                case 0:
                    some = [step(name) for name in chance.sample(names, 8)]
                    ledger.submit(plan(f"e{chance.randrange(3)}", some), deadline=chance.choice([None, SOON]))
                case 1:
                    ledger.expire()
                case 2:
                    ledger.bury(f"{chance.choice(HOSTS)}/1")
                case _:
                    done += worked(ledger, host, chance)
        ledger.close()
        return done

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) > 0
    assert server.sql(f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{database}'") == [(0,)]


def worked(ledger: Ledger, host: str, chance: random.Random) -> int:
    """Claim a step and end it in some way; 1 if it was committed."""
    held = claim(ledger, host=host, lease=chance.choice([-1, 30]))
    if held is None:
        return 0
    try:
        if chance.random() < 0.2:
            ledger.fail(held.step.id, held.token, ToolError("x"))
            return 0
        ledger.commit(held.step.id, held.token, made(held.step, token=held.token))
    except Interrupted:
        return 0
    return 1


def test_two_that_make_the_same_artifact_keep_the_first(ledger: Ledger, address: str) -> None:
    """Also when both commit at the same moment, each with several."""
    others = [open_ledger(address), open_ledger(address)]
    together = Barrier(2)
    both = [*made(step("x")), *made(step("y"))]

    def commit(number: int) -> None:
        together.wait()
        artifacts = both if number else both[::-1]
        others[number].commit(claims[number].step.id, claims[number].token, (*made(claims[number].step), *artifacts))

    for attempt in range(10):
        ledger.submit(plan(f"e{attempt}", [step(f"a{attempt}"), step(f"b{attempt}")]), deadline=SOON)
        claims = [claimed(ledger), claimed(ledger)]
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(commit, range(2)))
        last = claimed(ledger)
        ledger.commit(last.step.id, last.token, made(last.step))
    for one in others:
        one.close()


def test_a_server_that_was_restarted_is_found_again() -> None:
    """By the same ledger, with what was committed before; what happens meanwhile fails with a sentence."""
    with postgres(settings=()) as server:  # not the careless one, which forgets its last commits
        ledger = open_ledger(server.ledger())
        ledger.enrol("h", memory=1000, slots=["heavy"])
        ledger.submit(plan("e", [step("a")]), deadline=None)
        held = claimed(ledger)
        server.stop()
        with pytest.raises(OperationalError) as down:
            ledger.renew(held.step.id, held.token, progress=0.5, lease_seconds=30)
        assert isinstance(explained(down.value), ConfigurationError)
        server.start()
        assert ledger.renew(held.step.id, held.token, progress=0.5, lease_seconds=30)
        ledger.commit(held.step.id, held.token, made(held.step))
        ledger.close()


def test_what_keeps_us_out_is_said(server: Postgres) -> None:
    """Without the password."""
    right, wrong = server.network("postgres"), server.network("postgres").replace(server.password, "mistaken")
    for address, said in (
        (wrong, "password authentication failed"),
        (right.replace(f":{server.port}/", ":1/"), "refused"),
        (right.replace("/postgres", "/nowhere"), "does not exist"),
    ):
        with pytest.raises(ConfigurationError, match=said) as refused:
            open_ledger(address)
        assert server.password not in refused.value.message
        assert "mistaken" not in refused.value.message


def test_sessions_have_a_name_and_give_up(server: Postgres) -> None:
    """Nobody waits for ever for a worker that stands still within a transaction. The address may say otherwise."""
    address = server.network(server.empty())
    for more, name, patience in (
        ("", "avant", "20s"),
        ("?application_name=x&options=-c%20lock_timeout%3D3s", "x", "3s"),
    ):
        ledger = open_ledger(address + more)
        with ledger._read() as connection:
            shown = [
                connection.exec_driver_sql(f"SHOW {setting}").scalar()
                for setting in ("application_name", "lock_timeout", "statement_timeout")
            ]
            idle = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
        assert (shown, idle) == ([name, patience, "1min"], "10s")
        ledger.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate of `localhost`, which is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    process.run([*argv, "-keyout", str(folder / "key"), "-out", str(folder / "cert")])
    return folder


def test_the_address_may_ask_for_tls(certificate: Path) -> None:
    """`sslmode=verify-full` with the authority's certificate gets in, encrypted; under another name, nobody does."""
    cert, key = ((certificate / name).read_text() for name in ("cert", "key"))
    with postgres(tls=(cert, key)) as server:
        address = server.network("ledger").replace("127.0.0.1", "localhost")
        asked = f"?sslmode=verify-full&sslrootcert={certificate / 'cert'}"
        ledger = open_ledger(address + asked)
        with ledger._read() as connection:
            assert connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar_one()
        ledger.close()
        with pytest.raises(ConfigurationError, match="does not match host name"):
            open_ledger(server.network("ledger") + asked)


def test_pairs_of_claims_rise_in_urgency(ledger: Ledger) -> None:
    """Whatever lanes they are of, and however many there are of one lane."""
    lanes = ("encode", "package", "control")
    steps = [step(f"s{n}", lane=lanes[n % 3], tail=float(n % 50)) for n in range(150)]
    ledger.submit(plan("e", steps), deadline=SOON)
    tails = [claimed(ledger).step.tail for _ in range(150)]
    assert all(first >= second for first, second in pairwise(tails))


def test_a_worker_needs_no_more_than_the_documented_privileges(server: Postgres) -> None:
    """It reads and writes rows; it can't change the schema, and says so."""
    database = server.empty()
    open_ledger(server.socket(database)).close()
    page = (Path(__file__).parents[2] / "docs/operating/ledger.md").read_text()
    statements = page.partition("```sql\n")[2].partition("```")[0]
    server.sql(statements.replace("avant_worker", database), database)
    as_worker = server.socket(database).replace("avant@", f"{database}@")
    ledger = open_ledger(as_worker)
    ledger.enrol("h", memory=1000, slots=["heavy"])
    ledger.submit(plan("e", [step("a")]), deadline=None)
    held = claimed(ledger)
    ledger.commit(held.step.id, held.token, made(held.step))
    assert ledger.look().ready == {"control": 1}
    ledger.close()
    fresh = server.empty()
    with pytest.raises(ConfigurationError, match="does not let us"):
        open_ledger(server.socket(fresh).replace("avant@", f"{database}@"))
