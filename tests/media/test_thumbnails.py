from fractions import Fraction
from pathlib import Path

import numpy as np

from pipelines import thumbnails
from pipelines.cadence import cadence, chunks
from pipelines.layout import THUMBNAIL_INDEX
from pipelines.thumbnails import ThumbnailJob
from pipelines.track import ThumbnailTrack
from pipelines.wire import from_data
from presets.packaging import Thumbnails
from tests.media import synth
from tests.media.bench import SHORT, Bench, Film, digest

RATE = Fraction(25)
CUT = cadence(RATE, 48_000, SHORT)
#: Eleven groups of pictures and a bit.
FRAMES = 11 * CUT.gop + 5


def test_every_tile_shows_its_moment(bench: Bench, tmp_path: Path) -> None:
    """The index leads to the frame that the programme shows at that time; the last sprite is filled up with black."""
    frames = synth.film(tmp_path / "m.mov", synth.numbered(FRAMES), RATE, "-c:v", "libx264", "-preset", "ultrafast")
    programme = Film(
        source=synth.source(frames), demuxer="mov", cadence=CUT, first_frame=0, frames=FRAMES, heights=(180,)
    )
    bench.encode(programme)
    cut = chunks(FRAMES, CUT)
    job = ThumbnailJob(
        digest=digest("thumbnails"),
        inputs=tuple(programme.chunk_digest(180, first) for first, _ in cut),
        lengths=tuple(length for _, length in cut),
        cadence=CUT,
        width=320,
        height=180,
        thumbnails=Thumbnails(height=90, interval_gops=2, columns=2, rows=2),
    )
    made = from_data(ThumbnailTrack, dict(bench.keep(thumbnails.make(job, bench.workspace())).facts))
    assert (made.tile_width, made.tile_height, made.sprites, made.interval) == (160, 90, 2, 2 * CUT.gop / RATE)
    found = []
    cues = bench.fetch(made.prefix + THUMBNAIL_INDEX).decode().strip().split("\n\n")[1:]
    for cue in cues:
        name, _, place = cue.splitlines()[1].partition("#xywh=")
        x, y, width, height = (int(number) for number in place.split(","))
        path = tmp_path / name
        path.write_bytes(bench.fetch(made.prefix + name))
        sprite = synth.decoded(path, 320, 180)
        found += synth.numbers(np.ascontiguousarray(sprite[:, y : y + height, x : x + width]))
    assert found == list(range(0, FRAMES, 2 * CUT.gop))
    assert cues[0].startswith("00:00:00.000 --> 00:00:00.960\n")
    assert cues[-1].startswith("00:00:04.800 --> 00:00:05.480\n")
    assert made.largest == max((tmp_path / f"0000{n}.jpg").stat().st_size for n in (1, 2))
