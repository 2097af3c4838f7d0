"""
Many viewers on few processors: each holds one connection, and asks for one path after the other.

What comes back is counted, by status; bodies are read and dropped.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit


def crowd(
    url: str, viewers: Sequence[Iterable[str]], *, every: float = 0.0, within: float | None = None
) -> list[Counter[int]]:
    """
    Every viewer's paths, one each `every` seconds or as fast as answers come; what each was answered.

    Viewers come evenly spread over the first `every` seconds.

    A connection that breaks counts as 0, and so does an answer that takes longer than `within` seconds.
    """
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 80

    async def gather() -> list[Counter[int]]:
        begun, apart = asyncio.get_running_loop().time(), every / max(len(viewers), 1)
        return await asyncio.gather(
            *(
                _viewer(host, port, paths, begun + nth * apart, every=every, within=within)
                for nth, paths in enumerate(viewers)
            )
        )

    return asyncio.run(gather())


async def _viewer(
    host: str, port: int, paths: Iterable[str], begun: float, *, every: float, within: float | None
) -> Counter[int]:
    answers: Counter[int] = Counter()
    streams = None
    for nth, path in enumerate(paths):
        if every:
            await asyncio.sleep(begun + nth * every - asyncio.get_running_loop().time())
        reader, writer = streams or await asyncio.open_connection(host, port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        try:
            async with asyncio.timeout(within):
                status, stays = await _answer(reader)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            status, stays = 0, False
        answers[status] += 1
        streams = (reader, writer) if stays else None
        if not stays:
            writer.close()
    if streams:
        streams[1].close()
    return answers


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status, and whether the connection may be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    if headers.get("transfer-encoding") == "chunked":
        while length := int(await reader.readline(), 16):
            await reader.readexactly(length + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(headers.get("content-length", "0")))
    return int(status.split()[1]), headers.get("connection") != "close"
