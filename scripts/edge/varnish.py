"""
An edge that is Varnish: its configuration, and a running one.

Its cache is in memory and ends with it: what was warm must be warmed, and proved, again after a restart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.errors import ConfigurationError
from pipelines.tools import process
from pipelines.warm import Edge
from scripts.edge import server
from scripts.edge.site import DEPLOY, HIDDEN, Site, facts, fill, write

TEMPLATE = DEPLOY / "varnish.vcl.template"

#: Headers of a request that end here: what players and browsers send, and what stores listen to.
UNSENT = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Authorization",
    "Avant-Did",
    "Avant-Mac",
    "Avant-Said",
    "Cache-Control",
    "Content-Type",
    "Cookie",
    "DNT",
    "Expect",
    "Forwarded",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Origin",
    "Pragma",
    "Priority",
    "Range",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "User-Agent",
    "Via",
    "X-Amz-Checksum-Mode",
    "X-Amz-Content-Sha256",
    "X-Amz-Date",
    "X-Amz-Expected-Bucket-Owner",
    "X-Amz-Request-Payer",
    "X-Amz-Security-Token",
    "X-Amz-Server-Side-Encryption-Customer-Algorithm",
    "X-Amz-Server-Side-Encryption-Customer-Key",
    "X-Amz-Server-Side-Encryption-Customer-Key-Md5",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-HTTP-Method-Override",
    "X-Playback-Session-Id",
    "X-Requested-With",
    "X-Varnish",
)


@contextmanager
def running(folder: Path, site: Site, *, port: int = 0) -> Iterator[Edge]:
    """
    A Varnish on loopback; its logs stay in `folder`, and so does its address unless `port` is another.

    Raises `ConfigurationError` when Varnish is missing or can't work with these, `ToolError` when it refuses its
    configuration.
    """
    varnishd = server.find("varnishd", "varnish varnish-modules varnish-vmod-digest")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What it works in holds the compiled configuration, and is open to nobody else.
    with TemporaryDirectory(prefix="avant-edge-") as work:
        listen = f"127.0.0.1:{port}" if port else server.address(folder)
        config = write(folder / "varnish.vcl", configuration(site))
        # As ourselves, which must be said first: the users of Debian's package can't read our folders.
        command = [varnishd, "-j", "none", "-n", work, "-f", str(config)]
        process.run([*command, "-C"])
        command += _options(site, listen)
        with server.serving(command, listen, folder):
            yield Edge(name=site.name, kind="rfc9211", url=f"http://{listen}")


def _options(site: Site, listen: str) -> list[str]:
    return [
        "-F",  # in the foreground: our child, and not its own master's
        *("-a", listen),
        *("-T", "none"),  # nobody configures it while it runs
        *("-s", f"malloc,{site.cache_size}"),
        *("-p", "thread_pool_min=20"),  # of 100 that would all be started first
        *("-p", "vsl_space=8m"),  # nobody reads its log
    ]


def configuration(site: Site) -> str:
    """The text of the VCL. Raises `ConfigurationError` for a value that would mean something else there."""
    if site.player:
        raise ConfigurationError("Varnish serves no player's page.", hint="Take nginx for that.")
    said = {
        **facts(site),
        **_addresses(site),
        "unsent": "\n    ".join(f"unset bereq.http.{name};" for name in _unsent(site)),
        "hidden": "\n    ".join(f"unset beresp.http.{name};" for name in (*HIDDEN, "Server", "Via")),
    }
    return fill(TEMPLATE, site.holds, said)


def _unsent(site: Site) -> tuple[str, ...]:
    """A shield is told whose request it is; a store is not."""
    return UNSENT if "shielded" in site.holds else (*UNSENT, "Avant-Episode")


def _addresses(site: Site) -> dict[str, str]:
    said = {"second_host": "", "second_port": ""}
    for nth, origin in zip(("first", "second"), site.origins, strict=False):
        host, _, port = origin.host.partition(":")
        said |= {f"{nth}_host": host, f"{nth}_port": port or "80"}
    return said
