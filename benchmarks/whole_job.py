"""
The whole job, from delivery to published, against what people use instead.

(a) a hand-written script: the same encodes in one ffmpeg process, one packager run, one s5cmd upload;
(b) Shaka Streamer, same rungs and x264 preset, delivered bits within 5 %.

    python -m benchmarks.whole_job [--source CLIP] [--preset NAME] [--seconds 120] [--rounds 3] [--quick] [--json]

Services are up before any clock starts; rounds of the sides alternate. Our wall time begins with reading the delivery
and ends with the commit of the version; verification is timed apart; thumbnails are ours alone and are included.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import timeline
from benchmarks.bars import Bar, Figure, Results, parser, say, under
from benchmarks.measure import run
from benchmarks.peers import Ground, Taken, timed_script, timed_streamer
from pipelines.plan import Plan
from pipelines.tools import ffmpeg
from presets.catalogue import load
from workers import production, services
from workers.farm import open_farm
from workers.ledger import StepView
from workers.settings import Settings
from workers.submission import read_order

WALL, CPU, STREAMER = 0.95, 1.03, 1.00
#: In the home of each of our rounds.
TIMELINE = "timeline.json"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--source", type=Path, help="a clip to loop; without it one is made up")
    options.add_argument("--preset", default=None, help="default avc-hd, with --quick quick")
    options.add_argument("--seconds", type=int, default=120)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=("script", "streamer"), help="one peer alone")
    options.add_argument("--timeline", type=Path, help="draw our last round to this SVG")
    options.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.ours:
        run_ours(asked.ours)
        return
    name = asked.preset or ("quick" if asked.quick else "avc-hd")
    seconds = min(asked.seconds, 60) if asked.quick else asked.seconds
    results = Results(title="whole_job")
    results.extra.update({"preset": name, "seconds of programme": seconds, "rounds": asked.rounds})
    with tempfile.TemporaryDirectory(prefix="avant-bench-") as folder:
        source = looped(asked.source, Path(folder) / "source.mov", seconds)
        if asked.only != "streamer":
            against_script(Path(folder) / "script", source, name, asked.rounds, results)
        if asked.only != "script":
            against_streamer(Path(folder) / "streamer", source, name, asked.rounds, results)
        if asked.timeline:
            last = max(Path(folder).glob("*/ours-*"), key=lambda home: home.stat().st_mtime)
            asked.timeline.write_text(timeline.svg(timeline.read(last / TIMELINE)))
    results.report(as_json=asked.json)


def against_script(folder: Path, source: Path, name: str, rounds: int, results: Results) -> None:
    """(a)"""
    with standing(folder, source, name) as ground:
        ours, peer = in_turn(ground, rounds, timed_script)
    wall, cpu = compared("script: wall", ours, peer, "hand-written script")
    results.figures.extend((wall, cpu))
    results.bars.extend((under(wall, WALL), under(cpu, CPU)))
    results.extra["peak memory of a process, ours / script (MB)"] = f"{worst(ours):.0f} / {worst(peer):.0f}"
    results.extra["verification (s)"] = round(median(t.verification for t in ours), 2)
    results.extra["until the first step began (s)"] = round(median(t.startup for t in ours), 2)


def against_streamer(folder: Path, source: Path, name: str, rounds: int, results: Results) -> None:
    """(b): its x264 preset is `slow`; its bitrates are what our quality came to, so that both deliver the same bits."""
    with standing(folder, source, name, speed="slow") as ground:
        ours, peer = in_turn(ground, rounds, timed_streamer)
    wall, cpu = compared("streamer: wall", ours, peer, "Shaka Streamer")
    results.figures.extend((wall, cpu))
    results.bars.append(under(wall, STREAMER))
    bits = median(t.video for t in ours) / median(t.video for t in peer)
    results.bars.append(
        Bar(name="streamer: delivered bits apart", measured=abs(bits - 1), limit=0.05, holds=abs(bits - 1) <= 0.05)
    )
    results.extra["peak memory of a process, ours / streamer (MB)"] = f"{worst(ours):.0f} / {worst(peer):.0f}"


def compared(name: str, ours: Sequence[Taken], peer: Sequence[Taken], who: str) -> tuple[Figure, Figure]:
    return (
        Figure(name=name, unit="s", ours=tuple(t.wall for t in ours), peer=tuple(t.wall for t in peer), peer_name=who),
        Figure(
            name=name.replace("wall", "CPU"),
            unit="s",
            ours=tuple(t.cpu for t in ours),
            peer=tuple(t.cpu for t in peer),
            peer_name=who,
        ),
    )


def in_turn(ground: Ground, rounds: int, timed_peer: Callable[[Ground, int], Taken]) -> tuple[list[Taken], list[Taken]]:
    """Both sides of every round, one after the other: what makes one slow makes both slow."""
    ours, peer = [], []
    for number in range(rounds):
        ours.append(timed_ours(ground, number))
        peer.append(timed_peer(ground, number))
        sides = f"wall {ours[-1].wall:.1f} s against {peer[-1].wall:.1f} s, CPU {ours[-1].cpu:.1f} s"
        say(f"round {number + 1} of {rounds}: {sides} against {peer[-1].cpu:.1f} s")
    return ours, peer


def worst(taken: Sequence[Taken]) -> float:
    return max(t.peak for t in taken) / 1e6


# --- the ground


def looped(clip: Path | None, source: Path, seconds: int) -> Path:
    """A constant-rate mezzanine of that length: the clip again and again, or moving patterns under noise."""
    pattern = f"testsrc2=s=1920x1080:r=25:d={seconds},noise=alls=12:allf=t"
    picture = ["-stream_loop", "-1", "-i", str(clip)] if clip else ["-f", "lavfi", "-i", pattern]
    sound = ["-f", "lavfi", "-i", f"anoisesrc=r=48000:a=0.1:d={seconds}"]
    inputs = [*picture, *sound]
    video = ["-c:v", "libx264", "-preset", "superfast", "-crf", "14", "-pix_fmt", "yuv420p", "-fps_mode", "cfr"]
    run([ffmpeg.binary(), "-v", "error", *inputs, "-t", str(seconds), "-map", "0:v:0", "-map", "1:a:0", *video,
         "-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2", str(source)])  # fmt: skip
    return source


@contextmanager
def standing(folder: Path, source: Path, name: str, *, speed: str | None = None) -> Iterator[Ground]:
    """Services up, a delivery in two languages, and its plan."""
    folder.mkdir()
    run([ffmpeg.binary(), "-v", "error", "-i", str(source), "-map", "0:a:0", str(folder / "fr.wav")])
    preset = load(name)
    if speed:
        preset = preset.model_copy(update={"video": preset.video.model_copy(update={"speed": speed})})
    (folder / "presets").mkdir()
    (folder / "presets" / f"{name}.toml").write_text(toml(preset.model_dump()))
    document = folder / "episode.toml"
    document.write_text(DELIVERY.format(preset=name, source=source))
    with services.lock(folder / "services"):
        secrets = services.secrets(folder / "services")
        with services.services(folder / "services", secrets) as up:
            environment = {
                "AVANT_S3_ENDPOINT": up.store.address if up.store else "",
                "AVANT_S3_ACCESS_KEY": secrets.access_key,
                "AVANT_S3_SECRET_KEY": secrets.secret_key,
                "AVANT_BROKER_URL": up.broker.address if up.broker else "",
                "AVANT_PRESETS": str(folder / "presets"),
            }
            plan = planned(document, folder / "plan", environment)
            yield Ground(folder=folder, document=document, plan=plan, environment=environment)


DELIVERY = """
episode = "bench"
title = "Bench"
preset = "{preset}"
original_language = "en"
mezzanine = {{ file = "{source}" }}
audio = [
    {{ language = "en", role = "original" }},
    {{ language = "fr", file = "fr.wav" }},
]
"""


def planned(document: Path, home: Path, environment: dict[str, str]) -> Plan:
    settings = Settings(home=home, **{k.removeprefix("AVANT_").lower(): v for k, v in environment.items()})
    with open_farm(settings) as farm:
        return production.plan_of(read_order(document, settings), farm)


def toml(value: dict[str, object], path: str = "") -> str:
    """Enough TOML for a preset."""
    plain = {k: v for k, v in value.items() if not isinstance(v, dict | tuple | list)}
    text = "".join(f"{k} = {json.dumps(v)}\n" for k, v in plain.items())
    for key, inner in value.items():
        name = f"{path}.{key}".lstrip(".")
        if isinstance(inner, dict):
            text += f"\n[{name}]\n{toml(inner, name)}"
        elif isinstance(inner, tuple | list):
            text += "".join(f"\n[[{name}]]\n{toml(each, name)}" for each in inner)
    return text


# --- ours


def timed_ours(ground: Ground, number: int) -> Taken:
    """A whole process, imports and workers' start included, with a ledger and names of its own."""
    home = ground.folder / f"ours-{number}"
    began = time.time()
    _, cpu, peak, said = run(
        [sys.executable, "-m", "benchmarks.whole_job", "--ours", str(ground.document)],
        environment={**ground.environment, "AVANT_HOME": str(home), "AVANT_NAMING_KEY": os.urandom(16).hex()},
    )
    told = json.loads(said)
    (home / TIMELINE).write_text(json.dumps([{**s, **since(s, began)} for s in told["spans"]]))
    return Taken(
        wall=told["published_at"] - began,
        cpu=cpu,
        peak=max(peak, told["peak"]),
        video=told["video"],
        verification=told["verification"],
        startup=told["first_step_at"] - began,
    )


def since(span: dict[str, float], began: float) -> dict[str, float]:
    """Instants as seconds from the beginning; what has no beginning begins with everything."""
    return {"begin": max(0.0, span["begin"] - began), "end": span["end"] - began}


def run_ours(document: Path) -> None:
    """In a process of its own: what `avant run` does, and when the version was there."""
    marks = [("start", 0.0, time.time())]
    settings = Settings()
    order = read_order(document, settings)
    with open_farm(settings) as farm, production.crewed(farm, None) as crew:
        plan = production.plan_of(order, farm)
        marks.append(("examine", marks[-1][2], time.time()))
        production.submit(order, plan, farm)
        overview = production.work(plan, farm, crew, lambda *_: None)
        tracks = farm.ledger.artifacts(track.digest for track in plan.tracks if track.medium == "video")
    ends = {view.step.job.kind: view.finished_at for view in overview.steps if view.finished_at}
    begins = [view.started_at.timestamp() for view in overview.steps if view.started_at]
    told = {
        "published_at": ends["compose"].timestamp(),
        "verification": (ends["verify"] - ends["compose"]).total_seconds(),
        "first_step_at": min(begins),
        "spans": [{"row": "avant", "kind": kind, "label": kind, "begin": a, "end": b} for kind, a, b in marks]
        + [span_of(view) for view in overview.steps if view.started_at],
        "video": sum(track.size for track in tracks.values()),
        "peak": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    }
    sys.stdout.write(json.dumps(told))


def span_of(view: StepView) -> dict[str, object]:
    """A step that was done, for the picture."""
    begin, end = (at.timestamp() if at else 0.0 for at in (view.started_at, view.finished_at))
    slot = (view.worker or "").rpartition("/")[2]
    return {"row": slot, "kind": view.step.job.kind, "label": view.step.label, "begin": begin, "end": end}


if __name__ == "__main__":
    main()
