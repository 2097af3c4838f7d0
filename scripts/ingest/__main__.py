"""
Watches a folder or a bucket, and submits each delivery once it is complete.

    python -m scripts.ingest /srv/deliveries
    python -m scripts.ingest s3://deliveries/incoming --once

Ends with 0; with --once 75 when something is left that waits.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import ConfigurationError, Interrupted
from scripts.avant.answer import answered
from scripts.ingest.bucket import Bucket
from scripts.ingest.folder import Folder
from scripts.ingest.watcher import Place, Watcher
from workers import observability
from workers.settings import Settings
from workers.store import open_store
from workers.submission import open_desk

#: Seconds between looks: a folder is looked at for nothing, a bucket by requests that are charged.
FOLDER_EVERY, BUCKET_EVERY = 10.0, 60.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def ingest(
    place: Annotated[str, typer.Argument(metavar="FOLDER|S3://BUCKET/PREFIX", help="Holds a folder per delivery.")],
    once: Annotated[bool, typer.Option("--once", help="Take two looks, submit what is complete, and end.")] = False,
    every: Annotated[
        float | None,
        typer.Option(min=0.1, max=3600, help="Seconds between looks; default: 10, of a bucket 60.", show_default=False),
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, max=10_080, help="Minutes that a file may come after its episode.toml.")
    ] = 60.0,
) -> None:
    """Submit every delivery as soon as it is complete. It may be killed and started again at any time."""
    settings = Settings()
    observability.configure(settings)
    pause = every or (BUCKET_EVERY if place.startswith("s3://") else FOLDER_EVERY)
    with _place(place, settings) as watched, open_desk(settings) as desk:
        watcher = Watcher(watched, desk, every=pause, patience=patience * 60)
        watcher.tend()
        while not once:
            time.sleep(pause)
            watcher.tend()
        if watcher.waiting:
            time.sleep(pause)
            watcher.tend()
    if watcher.waiting:
        raise typer.Exit(Interrupted.exit_code)


@contextmanager
def _place(address: str, settings: Settings) -> Iterator[Place]:
    """What is watched. Raises `ConfigurationError` or `HostError` when it can't be."""
    if not address.startswith("s3://"):
        yield Folder(Path(address))
        return
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not bucket or settings.s3_endpoint is None:
        raise ConfigurationError(
            f"{address} can't be watched: nothing says where that bucket is.",
            hint="Set AVANT_S3_ENDPOINT, and name s3://bucket/prefix.",
        )
    store = open_store(settings.model_copy(update={"s3_bucket": bucket}))
    try:
        yield Bucket(store, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")
    finally:
        store.close()


def main() -> None:
    """Run the command; an error becomes a sentence, a hint and an exit code."""
    sys.exit(answered(app))


if __name__ == "__main__":
    main()
