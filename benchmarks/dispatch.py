"""
What the machinery costs: steps that do nothing, on a real PostgreSQL that keeps what it promises (fsync).

    python -m benchmarks.dispatch [--quick] [--json]

A worker here is a process that claims and commits in a loop, as a slot does, without tickets and without work. Eight
share one host (whose claims take turns for its memory); of 32, each eight share one. A claim takes from being asked for
to being had, as its caller sees it. "Idle" is a real supervisor with real slots; what the ledger is asked is counted by
the server. There is no peer.
"""

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from threading import Event

from pydantic import SecretStr

from benchmarks.bars import Bar, Results, parser, say
from tests.fakes.farm import LANES, broker, made, plan, step
from tests.fakes.kin import kin
from tests.fakes.postgres import Postgres, postgres
from workers.lanes import HEAVY
from workers.ledger import Ledger, open_ledger
from workers.settings import Settings
from workers.supervisor import Supervisor

#: As a farm's server is: nothing that makes it faster than it may be; and what counts statements.
SETTINGS = ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=top", "max_connections=200")
READY, BACKLOG, FEW = 10_000, 100_000, 1_000
PER_HOST = 8
#: Steps of one episode; with the last one, which waits for them all.
EPISODE = 50
IDLE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What one worker did: seconds on the monotonic clock, which all processes share."""

    began: float
    ended: float
    steps: int
    #: Of each claim.
    claims: tuple[float, ...]


def main() -> None:
    asked = parser(__doc__).parse_args()
    results = Results(title="dispatch")
    ready, backlog = (READY // 4, BACKLOG // 4) if asked.quick else (READY, BACKLOG)
    with postgres(SETTINGS) as server:
        for workers, least in ((8, 400.0), (32, 300.0)):
            rate, p99 = rate_of(server.ledger(), workers, ready)
            results.bars.append(
                Bar(name=f"steps/s, {workers} workers", measured=rate, limit=least, holds=rate >= least)
            )
            if workers == 8:
                results.bars.append(Bar(name="claim p99, 8 workers, ms", measured=p99, limit=50.0, holds=p99 <= 50))
            else:
                results.extra[f"claim p99, {workers} workers, ms"] = p99
            say(f"{workers} workers: {rate:.0f} steps/s, claim p99 {p99:.1f} ms")
        ratio = slowed(server, backlog, results)
        results.bars.append(Bar(name="claims, backlog over none", measured=ratio, limit=1.5, holds=ratio < 1.5))
        queries, largest = idle(server)
        results.bars.append(Bar(name="queries/s of an idle worker", measured=queries, limit=1.0, holds=queries < 1))
        results.bars.append(Bar(name="MiB of a slot's process", measured=largest, limit=90.0, holds=largest < 90))
    results.extra["load at the end"] = os.getloadavg()[0]
    results.report(as_json=asked.json)


def rate_of(address: str, workers: int, ready: int) -> tuple[float, float]:
    """Steps per second that so many workers do of so many ready ones; the 99th percentile of a claim, in ms."""
    with opened(address) as ledger:
        fill(ledger, ready)
        for host in range(workers // PER_HOST):
            ledger.enrol(f"h{host}", memory=1 << 40, slots=["heavy"] * PER_HOST)
    spawn = multiprocessing.get_context("spawn")
    begin = spawn.Barrier(workers)
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_share, initargs=(begin,)) as pool:
        shifts = list(pool.map(shift, [address] * workers, range(workers)))
    steps = sum(each.steps for each in shifts)
    took = max(each.ended for each in shifts) - min(each.began for each in shifts)
    claims = [one for each in shifts for one in each.claims]
    return round(steps / took, 1), round(quantiles(claims, n=100)[98] * 1000, 1)


def _share(begin: object) -> None:
    globals()["BEGIN"] = begin


def shift(address: str, number: int) -> Shift:
    """Claim and commit until nothing is left. For a process of its own."""
    host, claims, steps = f"h{number // PER_HOST}", [], 0
    with opened(address) as ledger:
        ledger.now()  # connected
        globals()["BEGIN"].wait()
        began = ended = time.monotonic()
        misses = 0
        while misses < 3:
            asked = time.monotonic()
            claim = ledger.claim(LANES, worker=f"{host}/{number}", host=host, lease_seconds=30)
            claims.append(time.monotonic() - asked)
            if claim is None:
                misses += 1
                continue
            ledger.commit(claim.step.id, claim.token, made(claim.step, token=claim.token))
            steps, misses, ended = steps + 1, 0, time.monotonic()
    return Shift(began=began, ended=ended, steps=steps, claims=tuple(claims))


def slowed(server: Postgres, backlog: int, results: Results) -> float:
    """How much longer a claim takes with that many ready steps than with few: one worker, medians, in turns."""
    with opened(server.ledger()) as small, opened(server.ledger()) as large:
        for ledger, ready in ((small, FEW), (large, backlog)):
            fill(ledger, ready)
            ledger.enrol("h0", memory=1 << 40, slots=["heavy"])
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(FEW // 2):
            for ledger, times in zip((small, large), seconds, strict=True):
                asked = time.monotonic()
                claim = ledger.claim(LANES, worker="h0/1", host="h0", lease_seconds=3600)
                times.append(time.monotonic() - asked)
                assert claim
                ledger.commit(claim.step.id, claim.token, made(claim.step))
    results.extra[f"claim, {FEW} ready, ms"] = round(median(seconds[0]) * 1000, 2)
    results.extra[f"claim, {backlog} ready, ms"] = round(median(seconds[1]) * 1000, 2)
    return round(median(seconds[1]) / median(seconds[0]), 3)


def idle(server: Postgres) -> tuple[float, float]:
    """Statements per second and slot that a host asks of the ledger when nothing is to be done; a slot's MiB."""
    server.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    with tempfile.TemporaryDirectory(prefix="avant-bench-") as name, broker(Path(name) / "broker") as address:
        settings = Settings(
            home=Path(name) / "home",
            ledger_url=server.ledger(),
            broker_url=address,
            s3_endpoint="http://127.0.0.1:1",
            s3_access_key="nobody",
            s3_secret_key=SecretStr("nothing"),
            naming_key=SecretStr("00"),
        )
        with opened(settings.ledger_address) as ledger, Supervisor(settings, ledger, slots=(HEAVY, HEAVY)) as crew:
            attend(crew, 5.0)
            server.sql("SELECT pg_stat_statements_reset()")
            began = time.monotonic()
            attend(crew, IDLE_SECONDS)
            took = time.monotonic() - began
            calls = server.sql("SELECT sum(calls) FROM pg_stat_statements WHERE query !~ 'pg_stat'")[0][0]
            sizes = [resident(pid) for pid in kin(settings.home) if pid != os.getpid()]
    say(f"idle: {calls} statements in {took:.0f} s; {json.dumps([round(size, 1) for size in sizes])} MiB")
    return round(float(str(calls or 0)) / took / 2, 3), round(max(sizes), 1)


def attend(crew: Supervisor, seconds: float) -> None:
    """Do what whoever runs slots does all day."""
    pause, deadline = Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        crew.poll()
        pause.wait(0.25)


def resident(pid: int) -> float:
    """MiB of memory that a process occupies, libraries that others share included; as `ps` and `top` count."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def fill(ledger: Ledger, ready: int) -> None:
    """So many ready steps, in episodes of a usual size."""
    began = time.monotonic()
    for first in range(0, ready, EPISODE):
        name = f"e{first}"
        ledger.submit(plan(name, [step(f"{name}-{n}") for n in range(EPISODE)]), deadline=None)
    took = time.monotonic() - began
    say(f"{ready} steps submitted in {took:.0f} s, {took / ready * EPISODE * 1000:.0f} ms for an episode of {EPISODE}")


@contextmanager
def opened(address: str) -> Iterator[Ledger]:
    ledger = open_ledger(address)
    try:
        yield ledger
    finally:
        ledger.close()


if __name__ == "__main__":
    main()
