"""An episode whose deliveries are corrected again and again, on a store in memory; and collections that die."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from pipelines import layout
from pipelines.artifact import Artifact
from pipelines.edition import Edition
from pipelines.plan import Plan
from pipelines.step import Step
from pipelines.tools.s3 import Listed, Store
from pipelines.trim import Trim
from tests.fakes.farm import claim, plan, step
from tests.fakes.releases import NAMES
from workers.bench import named
from workers.farm import Farm
from workers.garbage import Terms
from workers.ledger import By, Claim, Ledger, Release
from workers.ledger.database import connect
from workers.settings import Settings

EPISODE = "e"
NONCE = count()
#: Nothing is kept longer than it must: what a day does in truth, the next run does here.
AT_ONCE = Terms(keep=1, wait=timedelta(0), session=timedelta(0))
KINDS = {"encode": "chunk", "audio": "sound", "package": "track", "text": "track", "compose": "version"}


class DiedError(Exception):
    """What would have come next was never done."""


@dataclass(slots=True, kw_only=True)
class Fate:
    """What happens at the moment of that number, counted from nought."""

    at: int = -1
    happens: Callable[[], None] = lambda: None
    #: The moments that have passed: whether a transaction was open then.
    passed: list[bool] = field(default_factory=list)

    def moment(self, *, within: bool = False) -> None:
        self.passed.append(within)
        if len(self.passed) == self.at + 1:
            self.happens()


class MemoryStore(Store):
    """Objects in a dictionary. Each deletion is a moment before and one after."""

    def __init__(self, objects: Mapping[str, bytes], fate: Fate) -> None:
        self.objects = dict(objects)
        self.fate = fate
        self.written = datetime.now(UTC)

    def put(self, key: str, body: bytes) -> None:
        assert self.objects.get(key, body) == body, f"{key} was there with other bytes"
        self.objects[key] = body

    def listed(self, prefix: str) -> Iterator[Listed]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                size = len(self.objects[key])
                yield Listed(key=key, size=size, etag="", modified=self.written - timedelta(days=2))

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self.fate.moment()
            self.objects.pop(key, None)
            self.fate.moment()

    def now(self) -> datetime:
        return datetime.now(UTC)


class FatefulLedger(Ledger):
    """Each transaction is a moment before it is committed and one after."""

    fate: Fate

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with super()._write() as connection:
            yield connection
            self.fate.moment(within=True)
        self.fate.moment()


def ledger_at(address: str, fate: Fate) -> FatefulLedger:
    ledger = FatefulLedger(connect(address))
    ledger.fate = fate
    return ledger


@dataclass(kw_only=True)
class World:
    """A farm, and what its viewers were told."""

    ledger: Ledger
    store: MemoryStore
    folder: Path
    #: Keys that sessions play, by the version that they began with.
    sessions: dict[str, set[str]] = field(default_factory=dict)

    @property
    def farm(self) -> Farm:
        return Farm(settings=Settings(home=self.folder), store=self.store, names=NAMES, ledger=self.ledger)

    def submit(self, number: int) -> Plan:
        """The delivery of that number: its text is its own, all else is what every delivery has."""
        found = delivery(number)
        self.ledger.submit(found, deadline=None)
        return found

    def work(self) -> None:
        """Have everything made that is to be made."""
        while held := claim(self.ledger):
            self.ledger.commit(held.step.id, held.token, [self._made(held)])

    def release(self, number: int) -> None:
        found = delivery(number)
        now = self.ledger.now()
        self.ledger.arm(Release(episode=EPISODE, at=now, wall="now", editions=found.editions))
        assert self.ledger.flip(EPISODE, generation=self.ledger.ref(EPISODE).generation)
        self.watch()

    def roll_back(self, number: int) -> None:
        ref = self.ledger.ref(EPISODE)
        assert self.ledger.turn(ref, version=delivery(number).version, trim=Trim(), by=By(who="ana", action="rollback"))
        self.watch()

    def watch(self) -> None:
        """A session begins with what viewers get, and goes on with that."""
        version = self.ledger.ref(EPISODE).version or ""
        self.sessions = {version: self.objects_of([version, *self.tracks(version)])}

    def sessions_keys(self) -> set[str]:
        return {key for keys in self.sessions.values() for key in keys}

    def tracks(self, version: str) -> list[str]:
        return list(self.ledger.artifacts([version])[version].facts["tracks"])

    def objects_of(self, digests: Iterable[str]) -> set[str]:
        digests = list(digests)
        made = self.ledger.artifacts(digests)
        assert made.keys() == set(digests), "something that is needed does not exist"
        return {key for each in made.values() for key in self._objects(each)}

    def whole(self) -> None:
        """What sessions play is there; of what exists, every byte."""
        assert self.sessions_keys() <= self.store.objects.keys(), "a session lost a URL"
        existing = [one.digest for one in self.ledger.survey(keep=1, lifetime=timedelta(0))]
        for made in self.ledger.artifacts(existing).values():
            for key in self._objects(made):
                assert key in self.store.objects, f"{made.kind} exists without {key}"

    def ready(self, number: int) -> bool:
        """Whether that delivery is made, and every track of it is there."""
        found = delivery(number)
        goals = set(found.goals)
        if self.ledger.artifacts(goals).keys() != goals:
            return False
        edition = found.editions[0]
        assert self.objects_of([edition.version, *edition.tracks]) <= self.store.objects.keys()
        return True

    def _made(self, held: Claim) -> Artifact:
        kind, _, _ = held.step.id.partition("-")
        (digest,) = held.step.makes
        names = named(NAMES, held)
        if kind in ("encode", "audio"):
            return self._stored(digest, KINDS[kind], f"{layout.attempt(held.step.id, held.token)}{digest}.mp4", {})
        if kind == "verify":
            version = next(made for made in held.inputs.values() if made.kind == "version")
            return Artifact(digest=digest, kind="verification", key=version.key, size=0, sha256="00" * 32)
        prefix = names.version(digest) if kind == "compose" else names.track(digest)
        facts = {"tracks": list(held.step.needs)} if kind == "compose" else {}
        return self._stored(digest, KINDS[kind], prefix, facts)

    def _stored(self, digest: str, kind: str, key: str, facts: dict[str, Any]) -> Artifact:
        body = f"{digest} {next(NONCE)}".encode()  # made again, it comes out differently
        made = Artifact(
            digest=digest,
            kind=kind,  # type: ignore[arg-type] - one of those there are
            key=key,
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            facts=facts,
        )
        for each in self._objects(made):
            self.store.put(each, body)
        return made

    @staticmethod
    def _objects(made: Artifact) -> list[str]:
        if made.kind in ("chunk", "sound"):
            return [made.key]
        if made.kind in ("track", "version"):
            return [made.key + "a", layout.inventory(made.key)]
        return []

    @property
    def address(self) -> str:
        return f"sqlite:///{self.folder / 'ledger.db'}"

    def copied(self, folder: Path, fate: Fate) -> "World":
        """The same world once more, for another fate. This one must have been closed."""
        shutil.copy(self.folder / "ledger.db", folder / "ledger.db")
        copy = replace(self, store=MemoryStore(self.store.objects, fate), folder=folder, sessions=dict(self.sessions))
        copy.ledger = ledger_at(copy.address, fate)
        return copy


def delivery(number: int) -> Plan:
    """Two tracks that every delivery has, one of its own, a version and its check."""
    chunks = [kind("encode", f"chunk-{n}") for n in range(2)]
    sound = kind("audio", "sound")
    tracks = [
        kind("package", "picture", chunks),
        kind("package", "speech", [sound]),
        kind("text", f"words-{number}"),
    ]
    version = kind("compose", f"version-{number}", tracks)
    verified = kind("verify", f"verified-{number}", [version, *tracks])
    edition = Edition(
        urgency="must",
        version=version.makes[0],
        verification=verified.makes[0],
        warmth={},
        tracks=tuple(each.makes[0] for each in tracks),
    )
    return replace(plan(EPISODE, [version]), editions=(edition,), steps=(*chunks, sound, *tracks, version, verified))


def kind(what: str, name: str, needs: Iterable[Step] = ()) -> Step:
    """A step whose id says what it does, as real ones do."""
    made = step(f"{what} {name}", lane="control", needs=needs)
    return replace(made, id=f"{what}-{name}")
