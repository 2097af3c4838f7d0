"""`avant metrics`: figures of the farm and of this host, for Prometheus."""

import sys
from typing import Annotated

import typer

from pipelines.errors import ConfigurationError
from scripts.avant.console import say
from workers import observability
from workers.metrics import Exporter, exposition, serve
from workers.settings import Settings

#: Loopback: figures tell nobody's secrets, but how a farm is doing is nobody else's business either.
DEFAULT = "127.0.0.1:9464"


def metrics(
    listen: Annotated[str, typer.Option(metavar="ADDRESS:PORT", help="Where scrapes are answered.")] = DEFAULT,
    once: Annotated[bool, typer.Option("--once", help="Print them and end, for a textfile collector.")] = False,
    host_only: Annotated[
        bool, typer.Option("--host-only", help="Only what this host did: another asks the ledger for the rest.")
    ] = False,
) -> None:
    """Tell Prometheus how the farm is doing. Starts nothing and changes nothing."""
    settings = Settings()
    observability.configure(settings)
    address, port = _parsed(listen)
    exporter = Exporter(settings, farm=not host_only)
    try:
        if once:
            sys.stdout.write(exposition(exporter))
            return
        thread = serve(exporter, address, port)
        say(f"http://{listen}/metrics")
        thread.join()
    except KeyboardInterrupt:  # how a person ends it
        return
    finally:
        exporter.close()


def _parsed(listen: str) -> tuple[str, int]:
    address, _, port = listen.rpartition(":")
    if not address or not port.isdigit() or int(port) >= 1 << 16:
        raise ConfigurationError(f"`{listen}` is no address and port.", hint=f"It looks like {DEFAULT}.")
    return address.strip("[]"), int(port)
