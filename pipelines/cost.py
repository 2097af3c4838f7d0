"""
How long a step will take and how much memory it holds, from static tables: never from measured speed.

The plan is the same on every machine; measured speed corrects the forecast (`workers/eta.py`), not the plan. Seconds
are of one core of a 2020s server, measured on natural 1080p film: 26 Mb/s H.264 decoded, scaled by lanczos, x264 with
one thread at the qualities of our presets.
"""

from pipelines.audio import AudioJob
from pipelines.encode import EncodeJob
from pipelines.thumbnails import ThumbnailJob
from pipelines.track import PackageJob
from pipelines.warm import WarmJob

#: Core seconds to encode a million pixels, by x264's preset.
ENCODE = {
    "ultrafast": 0.004,
    "superfast": 0.007,
    "veryfast": 0.012,
    "faster": 0.020,
    "fast": 0.027,
    "medium": 0.036,
    "slow": 0.050,
    "slower": 0.120,
}
#: Core seconds to decode a million pixels of the source, and to scale them for one rung.
DECODE = 0.004
SCALE = 0.0016
#: Core seconds for a second of sound: a measurement, an encode, a measurement of that.
AUDIO = 0.03
#: Seconds that an edge's proof takes however little there is to ask for: it waits for ages to grow (6.6 s of the demo).
TRIALS = 6.0
#: Core seconds to start a tool and to commit its output.
START = 0.15
MEBIBYTE = 1 << 20


def seconds(job: object) -> float:
    """Estimated seconds of one core."""
    match job:
        case EncodeJob():
            encoded = ENCODE[job.speed] * sum(rung.width * rung.height for rung in job.rungs)
            return START + job.frames * ((DECODE + SCALE * len(job.rungs)) * job.pixels + encoded) / 1e6
        case AudioJob():
            return START + AUDIO * job.samples / job.sample_rate
        case PackageJob(medium="video"):
            return START + 0.01 * sum(job.lengths) / float(job.cadence.frame_rate)
        case ThumbnailJob():
            return START + 0.002 * sum(job.lengths) / float(job.cadence.frame_rate)
        case WarmJob():
            return START + TRIALS + 0.02 * len(job.tracks)
        case _:
            return START


def memory(job: object) -> int:
    """Bytes that the step may hold at once: ffmpeg's frames in flight, and our own process."""
    base = 150 * MEBIBYTE
    match job:
        case EncodeJob():
            # x264 keeps about 70 frames (lookahead, references, threads) of each rung; the decoder and filters 20.
            frames = 70 * sum(rung.width * rung.height for rung in job.rungs)
            return base + (frames + 20 * job.pixels) * 3 // 2
        case _:
            return base


def sprites(job: ThumbnailJob) -> int:
    """Estimated bytes of a thumbnail track: a tenth of a byte and a half per pixel."""
    tiles = sum(job.lengths) // (job.cadence.gop * job.thumbnails.interval_gops) + 1
    return int(tiles * job.thumbnails.height * job.width * job.thumbnails.height / job.height * 0.15)
