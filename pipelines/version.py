"""
Tracks in, a version out: the manifests that name them, published under the version's own name; then verified.

Verification believes nothing that was said while things were made: it asks the store for every object, and reads every
manifest as a player would.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pipelines import layout
from pipelines.artifact import Artifact
from pipelines.errors import ReleaseError
from pipelines.layout import Names
from pipelines.lint.dash import lint_dash
from pipelines.lint.finding import Finding, Shelf
from pipelines.lint.hls import lint_hls
from pipelines.manifests.chapters import chapters
from pipelines.manifests.dash import mpd
from pipelines.manifests.hls import multivariant
from pipelines.policy import Policy
from pipelines.publish import File, publish
from pipelines.tools.s3 import Store
from pipelines.track import AudioTrack, TextTrack, ThumbnailTrack, Track, VideoTrack
from pipelines.wire import digest, from_data, to_data
from pipelines.workspace import Workspace

#: Raised by hand when our own method changes what comes out.
RECIPE = 1

#: HEAD requests at a time, and how many between two looks at whether the work still counts.
AT_ONCE = 8
BATCH = 64
#: Faults that an error names; of the others it says how many.
NAMED = 3

TRACKS: dict[str, type[Track]] = {
    "video": VideoTrack,
    "audio": AudioTrack,
    "text": TextTrack,
    "thumbnails": ThumbnailTrack,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeJob:
    """Tracks to be named by manifests."""

    kind: Literal["compose"] = "compose"
    #: Of the version.
    digest: str
    #: Digests of the tracks, in the order of the plan.
    tracks: tuple[str, ...]
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyJob:
    """A version to be checked, object by object and rule by rule, against what is in the store."""

    kind: Literal["verify"] = "verify"
    #: Of the verification.
    digest: str
    version: str
    tracks: tuple[str, ...]
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An object that an inventory lists."""

    key: str
    #: Bytes.
    size: int
    sha256: str


def make(job: ComposeJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Render the manifests and publish them; they name only tracks that are whole in the store."""
    tracks = load_tracks(workspace.inputs[track] for track in job.tracks)
    prefix = workspace.names.version(job.digest)
    published = publish(
        workspace,
        digest=job.digest,
        prefix=prefix,
        stages=[
            [File(name=layout.CHAPTERS, body=chapters(job.policy).encode())],
            [
                File(name=layout.MULTIVARIANT_PLAYLIST, body=multivariant(tracks, job.policy).encode()),
                File(name=layout.MPD, body=mpd(tracks, job.policy).encode()),
            ],
        ],
    )
    made = Artifact(
        digest=job.digest,
        kind="version",
        key=prefix,
        size=published.size,
        sha256=published.sha256,
        facts={"tracks": list(job.tracks), "policy": to_data(job.policy)},
    )
    return (made,)


def verify(job: VerifyJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Check every object and every rule. Raises `ReleaseError` naming the first that are not as they should be."""
    artifacts = [workspace.inputs[made] for made in (job.version, *job.tracks)]
    items = [item for made in artifacts for item in inventory(workspace.store, workspace.names, made)]
    prefix = workspace.names.version(job.version)
    _refuse(prefix, list(_faulty(items, workspace)), hint="Have what is missing or changed made again.")
    findings = _linted(prefix, _shelf(items, workspace.store))
    broken = [str(finding) for finding in findings if finding.severity == "error"]
    _refuse(prefix, broken, hint="No delivery should lead to this: report it with the version's manifests.")
    warnings = [str(finding) for finding in findings]
    report = {"version": job.version, "objects": [to_data(item) for item in items], "warnings": warnings}
    verified = Artifact(
        digest=job.digest,
        kind="verification",
        key=prefix,
        size=0,
        sha256=digest(report),
        facts={"objects": len(items), "bytes": sum(item.size for item in items), "warnings": warnings},
    )
    return (verified,)


def load_tracks(artifacts: Iterable[Artifact]) -> tuple[Track, ...]:
    """What manifests need to know of each of the track artifacts, in their order."""
    return tuple(_track(made) for made in artifacts)


def policy_of(version: Artifact) -> Policy:
    """The policy that a version was composed with."""
    return from_data(Policy, version.facts["policy"])


def inventory(store: Store, names: Names, made: Artifact) -> tuple[Item, ...]:
    """
    What must be in the store for a track or a version, in the order in which it was written.

    Raises `ReleaseError` when the inventory is missing, or is not the one that was committed.
    """
    key = names.knowing({made.digest: made.key}).inventory(made.digest)
    found = store.get(key)
    if found is None or hashlib.sha256(found[0]).hexdigest() != made.sha256:
        how = "is missing" if found is None else "is not the one that was committed"
        raise ReleaseError(f"The inventory of `{made.key}`, `{key}`, {how}.", hint="Have what it lists made again.")
    return tuple(from_data(Item, item) for item in json.loads(found[0])["objects"])


def _track(made: Artifact) -> Track:
    facts = {name: value for name, value in made.facts.items() if name != "tools"}
    return from_data(TRACKS[facts["kind"]], facts)


def _faulty(items: Sequence[Item], workspace: Workspace) -> Iterator[str]:
    """A sentence for every object that is not in the store as its inventory says."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="verify") as threads:
        for first in range(0, len(items), BATCH):
            # In batches: what is queued is still waited for when `watch` ends the work.
            workspace.watch(first / len(items))
            faults = threads.map(partial(_fault, workspace.store), items[first : first + BATCH])
            yield from (fault for fault in faults if fault)


def _fault(store: Store, item: Item) -> str:
    stored = store.head(item.key)
    if stored is None:
        return f"`{item.key}` is missing"
    wanted = {
        "size": (stored.size, item.size),
        "sha256": (stored.sha256, item.sha256),
        "content type": (stored.content_type, layout.content_type(item.key)),
        "cache control": (stored.cache_control, layout.IMMUTABLE),
    }
    wrong = [f"{what} is `{has}`, not `{should}`" for what, (has, should) in wanted.items() if has != should]
    return f"`{item.key}`: its {' and its '.join(wrong)}" if wrong else ""


def _shelf(items: Iterable[Item], store: Store) -> Shelf:
    """What lint reads: the sizes of all, and the text of what names others."""
    listed = {item.key: item for item in items}
    texts = {key: _text(item, store) for key, item in listed.items() if _names_others(key)}
    return Shelf(texts=texts, sizes={key: item.size for key, item in listed.items()})


def _names_others(key: str) -> bool:
    return key.endswith((".m3u8", ".mpd", "/" + layout.THUMBNAIL_INDEX))


def _text(item: Item, store: Store) -> str:
    found = store.get(item.key)
    if found is None or hashlib.sha256(found[0]).hexdigest() != item.sha256:
        raise ReleaseError(f"`{item.key}` changed while it was verified.", hint="Find out who else writes there.")
    return found[0].decode()


def _linted(prefix: str, shelf: Shelf) -> list[Finding]:
    return [
        *lint_hls(prefix + layout.MULTIVARIANT_PLAYLIST, shelf),
        *lint_dash(prefix + layout.MPD, shelf),
    ]


def _refuse(prefix: str, faults: Sequence[str], *, hint: str) -> None:
    if not faults:
        return
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    raise ReleaseError(f"Version `{prefix}` is not fit to be released: {'; '.join(faults[:NAMED])}{more}.", hint=hint)
