"""An edge that is nginx: its configuration, and a running one."""

import grp
import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.errors import ConfigurationError
from pipelines.tools import process
from pipelines.warm import Edge
from scripts.edge import server
from scripts.edge.site import DEPLOY, HIDDEN, ROOT, Site, facts, fill, plain, write

TEMPLATE = DEPLOY / "nginx.conf.template"
PLAYER = ROOT / "scripts" / "player"
#: Where Debian's and nginx.org's packages put modules.
MODULES = Path("/usr/lib/nginx/modules")


@contextmanager
def running(folder: Path, site: Site, *, port: int = 0) -> Iterator[Edge]:
    """
    An nginx on loopback; its cache and logs stay in `folder`, and so does its address unless `port` is another.

    Raises `ConfigurationError` when nginx or its module is missing or can't work with these, `ToolError` when it
    refuses its configuration.
    """
    nginx = server.find("nginx", "nginx-light")
    if site.token_key and not (MODULES / "ngx_http_js_module.so").exists():
        raise ConfigurationError(
            "nginx has no module to check tokens with.", hint="apt-get install libnginx-mod-http-js"
        )
    (folder / "cache").mkdir(mode=0o700, parents=True, exist_ok=True)
    # The path of a socket may have no more than 107 letters.
    with TemporaryDirectory(prefix="avant-edge-") as sockets:
        listen = f"127.0.0.1:{port}" if port else server.address(folder)
        config = written(site, folder.resolve(), Path(sockets), listen)
        command = [nginx, "-p", str(folder), "-c", str(config)]
        process.run([*command, "-t", "-q"])
        with server.serving(command, listen, folder):
            yield Edge(name=site.name, kind="nginx", url=f"http://{listen}")


def written(site: Site, folder: Path, sockets: Path, listen: str, *, user: str | None = None) -> Path:
    """nginx.conf in `folder`, and beside it what it reads."""
    text = configuration(site, folder, sockets, listen, user=user)
    if site.token_key:
        shutil.copyfile(DEPLOY / "token.js", folder / "token.js")
    return write(folder / "nginx.conf", text)


def configuration(site: Site, folder: Path, sockets: Path, listen: str, *, user: str | None = None) -> str:
    """
    The text of nginx.conf, for an nginx whose workers are `user`, by default who calls this.

    `folder` holds cache and logs; `sockets` is open to that user alone, for who reaches them needs no token. Raises
    `ConfigurationError` for a value that would mean something else there.
    """
    plain(folder, sockets, PLAYER)
    try:
        owner = pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())
    except KeyError as error:
        raise ConfigurationError(f"This machine has no user `{user}`.", hint="Name nginx's own.") from error
    said = {
        **facts(site),
        "user": owner.pw_name,
        "group": grp.getgrgid(owner.pw_gid).gr_name,
        "listen": listen,
        "modules": str(MODULES),
        "code": str(folder),
        "player": str(PLAYER),
        "cache_dir": str(folder / "cache"),
        "run_dir": str(folder),
        "socket_dir": str(sockets),
        "hidden": "\n    ".join(f"proxy_hide_header {name};" for name in HIDDEN),
    }
    return fill(TEMPLATE, site.holds, said)
