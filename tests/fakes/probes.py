"""
Requests of somebody who wants to see an episode early, spelled as no client library would; and what came of them.

Each goes out over a connection of its own, so that what one makes of it can't be taken for the next one's answer.
"""

import asyncio
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

#: At a time.
CONNECTIONS = 16
PATIENCE = 30.0

METHODS = (*["GET"] * 8, *["HEAD"] * 3, "OPTIONS", "POST", "PURGE", "TRACE", "get")
QUERIES = (
    "",
    "",
    "?versionId=null",
    "?list-type=2",
    "?acl",
    "?policy",
    "?uploads",
    "?partNumber=1",
    "?response-cache-control=public,max-age=9999",
    "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20300101%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20300101T000000Z&X-Amz-Expires=9999&X-Amz-SignedHeaders=host&X-Amz-Signature=" + 64 * "0",
    "?AWSAccessKeyId=a&Expires=9999999999&Signature=a",
)
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Range": "bytes=0-99"},
    {"Range": "bytes=-1"},
    {"Range": "bytes=0-0,5-9"},
    {"If-None-Match": "*"},
    {"If-Modified-Since": "Fri, 31 Dec 2100 23:59:59 GMT"},
    {"Accept-Encoding": "gzip"},
    {"Referer": ""},
    {"Referer": "https://www.example.org/"},
    {"Referer": "*"},
    {
        "Authorization": "AWS4-HMAC-SHA256 Credential=avant/20300101/us-east-1/s3/aws4_request, "
        "SignedHeaders=host, Signature=0"
    },
    {"Authorization": "AWS avant:a"},
    {"Authorization": "Bearer a"},
    {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
    {"X-Original-URL": "/t/", "X-Rewrite-URL": "/t/", "X-Accel-Redirect": "/t/"},
    {"X-HTTP-Method-Override": "GET"},
    {"Avant-Episode": "other", "Avant-Said": "other~9999999999", "Avant-Mac": 32 * "0"},
    {"Cache-Control": "only-if-cached", "Pragma": "akamai-x-get-cache-key"},
    {"Connection": "close, Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    @property
    def wire(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: nothing at all has status 0, and what is no HTTP has 1."""

    status: int
    headers: dict[str, str]
    body: bytes
    #: All of it, as it came.
    wire: bytes

    @property
    def seconds(self) -> float:
        """How long a shared cache may keep it: explicitly, or (RFC 9111, 4.2.2) on a guess from Last-Modified."""
        said = self.headers.get("cache-control", "")
        if re.search("no-store|private", said):
            return 0.0
        lives = [int(life) for life in re.findall(r"(?:s-maxage|max-age|stale-[a-z-]+)=(\d+)", said)]
        return float(max(lives)) if lives else float("inf") if "last-modified" in self.headers else 0.0


def spellings(path: str, episode: str, bucket: str) -> tuple[str, ...]:
    """`path` as servers might or might not take it for `path`."""
    into = f"/e/{episode}"
    return (
        path,
        "/" + path,
        path.replace("/", "//"),
        path.replace("/", "/./"),
        path.replace("/", "\\"),
        path.replace("/", "%5c"),
        path[1:],
        path.upper(),
        "/" + path[1:].replace("/", "%2f"),
        "/" + path[1:].replace("/", "%252f"),
        "/" + path[1:].replace("/", "%c0%af"),
        f"/%{ord(path[1]):02x}{path[2:]}",
        f"/%25{ord(path[1]):02x}{path[2:]}",
        "".join(letter if letter == "/" else f"%{ord(letter):02X}" for letter in path),
        *(
            path + end
            for end in ("/", ".", ";", "%00", "%0a", "%0d%0aReferer:%20a", "%20", "#", "%3f", "?", "/.", "/x/..")
        ),
        *(start + path for start in ("/x/..", "/..", "/./..", "/%2e%2e", "/.%2e/..;", f"/{bucket}", f"/x/../{bucket}")),
        *(start + path for start in (f"{into}/../..", f"{into}/%2e%2e/%2E%2E", f"{into}/main.m3u8/../../..")),
        *(start + path for start in (f"{into}/main.m3u8?", f"{into}/main.m3u8%3f", "/?", f"{into}/FR/../../..")),
        *(start + path for start in ("http://edge", "http://edge:1@127.0.0.1", f"http://127.0.0.1/{bucket}", "http:/")),
        f"{into}/main.m3u8%0a",
        f"{into}/main.m3u8%0d%0a",
        f"{into}/main.m3u8%0aHost:%20a",
        f"{into}/FR/main.mpd%0a",
        f"/{path.split('/')[1]}/",
        "/",
    )


def probes(pools: Sequence[Sequence[str]], hosts: Sequence[str], seed: str, count: int) -> list[Probe]:
    """So many different requests, as many from each pool of targets; all that there is to vary is varied at random."""
    chance = Random(seed)  # the same ones in each run, so that a leak is found again
    found: dict[Probe, None] = {}
    while len(found) < count:
        found |= dict.fromkeys(_probe(chance.choice(pool), hosts, chance) for pool in pools)
    return list(found)[:count]


def _probe(target: str, hosts: Sequence[str], chance: Random) -> Probe:
    headers = {"Connection": "close", "Host": chance.choice(hosts), **chance.choice(HEADERS)}
    return Probe(method=chance.choice(METHODS), target=target + chance.choice(QUERIES), headers=tuple(headers.items()))


def answers(url: str, asked: Sequence[Probe]) -> list[Answer]:
    """What each was answered."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 80

    async def gather() -> list[Answer]:
        turn = asyncio.Semaphore(CONNECTIONS)
        return await asyncio.gather(*(_answer(turn, host, port, probe) for probe in asked))

    return asyncio.run(gather())


async def _answer(turn: asyncio.Semaphore, host: str, port: int, probe: Probe) -> Answer:
    async with turn, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(probe.wire)
        try:
            wire = await reader.read()
        except ConnectionResetError:
            wire = b""
        writer.close()
    return _read(wire)


def _read(wire: bytes) -> Answer:
    head, _, body = wire.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n", body, re.DOTALL))
    if headers.get("content-encoding") == "gzip" and body:
        body = gzip.decompress(body)
    status = int(first.split()[1]) if first.startswith("http/") else int(bool(wire))
    return Answer(status=status, headers=headers, body=body, wire=wire)
