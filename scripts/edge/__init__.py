"""
Caches between viewers and the store, for as long as someone needs them: the demo, and the tests.

Their configurations are the ones that the repository ships for farms, in deploy/edge; here they are filled in and run.
`python -m scripts.edge` fills them in for machines of a farm.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.warm import Edge
from scripts.edge import nginx
from scripts.edge.server import PATH
from scripts.edge.site import Origin, Site

__all__ = ["PATH", "running"]


@contextmanager
def running(
    folder: Path, origin_endpoint: str, bucket: str, secret: str, *, port: int = 0, player: bool = False
) -> Iterator[Edge]:
    """
    One nginx on loopback before `bucket` of the store at `origin_endpoint`; its cache and logs stay in `folder`.

    `secret` is the Referer that the bucket's policy asks for; `port` 0 is the one it had in `folder` last time, if that
    is free; with `player`, a page that plays `/#EPISODE` stands at `/`. Raises `ConfigurationError` when nginx is
    missing or can't work with these, `ToolError` when it refuses its configuration.
    """
    store = Origin(endpoint=origin_endpoint, bucket=bucket, secret=secret)
    with nginx.running(folder, Site(name="local", origins=(store,), player=player), port=port) as local:
        yield local
