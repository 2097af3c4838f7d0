"""A published version, warmed through a real edge before a real store, and proved; or not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.artifact import Artifact
from pipelines.errors import ConfigurationError, EdgeError, Interrupted
from pipelines.tokens import Tokens
from pipelines.warm import Edge, Evidence, WarmJob, evidence, make, prove
from pipelines.warm.evidence import same_cache
from pipelines.wire import from_data
from pipelines.workspace import Workspace
from tests.fakes import warming
from tests.fakes.edges import KEY
from tests.fakes.liar import Liar, standing
from tests.fakes.sites import Ask, Site
from tests.fakes.warming import bodies, job, listed

SEGMENTS = 12


@pytest.fixture
def published(site: Site, tmp_path: Path) -> Workspace:
    return warming.published(site.store, site.names, tmp_path, segments=SEGMENTS)


def at(liar: Liar, **more: Any) -> Edge:
    return Edge(name="paris", kind="rfc9211", url=liar.url, **more)


def test_a_version_is_warm_and_proved(site: Site, published: Workspace, ask: Ask) -> None:
    """After warming, every object of the version and its tracks is a hit for the next viewer; the evidence says so."""
    asked = job(published, site.edge)
    begun = datetime.now(UTC)
    (warmth,) = make(asked, published)
    items = listed(published)
    assert len(items) == SEGMENTS + 4
    answers = [ask("GET", f"{site.edge.url}/{item.key}") for item in items]
    assert {answer.headers["X-Cache-Status"] for answer in answers} == {"HIT"}
    assert [len(answer.data) for answer in answers] == [item.size for item in items]
    size = sum(item.size for item in items)
    timed = {name: warmth.facts[name] for name in ("first_pass_s", "proof_s")}
    assert all(seconds > 0 for seconds in timed.values())
    found = from_data(Evidence, {k: v for k, v in warmth.facts.items() if k not in timed})
    assert warmth == Artifact(
        digest=asked.digest,
        kind="warmth",
        key=site.names.version(asked.version),
        size=size,
        sha256=evidence(asked, items),
        facts=warmth.facts,
    )
    assert begun <= found.proved_at <= datetime.now(UTC)
    assert (found.edge, found.objects, found.bytes, found.hits) == ("local", len(items), size, len(items))
    assert [(tier.tier, tier.objects, tier.share) for tier in found.tiers] == [(0, 4, 1.0), (1, SEGMENTS, 1.0)]


def test_warming_twice_is_the_same_evidence(site: Site, published: Workspace) -> None:
    """Repeated after a kill, the proof is the one that would have been."""
    first, second = (make(job(published, site.edge), published)[0] for _ in range(2))
    assert first.sha256 == second.sha256


def test_nothing_is_left_of_work_that_is_done(site: Site, published: Workspace) -> None:
    """What noted the progress is gone once the evidence is there."""
    asked = job(published, site.edge)
    make(asked, published)
    assert published.store.head(published.names.warming(asked.digest)) is None


def test_an_honest_edge_is_believed(published: Workspace) -> None:
    """Ages that grow and the origin's own numbers show that each hit is the one copy."""
    with standing(Liar(bodies=bodies(published), tells_nonce=True)) as edge:
        (warmth,) = make(job(published, at(edge, pop="cdg")), published)
    assert warmth.facts["same_copy"] is True
    assert warmth.facts["pops"] == ["cdg-1"]
    assert edge.fetched.total() == len(edge.bodies)


def test_tokens_are_used_and_make_no_difference(published: Workspace, tmp_path: Path) -> None:
    """Every request carries one of the tokens; what the first warmed is a hit for the second."""
    (tmp_path / "tokens").write_text("one\ntwo\n")
    seen: set[str] = set()

    def key(path: str, token: str, _headers: Any) -> object:
        seen.add(token)
        return path

    with standing(Liar(bodies=bodies(published), key=key, tells_age=False)) as edge:
        (warmth,) = make(job(published, at(edge, tokens=tmp_path / "tokens")), published)
    assert seen == {"one", "two"}
    assert warmth.facts["hits"] == edge.fetched.total() == len(edge.bodies)


def test_tokens_are_made_with_the_edges_key(published: Workspace, tmp_path: Path) -> None:
    """As the edge itself would make them, two, good for minutes, and no viewer's."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    seen: set[str] = set()

    def key(path: str, token: str, _headers: Any) -> object:
        seen.add(token)
        return path

    begun = datetime.now(UTC)
    with standing(Liar(bodies=bodies(published), key=key, tells_age=False)) as edge:
        (warmth,) = make(job(published, at(edge, token_key=tmp_path / "key")), published)
    assert warmth.facts["hits"] == edge.fetched.total() == len(edge.bodies)
    ends = {datetime.fromtimestamp(int(token.split("~")[1]), UTC) for token in seen}
    assert seen == {Tokens(key=KEY).token("avant-warming", until) for until in ends}
    assert len(seen) >= 2
    assert timedelta(seconds=299) < min(ends) - begun < timedelta(seconds=600)


def test_a_key_must_be_one(published: Workspace, tmp_path: Path) -> None:
    """A file with something else is refused before anything is asked, and not shown."""
    (tmp_path / "key").write_text(f"{KEY}\nand-more\n")
    asked = job(published, Edge(name="paris", url="http://127.0.0.1:9", token_key=tmp_path / "key"))
    with pytest.raises(ConfigurationError) as refused:
        make(asked, published)
    assert KEY not in refused.value.message + refused.value.hint


def test_a_single_token_proves_nothing(published: Workspace, tmp_path: Path) -> None:
    """It is refused before anything is asked, and never shown."""
    (tmp_path / "tokens").write_text("secret-one\n")
    asked = job(published, Edge(name="paris", url="http://127.0.0.1:9", tokens=tmp_path / "tokens"))
    with pytest.raises(ConfigurationError) as refused:
        make(asked, published)
    assert "secret-one" not in refused.value.message + refused.value.hint


def test_a_stray_miss_is_warmed_again(published: Workspace) -> None:
    """An object that another's eviction or restart made cold is warmed once more before anyone is alarmed."""
    with standing(Liar(bodies=bodies(published), tells_age=False)) as edge:
        lost = f"{listed(published)[3].key}"

        def losing(number: int) -> None:
            if edge.asked[lost] == 1 and number > 2 * len(edge.bodies):
                edge.copies.pop(lost, None)

        edge.refuse = losing
        (warmth,) = make(job(published, at(edge)), published)
    assert warmth.facts["hits"] == len(edge.bodies)
    assert edge.fetched[lost] <= 2


def by_player(path: str, _token: str, headers: Any) -> object:
    return path, headers.get("user-agent")


def one_by_player(path: str, _token: str, headers: Any) -> object:
    return path, headers.get("user-agent") if path.endswith("00003.m4s") else ""


def by_encoding(path: str, _token: str, headers: Any) -> object:
    return path, headers.get("accept-encoding")


def by_token(path: str, token: str, _headers: Any) -> object:
    return path, token


LIES: dict[str, tuple[Callable[[dict[str, bytes]], Liar], str]] = {
    "keeps nothing": (lambda b: Liar(bodies=b, room=0), "did not come from its cache"),
    "says HIT but fetches again": (lambda b: Liar(bodies=b, refetches=True), "new copies each time"),
    "says HIT, fetches again, and tells no age": (
        lambda b: Liar(bodies=b, refetches=True, tells_age=False, tells_nonce=True),
        "new copies each time",
    ),
    "caches by token": (lambda b: Liar(bodies=b, key=by_token), "once for each token"),
    "varies on User-Agent": (lambda b: Liar(bodies=b, key=by_player), "once for each kind of player"),
    "varies on Accept-Encoding": (lambda b: Liar(bodies=b, key=by_encoding), "once for each kind of player"),
    "varies for a single object": (lambda b: Liar(bodies=b, key=one_by_player), "once for each kind of player"),
    "evicts under pressure": (lambda b: Liar(bodies=b, room=len(b) // 2), "were warm and are gone"),
    "remembers a 404": (lambda b: Liar(bodies=b, missing=frozenset([sorted(b)[3]])), "says that there is nothing"),
    "serves stale": (lambda b: Liar(bodies=b, stale=frozenset([sorted(b)[3]])), "are stale"),
    "serves what is about to end": (lambda b: Liar(bodies=b, older=31_536_000 - 80_000), "are stale, or soon would be"),
    "is another PoP": (lambda b: Liar(bodies=b, name="fra-2"), "another cache than `pop` says"),
    "changes bytes": (lambda b: Liar(bodies=b, spoil=lambda body: body[::-1]), "other bytes"),
    "shortens": (lambda b: Liar(bodies=b, spoil=lambda body: body[:-1]), "another length"),
}


@pytest.mark.parametrize("lie", LIES)
def test_each_lie_is_found_and_named(published: Workspace, tmp_path: Path, lie: str) -> None:
    """Whatever an edge says about itself; and it is found again when the work is tried once more."""
    made, sentence = LIES[lie]
    tokens = tmp_path / "tokens"
    tokens.write_text("first-token\nsecond_token\n")
    with standing(made(bodies(published))) as edge:
        asked = job(published, at(edge, pop="cdg", tokens=tokens))
        for _ in range(2):
            with pytest.raises(EdgeError) as found:
                make(asked, published)
            assert found.value.message.startswith("Edge paris")
            assert sentence in found.value.message
            assert found.value.hint
            assert "token" not in found.value.message.replace("once for each token", "").replace("another token", "")


def test_one_cache_under_two_names_is_seen() -> None:
    """Two edges whose answers come from the same cache prove one."""
    one = Evidence(
        edge="paris",
        proved_at=datetime.now(UTC),
        objects=1,
        bytes=1,
        hits=1,
        tiers=(),
        freshness=None,
        pops=("cdg-1",),
        same_copy=None,
        left=0,
    )
    assert same_cache(one, replace(one, edge="lyon"))
    assert not same_cache(one, one)
    assert not same_cache(one, replace(one, edge="lyon", pops=("lys-1",)))
    assert not same_cache(replace(one, pops=()), replace(one, edge="lyon", pops=()))


def test_only_what_was_lost_is_warmed_again(published: Workspace) -> None:
    """Proving on demand asks the origin for what has gone and for nothing else; of a warm edge, for nothing."""
    with standing(Liar(bodies=bodies(published))) as edge:
        asked = job(published, at(edge))
        make(asked, published)
        edge.fetched.clear()
        found = prove(asked, published)
        assert (found.ok, found.hits, found.lost, found.first_lost) == (True, len(edge.bodies), 0, ())
        assert edge.fetched.total() == 0
        gone = sorted(edge.bodies)[5:8]
        for path in gone:
            del edge.copies[path]
        again = prove(asked, published)
        assert (again.ok, again.hits, sorted(again.first_lost)) == (True, len(edge.bodies), gone)
        assert "3 had been lost" in again.said
        assert edge.fetched == dict.fromkeys(gone, 1)


def test_a_later_proof_is_of_what_was_warm(site: Site, tmp_path: Path) -> None:
    """What a quota or the time left cold then is not asked for now; less time than then leaves nothing out."""
    published = warming.published(site.store, site.names, tmp_path, segments=40)
    with standing(Liar(bodies=bodies(published), tells_age=False)) as edge:
        # Two passes over the beginning, which is 40 objects, and two segments more.
        asked = job(published, at(edge, capacity={"daily_requests": 84}))
        (warmth,) = make(asked, published)
        edge.asked.clear()
        known = replace(published, inputs={**published.inputs, asked.digest: warmth})
        slow = job(published, at(edge, capacity={"requests_per_second": 1000.0}))
        found = prove(replace(slow, release=datetime.now(UTC) + timedelta(milliseconds=1)), known)
    assert (found.ok, found.objects, found.lost) == (True, warmth.facts["objects"], 0)
    assert found.objects == len(edge.asked) == len(edge.bodies) - 2


def test_a_proof_that_fails_is_told_in_full(published: Workspace) -> None:
    """Which edge, when, how much is cold and what comes first: a value to be kept, whatever was found."""
    with standing(Liar(bodies=bodies(published), room=0)) as edge:
        begun = datetime.now(UTC)
        found = prove(job(published, at(edge)), published)
    assert begun <= found.checked_at <= datetime.now(UTC)
    assert (found.edge, found.ok, found.evidence, found.hits) == ("paris", False, None, 0)
    assert found.said.startswith("Edge paris")
    assert "did not come from its cache" in found.said
    assert found.lost == found.asked == len(edge.bodies)
    assert found.first_lost[0].startswith("v/")
    assert len(found.first_lost) == 10


def test_an_edge_that_is_down_is_no_error_of_a_proof(published: Workspace, unused_port: int) -> None:
    """It is what the proof has found."""
    found = prove(job(published, Edge(name="paris", url=f"http://127.0.0.1:{unused_port}")), published)
    assert not found.ok
    assert "does not answer" in found.said


def test_nothing_is_asked_that_is_not_published(published: Workspace) -> None:
    """An edge may remember that something was not there: only what inventories list is ever asked for."""
    with standing(Liar(bodies=bodies(published), tells_age=False)) as edge:
        make(job(published, at(edge)), published)
        assert set(edge.asked) == {item.key for item in listed(published)}


def test_a_refusal_is_heeded(published: Workspace) -> None:
    """After a 429 an edge is left alone for as long as it asked, and what it refused is asked for again."""
    edge = Liar(bodies=bodies(published), tells_age=False)
    edge.refuse = lambda number: (429, {"Retry-After": "1"}) if number == 10 else None
    with standing(edge):
        make(job(published, at(edge)), published)
    later = [moment for moment in edge.times if moment > edge.times[9] + 0.5]
    assert min(later) - edge.times[9] >= 0.99
    assert set(edge.asked) == set(edge.bodies)


def test_an_edge_that_only_refuses_is_given_up(published: Workspace) -> None:
    """For now: the step is tried again later."""
    edge = Liar(bodies={}, refuse=lambda _: (503, {"Retry-After": "0"}))
    with standing(edge):
        asked = job(published, at(edge, capacity={"requests_per_second": 1000.0}))
        with pytest.raises(EdgeError) as no:
            make(asked, published)
    assert "refuses: 503" in no.value.message
    assert no.value.retryable


def test_what_cannot_be_warm_in_time_is_said_before_anything_is_asked(published: Workspace) -> None:
    """T0 and T1 beyond the edge's budget are no surprise at T."""
    with standing(Liar(bodies={})) as edge:
        slow = job(published, at(edge, capacity={"requests_per_second": 1.0}))
        soon = replace(slow, release=datetime.now(UTC) + timedelta(seconds=10))
        with pytest.raises(EdgeError) as late:
            make(soon, published)
    assert "can't be warm in time" in late.value.message
    assert edge.asked.total() == 0


def test_warming_ends_when_the_work_no_longer_counts(published: Workspace) -> None:
    """A lost lease stops the asking at once, also while an edge keeps us waiting."""

    def lost(_: float) -> None:
        raise Interrupted("lost")

    with standing(Liar(bodies=bodies(published), refuse=lambda _: (503, {"Retry-After": "60"}))) as edge:
        with pytest.raises(Interrupted):
            make(job(published, at(edge)), replace(published, watch=lost))
        assert len(edge.times) <= 8


def test_progress_goes_from_nothing_to_all(site: Site, published: Workspace) -> None:
    """The share that is done never falls, and ends at one."""
    shares: list[float] = []
    make(job(published, site.edge), replace(published, watch=shares.append))
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_what_an_attempt_did_is_not_done_again(published: Workspace) -> None:
    """An attempt that ends half-way leaves to the next what is missing."""
    shares: list[float] = []

    def killed(share: float) -> None:
        shares.append(share)
        if share > 0.2:
            raise Interrupted("killed")

    with standing(Liar(bodies=bodies(published), tells_age=False)) as edge:
        asked: WarmJob = job(published, at(edge, capacity={"requests_per_second": 30.0, "connections": 1}))
        with pytest.raises(Interrupted):
            make(asked, replace(published, watch=killed))
        before = edge.asked.copy()
        edge.asked.clear()
        slow = asked.edge.model_copy(
            update={"capacity": asked.edge.capacity.model_copy(update={"requests_per_second": None})}
        )
        make(replace(asked, edge=slow), published)
    assert 0 < before.total() < 30
    media = [key for key in before if key.endswith((".m4s", ".mp4"))]
    assert media == [] or max(edge.asked[key] for key in media[:-1]) <= 1 + 8
