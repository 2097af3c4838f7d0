"""Which function of `pipelines` does which kind of job. Imported by slots alone: nobody else needs the tools."""

from pipelines import audio, encode, subtitles, thumbnails, track, version, warm
from workers.bench import Dispatch

PIPELINES: Dispatch = {
    "encode": encode.make,
    "audio": audio.make,
    "package": track.make,
    "text": subtitles.make,
    "thumbnails": thumbnails.make,
    "compose": version.make,
    "verify": version.verify,
    "warm": warm.make,
}
