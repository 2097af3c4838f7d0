"""The command line as operators use it, on a delivery as small as one can be that has everything."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from pipelines.tools import process
from pipelines.tools.s3 import Store
from pipelines.workspace import Workspace
from scripts.synthesise import synthesise
from tests.conftest import StoreService
from workers import services
from workers.dispatch import PIPELINES
from workers.ledger import open_ledger
from workers.settings import Settings
from workers.store import names, open_store

#: 9 s in segments of 3.84 s, one to a chunk: two chunks, the second with a short segment at its end.
SECONDS = 9
PRESET = """
name = "tiny"
title = "Two rungs of next to nothing, a segment to a chunk"

[video]
speed = "ultrafast"

[[video.rungs]]
height = 90
bitrate = 90_000
maxrate = 150_000
bufsize = 225_000
crf = 30.0
profile = "main"

[[video.rungs]]
height = 180
bitrate = 180_000
maxrate = 400_000
bufsize = 600_000
crf = 28.0
profile = "main"

[audio]

[[audio.variants]]
codec = "aac"
bitrate = 64_000

[packaging]
segment_gops = 2
chunk_segments = 1

[thumbnails]
height = 90
"""  #: What it calls its episode.
EPISODE = "avant-s01e01"
#: Every home that has this key gives the same names.
KEY = "a key that all tests share"

TRACKS = (
    "90p",
    "180p",
    "en original stereo",
    "fr dub stereo",
    "de dub stereo",
    "fr subtitles",
    "de subtitles",
    "thumbnails",
)
STEPS = (
    "encode 0:00–0:03 90p 180p",
    "encode 0:03–0:09 90p 180p",
    "package 90p",
    "package 180p",
    *(f"{what} {sound}" for sound in TRACKS[2:5] for what in ("audio", "package")),
    "text fr subtitles",
    "text de subtitles",
    "thumbnails",
    "compose manifests",
    "verify every object",
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """What a command that succeeded said with `--json`."""
        assert self.status == 0, self.err
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class Avant:
    """`avant` with settings of its own."""

    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings.environment()}

    def argv(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "scripts.avant", *map(str, words)]

    def __call__(self, *words: str | Path, patience: float = 120) -> Ran:
        """Run a command to its end."""
        ended = subprocess.run(
            self.argv(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
            start_new_session=True,
        )
        return Ran(status=ended.returncode, out=ended.stdout, err=ended.stderr)

    def start(self, *words: str | Path, log: Path) -> process.Child:
        """Start a command, all of whose words go to `log`."""
        return process.start(self.argv(*words), env=self.environment, log=log)


def deliver(folder: Path, *, episode: str = EPISODE, seconds: int = SECONDS) -> Path:
    """Write the delivery, and beside it the folder with its preset; the path of its episode.toml."""
    document = synthesise(folder / "delivery", seconds, (320, 180))
    told = document.read_text().replace('preset = "quick"', 'preset = "tiny"').replace(EPISODE, episode)
    document.write_text(told)
    presets(document).mkdir()
    (presets(document) / "tiny.toml").write_text(PRESET)
    return document


def presets(document: Path) -> Path:
    """Where the preset of a delivery is."""
    return document.parents[1] / "presets"


def settings(home: Path, document: Path, service: StoreService | None = None, bucket: str = "") -> Settings:
    """Settings of a home of its own, for that delivery. Without a store of the tests, the home runs one itself."""
    own = Settings(home=home, presets=presets(document), naming_key=SecretStr(KEY), slots=2, log_format="json")
    return own.model_copy(update=outside(service, bucket)) if service else own


def outside(service: StoreService, bucket: str) -> dict[str, Any]:
    """What settings say of a bucket in the tests' store."""
    return {
        "s3_endpoint": service.endpoint,
        "s3_bucket": bucket,
        "s3_region": services.REGION,
        "s3_access_key": service.secrets.access_key,
        "s3_secret_key": SecretStr(service.secrets.secret_key),
    }


def keys(store: Store, prefixes: Iterable[str] = ("",)) -> set[str]:
    """All the keys below any of the prefixes."""
    return {key for prefix in prefixes for key in store.keys(prefix)}


def released(settings: Settings) -> str:
    """The name of the version that viewers get."""
    ledger = open_ledger(settings.ledger_address)
    ref = ledger.ref(EPISODE)
    ledger.close()
    assert (ref.state, ref.generation) == ("released", 1)
    return names(settings).version(ref.version or "")


def verify(settings: Settings, episode: str = EPISODE) -> None:
    """Raise unless every object of the episode's version and of its tracks is as its inventory says."""
    ledger = open_ledger(settings.ledger_address)
    overview = ledger.overview(episode)
    assert overview
    step = next(step for step in overview.plan.steps if step.job.kind == "verify")
    with ExitStack() as stack:
        workspace = Workspace(
            scratch=settings.home,
            store=stack.enter_context(_store(settings)),
            names=names(settings),
            attempt="",
            inputs=ledger.artifacts(step.needs),
            watch=lambda _share: None,
        )
        assert PIPELINES["verify"](step.job, workspace) == tuple(ledger.artifacts(step.makes).values())
    ledger.close()


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    """The store of those settings; started for as long as the context lasts, if nobody else runs it."""
    with ExitStack() as stack:
        if settings.s3_endpoint is None:
            stack.enter_context(services.lock(settings.home))
            own = services.secrets(settings.home)
            running = stack.enter_context(services.services(settings.home, own, broker=False)).store
            assert running
            service = StoreService(endpoint=running.address, secrets=own)
            settings = settings.model_copy(update=outside(service, services.BUCKET))
        store = open_store(settings)
        stack.callback(store.close)
        yield store
