"""
Is a part of the farm as it must be? Each question has one answer: ok, a warning, or a failure and what to do about it.

Decides only; what there is was found out by whoever asks. A failure keeps a release or a step from happening; a warning
may cost one on a bad day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from workers.alarm import webhook_of
from workers.broker import Manner
from workers.ledger.health import Health
from workers.ledger.migrate import HEAD
from workers.ledger.upkeep import DURABLE
from workers.observability.reports import reported_to
from workers.settings import Settings

Verdict = Literal["ok", "warn", "fail"]

#: Tested with 15; what is older than this, PostgreSQL's makers do not mend any more.
OLDEST_POSTGRESQL = 14
#: What each part takes of `max_connections`; docs/operating/ledger.md.
PER_SLOT, PER_HOST, SPARE = 3, 4, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question and its answer."""

    what: str
    verdict: Verdict
    found: str
    hint: str = ""


def of_ledger(health: Health) -> Iterator[Check]:
    """Its version, its schema, what we may do in it, how it is set."""
    yield _server(health)
    if health.schema != HEAD:
        has = f"schema {health.schema}" if health.schema else "no tables"
        hint = "Run `avant ledger upgrade`, once, from any host; or install the version that the ledger is at."
        verdict: Verdict = "fail" if health.schema else "warn"
        yield Check(what="ledger schema", verdict=verdict, found=f"It has {has}; we know schema {HEAD}.", hint=hint)
    else:
        yield Check(what="ledger schema", verdict="ok", found=f"schema {HEAD}")
    if health.denied:
        yield Check(
            what="ledger rights",
            verdict="fail",
            found=f"We lack {', '.join(health.denied[:4])}{' and more' if len(health.denied) > 4 else ''}.",  # noqa: PLR2004 - as many as fit a line
            hint="Grant it: docs/operating/ledger.md, Privileges.",
        )
    if not health.private:
        yield _overheard("ledger", "sslmode=verify-full in AVANT_LEDGER_URL")
    yield from _careless(health)


def _server(health: Health) -> Check:
    if health.replica:
        hint = "Name the primary in AVANT_LEDGER_URL."
        return Check(
            what="ledger", verdict="fail", found=f"{health.server} is a replica: it takes no writes.", hint=hint
        )
    if health.major and health.major < OLDEST_POSTGRESQL:
        hint = f"Use PostgreSQL {OLDEST_POSTGRESQL} or later."
        return Check(what="ledger", verdict="fail", found=f"{health.server} is too old.", hint=hint)
    return Check(what="ledger", verdict="ok", found=health.server)


def _careless(health: Health) -> Iterator[Check]:
    """PostgreSQL's settings."""
    for name in (*DURABLE, "autovacuum"):
        if health.settings.get(name) == "off":
            why = "tables grow for ever" if name == "autovacuum" else "a power cut may forget a flip that viewers saw"
            yield Check(what=f"ledger {name}", verdict="warn", found=f"{name} is off: {why}.", hint=f"Set {name} = on.")
    wanted = PER_SLOT * health.slots + PER_HOST * health.hosts + SPARE
    there = int(health.settings.get("max_connections", wanted))
    if there < wanted:
        yield Check(
            what="ledger connections",
            verdict="warn",
            found=f"max_connections is {there}; {health.slots} slots on {health.hosts} hosts may want {wanted}.",
            hint=f"Set max_connections = {wanted}.",
        )


def of_broker(manner: Manner, address: str) -> Iterator[Check]:
    """Its version, what it does when its memory is full, whether it takes writes, who can overhear."""
    found = f"{manner.server}; tickets may be lost with it, so it need not keep anything"
    if manner.replica:
        found, hint = f"{manner.server} is a replica: it takes no tickets.", "Name the primary in AVANT_BROKER_URL."
        yield Check(what="broker", verdict="fail", found=found, hint=hint)
    elif manner.stuck:
        hint = "Make room on its disk; or set `save ''`: nothing in it needs to be kept."
        found = f"{manner.server} can't write its data to disk, and may take no tickets."
        yield Check(what="broker", verdict="fail", found=found, hint=hint)
    else:
        yield Check(what="broker", verdict="ok", found=found)
    if manner.policy != "noeviction":
        yield Check(
            what="broker memory",
            verdict="fail",
            found=f"maxmemory-policy is `{manner.policy}`: with its memory full, it throws queues away without a word.",
            hint="Set maxmemory-policy noeviction in its configuration; CONFIG SET alone lasts until its next start.",
        )
    if not private(address):
        yield _overheard("broker", "rediss:// in AVANT_BROKER_URL")


def of_settings(settings: Settings) -> Iterator[Check]:
    """What only makes sense together. Raises `ConfigurationError` for what makes none at all."""
    if told := reported_to(settings):
        yield Check(what="reports", verdict="ok", found=f"failed steps are reported to {told}")
    if webhook := webhook_of(settings):
        yield Check(what="webhook", verdict="ok", found=f"releases in danger are told to {webhook.host}")
    if settings.s3_endpoint and settings.naming_key is None:
        yield Check(
            what="naming key",
            verdict="warn",
            found="AVANT_S3_ENDPOINT is set and AVANT_NAMING_KEY is not: every host makes up names of its own.",
            hint="Set AVANT_NAMING_KEY to the same long random text on every host.",
        )
    if settings.s3_endpoint and not private(settings.s3_endpoint):
        yield _overheard("object store", "https:// in AVANT_S3_ENDPOINT")


def _overheard(what: str, how: str) -> Check:
    return Check(
        what=f"{what} TLS",
        verdict="warn",
        found="What is said on the way is not encrypted, passwords among it.",
        hint=f"Unless nobody else is on that network: {how}.",
    )


def private(address: str) -> bool:
    """Whether nobody but this machine can hear what is said to that address."""
    split = urlsplit(address)
    if split.scheme in ("https", "rediss", "unix"):
        return True
    try:
        return split.hostname == "localhost" or ip_address(split.hostname or "").is_loopback
    except ValueError:  # a name
        return False
