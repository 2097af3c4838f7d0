"""
A version's objects through one edge, in the order viewers will want them; then a second pass that proves it.

Asks only for what inventories list, so for what is published: an edge may remember that something was not there. The
entry points are no part of it; they change at T.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, islice
from time import monotonic
from typing import Annotated, Literal

from pydantic import Field

from pipelines import layout, version
from pipelines.artifact import Artifact
from pipelines.errors import EdgeError
from pipelines.tools.edge import Answer, EdgeClient
from pipelines.track import AudioTrack, ThumbnailTrack, Track, VideoTrack
from pipelines.version import Item
from pipelines.wire import digest, to_data
from pipelines.workspace import Workspace
from presets.document import Document

#: Raised by hand when our own method changes what is asked for.
RECIPE = 1

#: Requests to an edge at a time: enough to hide latency, too few to crowd out viewers.
AT_ONCE = 8
#: Seconds of the programme that most viewers of the first minutes ask for.
BEGINNING = 180

Kind = Literal["nginx", "rfc9211"]
Verdict = Literal["hit", "cold", "unknown"]


class Edge(Document):
    """One cache that stands between viewers and the store."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    """What reports call it."""
    kind: Kind = "nginx"
    """Which headers say whether it was a hit."""
    url: Annotated[str, Field(pattern=r"^https?://[^/\s?#@]+/?$")]
    """Scheme, host and port that viewers use."""


class Edges(Document):
    """`edges.toml`: every edge that must be warm before a release."""

    edges: tuple[Edge, ...] = ()
    """The edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmJob:
    """A version to be warmed at one edge, and proved."""

    kind: Literal["warm"] = "warm"
    #: Of the evidence.
    digest: str
    version: str
    tracks: tuple[str, ...]
    edge: Edge


def make(job: WarmJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Ask the edge for every object, then again for the proof. Raises `EdgeError` naming what is not warm."""
    tracks = version.load_tracks(workspace.inputs[track] for track in job.tracks)
    items = order(_listed(job, workspace), tracks)
    with EdgeClient(job.edge.name, job.edge.url, connections=AT_ONCE) as client:
        begun = monotonic()
        _lacks(client, job.edge.kind, items, lambda share: workspace.watch(share / 2))
        warmed = monotonic()
        lacks = _lacks(client, job.edge.kind, items, lambda share: workspace.watch((1 + share) / 2))
        again = [item for item in items if item.key in lacks]
        lacks = _lacks(client, job.edge.kind, again, lambda _: workspace.watch(1.0))
        proved = monotonic()
    if lacks:
        raise _not_warm(job.edge, items, lacks)
    made = Artifact(
        digest=job.digest,
        kind="warmth",
        key=workspace.names.version(job.version),
        size=sum(item.size for item in items),
        sha256=evidence(job, items),
        facts={
            "edge": job.edge.name,
            "objects": len(items),
            "bytes": sum(item.size for item in items),
            "hits": len(items),
            "first_pass_s": round(warmed - begun, 3),
            "proof_s": round(proved - warmed, 3),
        },
    )
    return (made,)


def order(items: Iterable[Item], tracks: Iterable[Track]) -> list[Item]:
    """
    Every object once, as viewers will want them.

    First what every session starts with: manifests, playlists, init segments, all text. Then the beginning of the
    programme in every rung and language, then the rest, each in the order of time.
    """
    starts = dict(_starts(tracks))

    def rank(item: Item) -> tuple[int, Fraction, bool, str]:
        start = starts.get(item.key)
        tier = 0 if start is None else 1 if start < BEGINNING else 2
        return tier, start or Fraction(0), not item.key.startswith("v/"), item.key

    return sorted({item.key: item for item in items}.values(), key=rank)


def verdict(kind: Kind, status: int, headers: Mapping[str, str]) -> Verdict:
    """Whether an answer came whole from the cache. Header names are in lower case; `unknown` counts as cold."""
    if status not in (200, 206):
        return "cold"
    return ADAPTERS[kind](headers)


def evidence(job: WarmJob, items: Iterable[Item]) -> str:
    """sha256 of what was proved: which objects, at which edge. The same proof has the same evidence."""
    listed = sorted((item.key, item.size, item.sha256) for item in items)
    return digest({"edge": to_data(job.edge), "version": job.version, "objects": listed})


def _nginx(headers: Mapping[str, str]) -> Verdict:
    """STALE, EXPIRED, UPDATING and REVALIDATED all ask the origin, or should have."""
    said = headers.get("x-cache-status", "").upper()
    if not said:
        return "unknown"
    return "hit" if said == "HIT" else "cold"


def _rfc9211(headers: Mapping[str, str]) -> Verdict:
    """The cache nearest the client comes last. A cache that forwarded may also say `hit` (RFC 9211, 2.2)."""
    said = re.sub(r'"(?:\\.|[^"\\])*"', "", headers.get("cache-status", ""))
    if not said:
        return "unknown"
    parameters = {part.strip() for part in said.split(",")[-1].split(";")[1:]}
    hit = not parameters.isdisjoint({"hit", "hit=?1"})
    forwarded = any(part.partition("=")[0] == "fwd" for part in parameters)
    return "hit" if hit and not forwarded else "cold"


ADAPTERS: Mapping[Kind, Callable[[Mapping[str, str]], Verdict]] = {"nginx": _nginx, "rfc9211": _rfc9211}


def _listed(job: WarmJob, workspace: Workspace) -> Iterator[Item]:
    for made in (job.version, *job.tracks):
        yield from version.inventory(workspace.store, workspace.names, workspace.inputs[made])


def _starts(tracks: Iterable[Track]) -> Iterator[tuple[str, Fraction]]:
    """Keys of media segments and sprites, with the second of the programme at which each begins."""
    for track in tracks:
        if isinstance(track, VideoTrack | AudioTrack):
            ticks = accumulate((segment.duration for segment in track.segments), initial=0)
            times = [Fraction(tick, track.timescale) for tick in ticks][:-1]
            suffix = ".m4s"
        elif isinstance(track, ThumbnailTrack):
            times = [n * track.columns * track.rows * track.interval for n in range(track.sprites)]
            suffix = ".jpg"
        else:
            continue
        yield from ((track.prefix + layout.segment(n, suffix), time) for n, time in enumerate(times, 1))


def _lacks(client: EdgeClient, kind: Kind, items: Sequence[Item], watch: Callable[[float], None]) -> dict[str, str]:
    """Ask for every item, some at a time; those that did not come whole from the cache, by key, with what came."""
    lacks: dict[str, str] = {}
    waiting = iter(items)
    running: dict[Future[Answer], Item] = {}
    done = 0
    threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="warm")
    try:
        while True:
            for item in islice(waiting, AT_ONCE - len(running)):
                running[threads.submit(client.fetch, item.key)] = item
            if not running:
                return lacks
            for answered in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                item = running.pop(answered)
                lack = _lack(kind, item, answered.result())
                lacks |= {item.key: lack} if lack else {}
                done += 1
            watch(done / len(items))
    finally:
        # What is on its way is only read and dropped; nobody needs to wait for it.
        threads.shutdown(wait=False, cancel_futures=True)


def _lack(kind: Kind, item: Item, answer: Answer) -> str:
    """What an answer lacks to be proof; empty for proof."""
    said = verdict(kind, answer.status, answer.headers)
    if said != "hit":
        return f"{said}, status {answer.status}"
    # A body that we can't decompress is judged by the cache's word alone.
    if answer.size not in (None, item.size):
        return f"{answer.size} of {item.size} bytes"
    return ""


def _not_warm(edge: Edge, items: Sequence[Item], lacks: Mapping[str, str]) -> EdgeError:
    first = next(item.key for item in items if item.key in lacks)
    return EdgeError(
        f"Edge {edge.name} ({edge.url}) is not warm: {len(lacks)} of {len(items)} objects did not come whole from its "
        f"cache when asked again; the first is {first} ({lacks[first]}).",
        hint=f'See whether its cache is large enough, and whether `kind = "{edge.kind}"` is what it is.',
    )
