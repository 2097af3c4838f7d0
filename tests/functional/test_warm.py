"""A published version, warmed through a real edge before a real store, and proved; or not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.artifact import Artifact
from pipelines.errors import EdgeError, Interrupted
from pipelines.publish import File, publish
from pipelines.track import AudioTrack, Segment
from pipelines.version import Item, inventory
from pipelines.warm import Edge, WarmJob, evidence, make
from pipelines.wire import digest, to_data
from pipelines.workspace import Workspace
from tests.fakes.origin import Origin, Reply, origin
from tests.fakes.sites import Ask, Site

SEGMENTS = 12


@pytest.fixture
def published(site: Site, tmp_path: Path) -> Workspace:
    """A track of a minute and a version that names it, in the store; their bytes differ from test to test."""
    name = tmp_path.name
    made = {what: digest([name, what]) for what in ("track", "version")}
    workspace = Workspace(
        scratch=tmp_path, store=site.store, names=site.names, attempt="attempts/x/1/", inputs={}, watch=lambda _: None
    )
    track = AudioTrack(
        digest=made["track"],
        prefix=site.names.track(made["track"]),
        codecs="mp4a.40.2",
        language="en",
        role="original",
        channels=2,
        sample_rate=48000,
        timescale=48000,
        segments=(Segment(duration=5 * 48000, size=1000),) * SEGMENTS,
    )
    media = [File(name=f"{n:05d}.m4s", body=f"{name} {n}".encode() * 1000) for n in range(1, SEGMENTS + 1)]
    playlists = [File(name="media.m3u8", body=b"#EXTINF:5,\n" * 100)]
    manifests = [File(name="main.m3u8", body=b"#EXTM3U\n" * 100), File(name="main.mpd", body=b"<MPD/>")]
    parts = {
        "track": (track.prefix, [media, [File(name="init.mp4", body=b"moov")], playlists], to_data(track)),
        "version": (site.names.version(made["version"]), [manifests], {}),
    }
    inputs = {}
    for kind, (prefix, stages, facts) in parts.items():
        put = publish(workspace, digest=made[kind], prefix=prefix, stages=stages)
        inputs[made[kind]] = Artifact(
            digest=made[kind], kind=kind, key=prefix, size=put.size, sha256=put.sha256, facts=facts
        )
    return replace(workspace, inputs=inputs)


def job(workspace: Workspace, edge: Edge) -> WarmJob:
    track, version = workspace.inputs
    return WarmJob(digest=digest([version, edge.name]), version=version, tracks=(track,), edge=edge)


def listed(workspace: Workspace) -> list[Item]:
    return [item for made in workspace.inputs.values() for item in inventory(workspace.store, workspace.names, made)]


def test_a_version_is_warm_and_proved(site: Site, published: Workspace, ask: Ask) -> None:
    """After warming, every object of the version and its tracks is a hit for the next viewer; the evidence says so."""
    asked = job(published, site.edge)
    (warmth,) = make(asked, published)
    items = listed(published)
    assert len(items) == SEGMENTS + 4
    answers = [ask("GET", f"{site.edge.url}/{item.key}") for item in items]
    assert {answer.headers["X-Cache-Status"] for answer in answers} == {"HIT"}
    assert [len(answer.data) for answer in answers] == [item.size for item in items]
    size = sum(item.size for item in items)
    timed = {name: warmth.facts[name] for name in ("first_pass_s", "proof_s")}
    assert all(seconds > 0 for seconds in timed.values())
    assert warmth == Artifact(
        digest=asked.digest,
        kind="warmth",
        key=site.names.version(asked.version),
        size=size,
        sha256=evidence(asked, items),
        facts={"edge": "local", "objects": len(items), "bytes": size, "hits": len(items), **timed},
    )


def test_warming_twice_is_the_same_evidence(site: Site, published: Workspace) -> None:
    """Repeated after a kill, the proof is the one that would have been."""
    first, second = (make(job(published, site.edge), published)[0] for _ in range(2))
    assert first.sha256 == second.sha256


def standing(workspace: Workspace, edge: Origin, say: Callable[[Item, int], Reply]) -> Edge:
    """An edge of our own making that answers `say(item, how often it was asked)`."""
    for item in listed(workspace):
        edge.replies[f"/{item.key}"] = lambda times, item=item: say(item, times)
    return Edge(name="paris", url=edge.endpoint)


def reply(item: Item, status: str, *, size: int | None = None) -> Reply:
    return Reply(body=b"x" * (item.size if size is None else size), headers={"X-Cache-Status": status})


def test_a_stray_miss_is_asked_once_more(published: Workspace) -> None:
    """An object that another's eviction or restart made cold is warmed again before anyone is alarmed."""
    with origin() as fake:
        edge = standing(published, fake, lambda item, times: reply(item, "HIT" if times > 2 else "MISS"))
        (warmth,) = make(job(published, edge), published)
        assert set(fake.asked.values()) == {3}
    assert warmth.facts["hits"] == SEGMENTS + 4


@pytest.mark.parametrize(
    ("say", "how"),
    [
        (lambda item, _: reply(item, "MISS"), "cold, status 200"),
        (lambda item, _: reply(item, "STALE"), "cold, status 200"),
        (lambda item, _: Reply(body=b"x" * item.size, headers={}), "unknown, status 200"),
        (lambda _, __: Reply(status=404, headers={"X-Cache-Status": "HIT"}), "cold, status 404"),
        (lambda item, _: reply(item, "HIT", size=item.size - 1), "bytes"),
    ],
)
def test_an_edge_that_does_not_keep_is_named(published: Workspace, say: Callable[[Item, int], Reply], how: str) -> None:
    """Who is not warm, how many objects, which is the first, and what it answered."""
    with origin() as fake, pytest.raises(EdgeError) as cold:
        make(job(published, standing(published, fake, say)), published)
    first = min(item.key for item in listed(published) if item.key.startswith("v/"))
    assert cold.value.message.startswith("Edge paris")
    assert f"{SEGMENTS + 4} of {SEGMENTS + 4} objects" in cold.value.message
    assert f"the first is {first} (" in cold.value.message
    assert how in cold.value.message


def test_nothing_is_asked_that_is_not_published(published: Workspace) -> None:
    """An edge may remember that something was not there: only what inventories list is ever asked for."""
    with origin() as fake:
        make(job(published, standing(published, fake, lambda item, _: reply(item, "HIT"))), published)
        assert set(fake.asked) == {f"/{item.key}" for item in listed(published)}


def test_warming_ends_when_the_work_no_longer_counts(published: Workspace) -> None:
    """A lost lease stops the asking at once, also while an edge keeps us waiting."""

    def lost(_: float) -> None:
        raise Interrupted("lost")

    with origin() as fake:
        fake.open.clear()
        edge = standing(published, fake, lambda item, _: reply(item, "HIT"))
        with pytest.raises(Interrupted):
            make(job(published, edge), replace(published, watch=lost))
        assert fake.asked.total() <= 8


def test_progress_goes_from_nothing_to_all(site: Site, published: Workspace) -> None:
    """The share that is done never falls, and ends at one."""
    shares: list[float] = []
    make(job(published, site.edge), replace(published, watch=shares.append))
    assert shares == sorted(shares)
    assert shares[-1] == 1
