"""
`python -m scripts.edge edge.toml` writes the configuration of one edge of a farm, on the machine where it will run.

Secrets stand in files of their own, which the document names; what is written holds them, and only root can read it.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import Field

from pipelines.errors import AvantError, ConfigurationError
from presets import document
from presets.document import Document, DocumentError
from scripts.avant.console import print_error, say
from scripts.edge import nginx, varnish
from scripts.edge.site import Limits, Origin, Site, write


class Behind(Document):
    """Whom this edge asks."""

    endpoint: str
    """`http://host:port` of a store, or of a shield."""
    bucket: str | None = None
    """The store's bucket; without it, the endpoint is a shield."""
    secret_file: Path
    """Holds what the bucket's policy asks for as Referer, or the shield's door."""


class Shares(Document):
    """What one episode may have; about four fifths of what this machine can do."""

    asked: Annotated[int, Field(ge=1)] = Limits().asked
    """Requests a second."""
    waiting: Annotated[int, Field(ge=1)] = Limits().waiting
    """Requests in flight (nginx)."""
    fills: Annotated[int, Field(ge=1)] = Limits().fills
    """Objects on their way from the origin (nginx), or begun in a second (Varnish)."""


class Machine(Document):
    """`edge.toml`: one edge."""

    server: Literal["nginx", "varnish"]
    """Which server it is."""
    name: str
    """What it calls itself in Cache-Status."""
    listen: str = "127.0.0.1:8080"
    """Address and port that nginx listens on. Varnish is told on its command line."""
    folder: Path
    """Where the configuration goes, and nginx's cache and logs."""
    sockets: Path = Path("/run/avant-edge")
    """Where nginx's parts talk to each other; open to its user alone."""
    user: str | None = None
    """Who nginx's workers are, or Varnish is; by default Debian's `www-data` or `varnish`."""
    cache_size: str = "20g"
    """Room for media: on nginx's disk."""
    origins: tuple[Behind, ...]
    """Who is asked, and who when that fails."""
    door_file: Path | None = None
    """Makes it a shield: holds what PoPs must send."""
    token_key_file: Path | None = None
    """Makes media want tokens: holds the key they are made with."""
    limits: Shares = Shares()
    """What one episode may have."""


def render(edge: Annotated[Path, typer.Argument(metavar="edge.toml", help="What this edge is to be.")]) -> None:
    """Write the configuration of one edge."""
    machine = document.read(Machine, edge)
    if not re.fullmatch(r"[\w.:\[\]*-]+", machine.listen):
        raise ConfigurationError(f"`{machine.listen}` is not an address and a port.", hint="Say 127.0.0.1:8080.")
    site = described(machine)
    machine.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    if machine.server == "nginx":
        (machine.folder / "cache").mkdir(mode=0o711, exist_ok=True)
        path = nginx.written(site, machine.folder, machine.sockets, machine.listen, user=machine.user or "www-data")
    else:
        path = write(machine.folder / "varnish.vcl", varnish.configuration(site))
        # Varnish reads it when it has already given up being root.
        _give(path, machine.user or "varnish")
    say(f"written: {path}")


def described(machine: Machine) -> Site:
    """The document with what its files hold. Raises `ConfigurationError` for a file that can't be read."""
    return Site(
        name=machine.name,
        origins=tuple(
            Origin(endpoint=one.endpoint, bucket=one.bucket, secret=_held(one.secret_file)) for one in machine.origins
        ),
        door=_held(machine.door_file) if machine.door_file else None,
        token_key=_held(machine.token_key_file) if machine.token_key_file else None,
        limits=Limits(**machine.limits.model_dump()),
        cache_size=machine.cache_size,
    )


def _give(path: Path, user: str) -> None:
    try:
        shutil.chown(path, user)
    except (LookupError, PermissionError) as error:
        path.unlink()
        raise ConfigurationError(f"{path} can't be given to `{user}`.", hint="Be root, on the edge itself.") from error


def _held(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The secret in {path} can't be read.", hint="Put it there, as letters.") from error


def main() -> int:
    """Run it; an error becomes a sentence, a hint and an exit code."""
    try:
        typer.run(render)
    except AvantError as error:
        print_error(error.message, error.hint)
        return error.exit_code
    except DocumentError as error:
        print_error(error.sentence, error.hint)
        return ConfigurationError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
