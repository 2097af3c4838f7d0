"""
Players as an edge sees them. An edge must give one copy to all of them, so warming asks as one and the proof as others.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pipelines.version import Item

Headers = Mapping[str, str]

#: A page with hls.js, Shaka or dash.js. Over TLS browsers offer all of these encodings, for media too.
BROWSER: Headers = MappingProxyType(
    {
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Accept-Language": "fr-FR,fr;q=0.9,en;q=0.8",
        "Origin": "https://www.example",
        "Referer": "https://www.example/",
        "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/149.0.0.0 Safari/537.36",
    }
)
#: AVPlayer on telephones and television sets: playlists compressed, media as it is.
APPLE: Headers = MappingProxyType(
    {
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Accept-Language": "en-US,en;q=0.9",
        "User-Agent": "AppleCoreMedia/1.0.0.23A341 (Apple TV; U; CPU OS 26_0 like Mac OS X; en_us)",
        "X-Playback-Session-Id": "00000000-0000-4000-8000-000000000000",
    }
)
#: ExoPlayer on Android: nothing compressed unless the app allows it.
ANDROID: Headers = MappingProxyType(
    {
        "Accept-Encoding": "identity",
        "User-Agent": "ExoPlayerLib/1.9.0 (Linux;Android 16)",
    }
)
#: Who else asks; the first one warms.
PLAYERS: tuple[Headers, ...] = (BROWSER, APPLE, ANDROID)

#: What an edge may compress, and so keep one copy of for each encoding.
TEXT = (".m3u8", ".mpd", ".vtt", ".json")


def is_text(item: Item) -> bool:
    return item.key.endswith(TEXT)


def asked_by(player: Headers, item: Item) -> Headers:
    """What that player sends for that object."""
    if is_text(item) or player is BROWSER:
        return player
    return {**player, "Accept-Encoding": "identity"}


def stranger(player: Headers, number: int) -> Headers:
    """That player as no edge has seen it before: in all but what it accepts."""
    new = {
        "Accept-Language": f"x-{number:x}",
        "Origin": f"https://{number:x}.example",
        "Referer": f"https://{number:x}.example/watch",
        "User-Agent": f"{player['User-Agent']} {number:x}",
        "X-Playback-Session-Id": f"00000000-0000-4000-8000-{number:012x}",
    }
    return {name: new.get(name, value) for name, value in player.items()}
