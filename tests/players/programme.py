"""An episode that the product made, released, and a real edge serves."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipelines import layout
from pipelines.cadence import Cadence, cadence
from presets import catalogue
from scripts import edge as edges
from scripts.avant.run import produce
from scripts.synthesise import synthesise
from workers.farm import open_farm
from workers.settings import Settings
from workers.submission import read_order

#: Two chunks, three segments, the last of each short; and small, but with every rung of the preset.
SECONDS = 13
SIZE = (960, 540)
RATE = 25

_CUE = re.compile(r"(\d\d):(\d\d):(\d\d)[.,](\d{3}) --> (\d\d):(\d\d):(\d\d)[.,](\d{3})\n(.*)")

Cue = tuple[float, float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What players are given, and what they should make of it."""

    #: Addresses of the entry points, by format.
    manifests: Mapping[str, str]
    #: Address of the player page of the demo, with this programme in it.
    page: str
    frames: int
    cadence: Cadence
    heights: tuple[int, ...]
    #: By language: start, end, words, as the delivery has them, in seconds of the programme.
    cues: Mapping[str, list[Cue]]

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.frames / self.cadence.frame_rate)

    def around_cuts(self) -> list[int]:
        """The frames on both sides of every cut between segments, and at both ends."""
        cuts = range(self.cadence.segment, self.frames, self.cadence.segment)
        return [0, 1, *(cut + step for cut in cuts for step in (-2, -1, 0, 1)), self.frames - 2, self.frames - 1]


@contextmanager
def released(folder: Path) -> Iterator[Programme]:
    """Made from delivery to release in `folder`; store and edge are up as long as the context lasts."""
    document = synthesise(folder / "delivery", SECONDS, SIZE, str(RATE))
    settings = Settings(home=folder / "home")
    preset = catalogue.load("quick")
    with (
        open_farm(settings) as farm,
        edges.running(
            folder / "edge", farm.settings.s3_endpoint or "", farm.settings.s3_bucket, farm.edge_secret, player=True
        ) as edge,
    ):
        outcome = produce(read_order(document, settings, (edge,)), farm, slots=None, wait=True, quiet=True)
        entry = f"{edge.url}/{layout.entry_points(outcome.plan.episode)}"
        yield Programme(
            page=f"{edge.url}/#{outcome.plan.episode}",
            manifests={"hls": entry + layout.MULTIVARIANT_PLAYLIST, "dash": entry + layout.MPD},
            frames=SECONDS * RATE,
            cadence=cadence(Fraction(RATE), preset.audio.sample_rate, preset.packaging),
            heights=tuple(rung.height for rung in preset.video.rungs),
            # The French file counts from the mezzanine's first frame, a second before the programme's.
            cues={"fr": _cues(folder / "delivery/fr.srt", lead=1), "de": _cues(folder / "delivery/de.vtt", lead=0)},
        )


def _cues(path: Path, *, lead: int) -> list[Cue]:
    return [
        (_seconds(found[:4]) - lead, _seconds(found[4:8]) - lead, found[8])
        for found in _CUE.findall(path.read_text(encoding="utf-8"))
    ]


def _seconds(parts: tuple[str, ...]) -> float:
    hours, minutes, seconds, milliseconds = map(int, parts)
    return ((hours * 60 + minutes) * 60 + seconds) + milliseconds / 1000
