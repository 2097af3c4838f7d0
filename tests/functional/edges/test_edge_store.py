"""A real store behind a real edge of either kind."""

from pathlib import Path

import pytest

from pipelines import layout
from pipelines.tools.s3 import Upload
from scripts.edge.site import Origin, Site
from tests.conftest import StoreService
from tests.fakes import edges
from tests.fakes.edges import SERVERS
from tests.fakes.sites import Ask
from workers import services

BODY = bytes(range(256)) * 400
OURS = {
    "avant-copy",
    "cache-control",
    "cache-status",
    "content-length",
    "content-type",
    "date",
    "etag",
    "last-modified",
}
#: What a server itself says.
OWN = {
    "nginx": {"accept-ranges", "connection", "server", "x-cache-status", "x-content-type-options"},
    "varnish": {"accept-ranges", "age", "connection", "x-content-type-options", "x-varnish"},
}


@pytest.mark.parametrize("kind", SERVERS)
def test_the_bucket_is_open_to_the_edge_alone(kind: str, store_service: StoreService, tmp_path: Path, ask: Ask) -> None:
    """The store itself answers 403 to viewers; through the edge they read what is public, and only that."""
    edges.need(kind)
    store = store_service.bucket(services.BUCKET)
    store.allow_edges(store_service.secrets.edge_referer)
    name = {"nginx": "n", "varnish": "v"}[kind] * 26
    public, private = f"t/{name}/init.mp4", f"attempts/{name}/1/init.mp4"
    for key in (public, private):
        media = layout.content_type(key)
        store.put_once(Upload(key=key, body=BODY, content_type=media, cache_control=layout.IMMUTABLE))
    straight = f"http://{store.host}/{store.bucket}/"
    assert [ask("GET", straight + key).status for key in (public, private)] == [403, 403]
    assert ask("GET", straight + public, Referer="guessed").status == 403
    secret = store_service.secrets.edge_referer
    origin = Origin(endpoint=store_service.endpoint, bucket=store.bucket, secret=secret)
    with SERVERS[kind](tmp_path / "edge", Site(origins=(origin,), cache_size="64m")) as edge:
        answer = ask("GET", f"{edge.url}/{public}")
        assert ask("GET", f"{edge.url}/{private}").status == 404
        assert ask("GET", f"{edge.url}/{public.replace('init', 'none')}").status == 404
    store.close()
    assert (answer.status, answer.data) == (200, BODY)
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("video/mp4", layout.IMMUTABLE)
    said = {header.lower() for header in answer.headers if not header.startswith("Access-Control-")}
    assert said == OURS | OWN[kind]
    assert answer.headers.get("Server") == ("nginx" if kind == "nginx" else None)
