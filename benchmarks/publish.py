"""
Publishing a track of 5,000 segment-sized objects with its sha256 inventory, against `s5cmd` to the same store.

    python -m benchmarks.publish [--objects 5000] [--size 131072] [--rounds 5] [--quick] [--json]

Both sides read the same files and write to the same bucket, in turn. s5cmd neither checks what arrives by sha256, nor
refuses to overwrite, nor keeps an inventory; we do.
"""

import os
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.bars import Figure, Results, parser, say, under
from benchmarks.measure import run
from benchmarks.peers import BIN
from pipelines.layout import Names, segment
from pipelines.publish import File, publish
from pipelines.tools.s3 import Store
from pipelines.workspace import Workspace
from workers import services
from workers.services import Secrets

LIMIT = 1.1


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--objects", type=int, default=5000)
    options.add_argument("--size", type=int, default=128 << 10, help="bytes: six seconds of 170 kb/s")
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    rounds = 3 if asked.quick else asked.rounds
    results = Results(title="publish")
    with tempfile.TemporaryDirectory(prefix="avant-bench-") as name:
        folder = Path(name)
        files = written(folder / "segments", asked.objects, asked.size)
        with services.lock(folder / "services"):
            secrets = services.secrets(folder / "services")
            with services.services(folder / "services", secrets, broker=False) as up:
                endpoint = up.store.address if up.store else ""
                ours, peer = [], []
                for number in range(rounds):
                    ours.append(timed_ours(endpoint, secrets, files))
                    peer.append(timed_peer(endpoint, secrets, folder / "segments"))
                    say(f"round {number + 1} of {rounds}: {ours[-1][0]:.2f} s against {peer[-1][0]:.2f} s")
    for n, what in enumerate(("wall", "CPU")):
        mine, theirs = tuple(t[n] for t in ours), tuple(t[n] for t in peer)
        results.figures.append(Figure(name=f"publish: {what}", unit="s", ours=mine, peer=theirs, peer_name="s5cmd"))
    results.bars.append(under(results.figures[0], LIMIT))
    results.extra.update({"objects": asked.objects, "bytes each": asked.size, "rounds": rounds})
    results.report(as_json=asked.json)


def written(folder: Path, objects: int, size: int) -> list[Path]:
    """The files of a track; random, so that nothing on the way is made smaller."""
    folder.mkdir()
    files = [folder / segment(number, ".m4s") for number in range(1, objects + 1)]
    for file in files:
        file.write_bytes(os.urandom(size))
    return files


def timed_ours(endpoint: str, secrets: Secrets, files: list[Path]) -> tuple[float, float]:
    """Wall and core seconds of one process that publishes everything under a name of its own."""
    store = Store(
        endpoint=endpoint,
        region=services.REGION,
        bucket=services.BUCKET,
        access_key=secrets.access_key,
        secret_key=secrets.secret_key,
    )
    names = Names(key=os.urandom(16))
    digest = os.urandom(32).hex()
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(
            scratch=Path(scratch), store=store, names=names, attempt="", inputs={}, watch=lambda _share: None
        )
        stages = [[File(name=file.name, body=file) for file in files]]
        publish(workspace, digest=digest, prefix=names.track(digest), stages=stages)
    wall, now = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    store.close()
    return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def timed_peer(endpoint: str, secrets: Secrets, folder: Path) -> tuple[float, float]:
    target = f"s3://{services.BUCKET}/peer/{os.urandom(8).hex()}/"
    wall, cpu, _, _ = run(
        [str(BIN / "s5cmd"), "cp", f"{folder}/", target],
        environment={
            "S3_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": secrets.access_key,
            "AWS_SECRET_ACCESS_KEY": secrets.secret_key,
            "AWS_REGION": services.REGION,
        },
    )
    return wall, cpu


if __name__ == "__main__":
    main()
