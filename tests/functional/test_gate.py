"""Fails closed: whatever is planted, in a real store, a real ledger or an edge, the answer is NO-GO and says what."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import delete, select, update

from pipelines import layout
from pipelines.errors import AvantError
from pipelines.tools.s3 import Store, Upload
from pipelines.warm import Edge
from tests.conftest import StoreService
from tests.fakes.careless_store import careless_store
from tests.fakes.liar import Liar, standing
from tests.fakes.pages import digest
from tests.fakes.promised import Promised, promised
from tests.fakes.releases import NAMES
from tests.fakes.shelf import Shelf
from tests.fakes.sundial import Sundial
from workers import services
from workers.checkpoint import recheck
from workers.clock import Clock, flip
from workers.farm import Farm
from workers.ledger import By, Ledger, open_ledger
from workers.ledger.schema import artifacts, releases
from workers.settings import Settings

HAND = By(who="ana", action="hold")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An episode that could be released, but for what a test plants."""

    promised: Promised
    edge: Liar
    #: Of the store.
    address: dict[str, str]

    @property
    def farm(self) -> Farm:
        return self.promised.farm

    @property
    def ledger(self) -> Ledger:
        return self.farm.ledger


Plant = Callable[[Stage], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def stage(store_service: StoreService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Made once: each fault is taken out again."""
    folder = tmp_path_factory.mktemp("gate")
    store = store_service.bucket("gate-of-one-night")
    store.make_bucket()
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}")
    ledger.enrol("h", memory=1 << 40, slots=["heavy"])
    address = {
        "endpoint": store_service.endpoint,
        "region": services.REGION,
        "bucket": store.bucket,
        "access_key": store_service.secrets.access_key,
        "secret_key": store_service.secrets.secret_key,
    }
    with standing(Liar(bodies=Shelf(store))) as edge:
        edges = [Edge(name="paris", url=edge.url)]
        farm = Farm(settings=Settings(home=folder), store=store, names=NAMES, ledger=ledger)
        whole = promised(farm, edges, ledger.now() - timedelta(hours=1))
        yield Stage(promised=whole, edge=edge, address=address)
    ledger.close()
    store._connection.client.delete_bucket(Bucket=store.bucket)
    store.close()


def spoilt(
    end: str, *, track: str = "234p", body: Callable[[bytes], bytes | None] = lambda body: body, **how: str
) -> Plant:
    """Something else, or nothing, where an object was."""

    @contextmanager
    def plant(stage: Stage) -> Iterator[None]:
        store, key = stage.farm.store, stage.promised.key(track, end)
        with replaced(store, key, body, **how):
            yield

    return plant


@contextmanager
def replaced(store: Store, key: str, body: Callable[[bytes], bytes | None], **how: str) -> Iterator[None]:
    found = store.get(key)
    assert found
    right = {"content_type": layout.content_type(key), "cache_control": layout.IMMUTABLE}
    put(store, key, body(found[0]), **{**right, **how})
    yield
    put(store, key, found[0], **right)


def put(store: Store, key: str, body: bytes | None, **how: str) -> None:
    store.delete([key])
    if body is not None:
        store.put_once(Upload(key=key, body=body, **how))


@contextmanager
def no_inventory(stage: Stage) -> Iterator[None]:
    key = NAMES.inventory(digest("ar dub 2"))
    with replaced(stage.farm.store, key, lambda _body: None, cache_control=layout.PRIVATE):
        yield


def edge_that(**ways: object) -> Plant:
    """An edge that does otherwise, cold as it then is."""

    @contextmanager
    def plant(stage: Stage) -> Iterator[None]:
        before = {name: getattr(stage.edge, name) for name in ways}
        for name, way in ways.items():
            setattr(stage.edge, name, way)
        yield
        for name, way in before.items():
            setattr(stage.edge, name, way)

    return plant


def hang_up(_number: int) -> None:
    raise ConnectionResetError


def rows(plant: Callable[[Stage], object]) -> Plant:
    """The ledger's rows changed, and put back."""

    @contextmanager
    def planted(stage: Stage) -> Iterator[None]:
        engine = stage.ledger._engine
        tables = (artifacts, releases)
        with engine.connect() as connection:
            kept = {table: [dict(row) for row in connection.execute(select(table)).mappings()] for table in tables}
        with engine.begin() as connection:
            connection.execute(plant(stage))  # type: ignore[call-overload]  # a statement
        yield
        with engine.begin() as connection:
            for table in tables:
                connection.execute(delete(table))
                connection.execute(table.insert(), kept[table])

    return planted


def gone(which: Callable[[Stage], str]) -> Plant:
    return rows(lambda stage: delete(artifacts).where(artifacts.c.digest == which(stage)))


def other_goal(stage: Stage) -> object:
    """Of all that exists, something else is to be the evidence: what was made for another edge, say."""
    (edition,) = stage.promised.release.editions
    told = {
        "urgency": "must",
        "version": edition.version,
        "verification": edition.tracks[0],
        "warmth": edition.warmth,
        "tracks": list(edition.tracks),
    }
    return update(releases).values(editions=[told])


FAULTS: dict[str, tuple[Plant, tuple[str, ...]]] = {
    "missing segment": (spoilt("00003.m4s", body=lambda _: None), ("store: 234p: ", "00003.m4s` is missing")),
    "missing init segment": (spoilt("init.mp4", body=lambda _: None), ("store: 234p: ", "init.mp4` is missing")),
    "wrong size": (spoilt("00002.m4s", body=lambda body: body[1:]), ("store: 234p: ", "00002.m4s`: its size is")),
    "wrong sha": (
        spoilt("00001.m4s", track="pt-BR original 2", body=lambda body: b"x" + body[1:]),
        ("store: pt-BR original stereo: ", "00001.m4s`: its sha256 is"),
    ),
    "wrong content type": (
        spoilt("00001.m4s", track="ar dub 2", content_type="text/plain"),
        ("store: ar dub stereo: ", "its content type is `text/plain`"),
    ),
    "wrong cache control": (
        spoilt("00001.jpg", track="thumbnails", cache_control="no-store"),
        ("store: thumbnails: ", "its cache control is `no-store`"),
    ),
    "missing inventory": (no_inventory, ("store: ar dub stereo: ", "is missing")),
    "changed playlist": (
        spoilt("media.m3u8", body=lambda body: body.replace(b"#EXT-X-ENDLIST", b"#EXT-X-ENDLISR")),
        ("store: 234p: ", "media.m3u8`: its sha256 is"),
    ),
    "changed manifest": (
        spoilt("main.mpd", track="version", body=lambda body: body + b"<!-- -->"),
        ("store: manifests: ", "main.mpd`: its size is"),
    ),
    "cold edge": (edge_that(room=0, copies=OrderedDict()), ("edge paris: ", "did not come from its cache")),
    "edge that fetches what it calls a hit": (
        edge_that(refetches=True, tells_nonce=True, tells_age=False),
        ("edge paris: ", "Edge paris"),
    ),
    "edge with other bytes": (edge_that(spoil=lambda body: b"x" + body[1:]), ("edge paris: ", "Edge paris")),
    "edge down": (edge_that(refuse=hang_up), ("edge paris: ", "Edge paris", "does not answer")),
    "unverified version": (gone(lambda stage: stage.promised.edition.verification), ("store: not verified yet",)),
    "unmade track": (
        gone(lambda _stage: digest("ar dub 2")),
        ("store: ar dub stereo: The ledger does not know",),
    ),
    "warmth that vanished": (
        gone(lambda stage: stage.promised.edition.warmth["paris"]),
        ("edge paris: not warm yet",),
    ),
    "another goal": (rows(other_goal), ("store: What is armed of `e` is not what was planned",)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_makes_no_go_and_is_named(stage: Stage, fault: str) -> None:
    """The check, the rung or language and the edge; nothing moves."""
    plant, words = FAULTS[fault]
    with plant(stage):
        (armed,) = stage.ledger.armed()
        report = recheck(stage.farm, armed)
        said = refused(stage.farm, stage.promised)
    assert [word for word in words if word not in said] == [], said
    assert said.startswith("`e` is not ready: ")
    assert report.faults or "yet" in said


def refused(farm: Farm, promised: Promised) -> str:
    """What is said of a flip, which must not happen."""
    with pytest.raises(AvantError) as refusal:
        flip(farm, promised.release)
    assert farm.ledger.ref("e").state == "not-yet"
    return refusal.value.message


def test_a_check_that_is_stale_is_none(stage: Stage) -> None:
    """Proved more than 25 h ago, and by nobody since; looked at again, it is only the clock that is wrong here."""
    recheck(stage.farm, stage.promised.release)
    with closing(turned(stage, timedelta(hours=26))) as later:
        farm = replace(stage.farm, ledger=later)
        said = refused(farm, stage.promised)
        assert "store: stale, last found well at" in said
        assert "edge paris: stale" in said
        assert "stale" not in refused_again(farm, stage.promised)


def refused_again(farm: Farm, promised: Promised) -> str:
    recheck(farm, promised.release)
    return refused(farm, promised)


@pytest.mark.parametrize(("ledger", "store", "words"), [(10, 0, "the ledger is 1"), (-10, -10, "this host is 1")])
def test_clocks_that_disagree_release_nothing(stage: Stage, ledger: int, store: int, words: str) -> None:
    """Whichever is wrong is named, and it is told before the night."""
    with closing(turned(stage, timedelta(seconds=ledger))) as skewed:
        farm = replace(stage.farm, ledger=skewed, store=late(stage, timedelta(seconds=store)))
        report = recheck(farm, stage.promised.release)
        said = refused(farm, stage.promised)
    assert said.startswith(f"The clock of {words}")
    assert [fault.said[: len(words) + 13] for fault in report.faults] == [f"The clock of {words}"]


def turned(stage: Stage, by: timedelta) -> Ledger:
    """The same ledger with its clock so far ahead."""
    return Sundial(lambda: stage.ledger.now() + by).ledger(str(stage.ledger._engine.url))


def late(stage: Stage, by: timedelta) -> Store:
    class Turned(Store):
        def now(self) -> datetime:
            return super().now() + by

    return Turned(**stage.address)


@pytest.mark.parametrize("rechecked", [True, False])
def test_a_store_that_ignores_conditions_is_found_out(stage: Stage, rechecked: bool) -> None:
    """At a checkpoint; and one that has become so since, by the flip itself."""
    recheck(stage.farm, stage.promised.release)
    with careless_store({"if-match"}) as endpoint:
        farm = replace(stage.farm, store=Store(**{**stage.address, "endpoint": endpoint}))
        if rechecked:
            recheck(farm, stage.promised.release)
        assert "does not honour If-Match" in refused(farm, stage.promised)


def test_a_store_that_is_down_is_no_go(stage: Stage, nowhere: str) -> None:
    recheck(stage.farm, stage.promised.release)
    farm = replace(stage.farm, store=Store(**{**stage.address, "endpoint": nowhere}))
    assert "store" in refused(farm, stage.promised)


def test_held_and_too_early_are_no_go(stage: Stage) -> None:
    """Whatever else is well."""
    recheck(stage.farm, stage.promised.release)
    stage.ledger.hold("e", held=True, by=HAND)
    assert "is held" in refused(stage.farm, stage.promised)
    stage.ledger.hold("e", held=False, by=HAND)
    stage.ledger.arm(replace(stage.promised.release, at=stage.ledger.now() + timedelta(hours=1)))
    assert "too early" in refused(stage.farm, stage.promised)
    stage.ledger.arm(stage.promised.release)


def test_a_ledger_that_is_down_is_no_go(stage: Stage, tmp_path: Path) -> None:
    """Nobody flips, no entry point moves, and the clock goes on asking."""
    (tmp_path / "ledger.db").write_bytes(b"")
    broken = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    broken.close()
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)
    with structlog.testing.capture_logs() as said:
        Clock(replace(stage.farm, ledger=broken)).tick()
    assert [line["event"] for line in said] == ["release.held-up"]
    broken.close()
    assert stage.farm.store.get("e/e/main.m3u8") is None


def test_without_a_fault_it_goes(stage: Stage) -> None:
    """What was mended is found mended, and released."""
    report = recheck(stage.farm, stage.promised.release)
    assert [(finding.subject, finding.said) for finding in report.findings] == [
        ("clocks", ""),
        ("store", ""),
        ("edge paris", ""),
    ]
    assert flip(stage.farm, stage.promised.release).generation == 1
