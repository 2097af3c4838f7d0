"""
Deliveries with one thing wrong each, and the media they are made of. Nothing is stored: ffmpeg synthesises it all.

Each function is named after what is wrong, makes the delivery in an empty folder and returns its `episode.toml`.
"""

from collections.abc import Iterator
from pathlib import Path

from pipelines.tools import ffmpeg, process

SRT = "1\n00:00:00,500 --> 00:00:01,500\nBonjour.\n"


def make(target: Path, *arguments: str) -> Path:
    """A file written by ffmpeg."""
    process.run([ffmpeg.binary(), "-nostdin", "-v", "error", "-y", *arguments, str(target)])
    return target


def mezzanine(
    target: Path,
    *options: str,
    size: str = "160x90",
    rate: str = "25",
    seconds: float = 4,
    sounds: int = 1,
    layout: str = "stereo",
    codec: tuple[str, ...] = ("libx264", "-preset", "ultrafast"),
) -> Path:
    """A moving picture and as many tones as asked for; time code 10:00:00:00."""
    tones = [
        word
        for n in range(sounds)
        for word in ("-f", "lavfi", "-i", f"aevalsrc=0.1*sin({440 + 220 * n}*2*PI*t):c={layout}:s=48000:d={seconds}")
    ]
    return make(
        target,
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}", *tones),
        *(word for n in range(sounds + 1) for word in ("-map", str(n))),
        *("-c:v", *codec, "-c:a", "pcm_s16le", "-timecode", "10:00:00:00", *options),
    )


def tone(target: Path, *options: str, seconds: float = 4) -> Path:
    """A stereo tone."""
    return make(target, "-f", "lavfi", "-i", f"sine=440:r=48000:d={seconds}", "-ac", "2", *options)


def document(folder: Path, *, picture: str = "m.mov", head: str = "", audio: str = "", text: str = "") -> Path:
    """An `episode.toml` in `folder`; its original sound is the mezzanine's, unless `audio` says otherwise."""
    audio = audio or '[[audio]]\nlanguage = "en"\nrole = "original"\ntrack = 1\n'
    path = folder / "episode.toml"
    path.write_text(
        'episode = "x"\ntitle = "X"\npreset = "quick"\noriginal_language = "en"\n'
        f'{head}\n[mezzanine]\nfile = "{picture}"\n{audio}\n{text}\n'
    )
    return path


def nothing_wrong(folder: Path) -> Path:
    """The one that works: two languages, one in a file of its own, and subtitles."""
    mezzanine(folder / "m.mov")
    tone(folder / "fr.wav")
    (folder / "fr.srt").write_text(SRT)
    return document(folder, audio=ORIGINAL + FRENCH, text=SUBTITLES)


ORIGINAL = '[[audio]]\nlanguage = "en"\nrole = "original"\ntrack = 1\n'
FRENCH = '[[audio]]\nlanguage = "fr"\nfile = "fr.wav"\n'
SUBTITLES = '[[text]]\nlanguage = "fr"\nfile = "fr.srt"\n'


# What is named is not there, or not media.


def missing_mezzanine(folder: Path) -> Path:
    return document(folder)


def missing_subtitle(folder: Path) -> Path:
    mezzanine(folder / "m.mov")
    return document(folder, text=SUBTITLES)


def empty_mezzanine(folder: Path) -> Path:
    (folder / "m.mov").touch()
    return document(folder)


def folder_as_mezzanine(folder: Path) -> Path:
    (folder / "m.mov").mkdir()
    return document(folder)


def text_as_mezzanine(folder: Path) -> Path:
    (folder / "m.mov").write_text("The picture will follow by post.\n" * 100)
    return document(folder)


def transport_stream_as_mezzanine(folder: Path) -> Path:
    mezzanine(folder / "m.ts", "-c:a", "mp2")
    return document(folder, picture="m.ts")


# What is named names something else.


def playlist_as_mezzanine(folder: Path, address: str) -> Path:
    return _written(folder, "m.m3u8", _playlist(address))


def playlist_that_is_called_mov(folder: Path, address: str) -> Path:
    return _written(folder, "m.mov", _playlist(address))


def dash_manifest_as_mezzanine(folder: Path, address: str) -> Path:
    manifest = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        f'mimeType="video/mp4"><Representation id="1"><BaseURL>{address}/a.mp4</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    return _written(folder, "m.mpd", manifest)


def concat_script_as_mezzanine(folder: Path, address: str) -> Path:
    mezzanine(folder / "other.mov")
    return _written(folder, "m.ffconcat", f"ffconcat version 1.0\nfile other.mov\nfile {address}/more.mov\n")


def concat_script_that_is_called_mov(folder: Path, address: str) -> Path:
    mezzanine(folder / "other.mov")
    return _written(folder, "m.mov", f"ffconcat version 1.0\nfile other.mov\nfile {address}/more.mov\n")


def session_description_as_mezzanine(folder: Path, address: str) -> Path:
    port = address.rsplit(":", 1)[1]
    return _written(folder, "m.sdp", f"v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 31\n")


def _playlist(address: str) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{address}/segment.ts\n#EXT-X-ENDLIST\n"


def _written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return document(folder, picture=name)


def data_reference_as_mezzanine(folder: Path, address: str) -> Path:
    """A reference movie, as editors save it: the samples are in another file."""
    (folder / "m.mov").write_bytes(_reference_movie(folder, address))
    return document(folder)


def data_reference_behind_an_unknown_box(folder: Path, address: str) -> Path:
    (folder / "m.mov").write_bytes(_box(b"abcd", b"") + _reference_movie(folder, address))
    return document(folder)


def _reference_movie(folder: Path, address: str) -> bytes:
    location = f"{address}/media.mov".encode() + b"\0"
    entry = _box(b"url ", b"\0\0\0\0" + location)
    whole = mezzanine(folder / "whole.mov").read_bytes()
    return _with(whole, (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"), entry)


def _box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    while data:
        size = int.from_bytes(data[:4], "big")
        yield data[4:8], data[8:size]
        data = data[size:]


def _with(data: bytes, way: tuple[bytes, ...], entry: bytes) -> bytes:
    """The boxes in `data`, with `entry` as the only data reference of every track."""
    if not way:
        return data[:4] + (1).to_bytes(4, "big") + entry
    return b"".join(_box(kind, _with(body, way[1:], entry) if kind == way[0] else body) for kind, body in _boxes(data))


# Less, or other, is there than the file says.


def truncated_mov(folder: Path) -> Path:
    return _cut(folder, mezzanine(folder / "m.mov", "-movflags", "+faststart"))


def truncated_mov_without_header(folder: Path) -> Path:
    return _cut(folder, mezzanine(folder / "m.mov"))


def truncated_mkv(folder: Path) -> Path:
    return _cut(folder, mezzanine(folder / "m.mkv"))


def truncated_mxf(folder: Path) -> Path:
    return _cut(folder, mezzanine(folder / "m.mxf", codec=("mpeg2video",), layout="mono"))


def _cut(folder: Path, path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    return document(folder, picture=path.name)


def damaged_picture(folder: Path) -> Path:
    """Whole in length; bytes of its second half are wrong. ffprobe finds nothing amiss."""
    path = mezzanine(folder / "m.mov", sounds=0)
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) * 9 // 10, 997):
        data[place] ^= 0x55
    path.write_bytes(data)
    tone(folder / "fr.wav")
    return document(folder, audio=ORIGINAL.replace("track = 1", 'file = "fr.wav"'))


def truncated_wav(folder: Path) -> Path:
    return _cut_dub(folder, tone(folder / "fr.wav"))


def truncated_flac(folder: Path) -> Path:
    return _cut_dub(folder, tone(folder / "fr.flac"))


def truncated_aiff(folder: Path) -> Path:
    return _cut_dub(folder, tone(folder / "fr.aiff"))


def _cut_dub(folder: Path, path: Path) -> Path:
    mezzanine(folder / "m.mov")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    return document(folder, audio=ORIGINAL + FRENCH.replace("fr.wav", path.name))


# A picture that we don't take.


def no_picture(folder: Path) -> Path:
    tone(folder / "m.wav")
    return document(folder, picture="m.wav")


def variable_frame_rate(folder: Path) -> Path:
    slowing = "setpts='if(lt(N,50),N,50+(N-50)*1.5)/25/TB'"
    mezzanine(folder / "m.mov", "-vf", slowing, "-fps_mode", "passthrough", "-video_track_timescale", "12800")
    return document(folder)


def dropped_frame(folder: Path) -> Path:
    mezzanine(folder / "m.mkv", "-vf", "select='not(eq(n,37))'", "-fps_mode", "passthrough")
    return document(folder, picture="m.mkv")


def slow_frame_rate(folder: Path) -> Path:
    mezzanine(folder / "m.mov", rate="15")
    return document(folder)


def interlaced(folder: Path) -> Path:
    mezzanine(folder / "m.mov", "-flags", "+ildct+ilme", "-x264-params", "tff=1", size="160x96")
    return document(folder)


def high_dynamic_range(folder: Path) -> Path:
    mezzanine(folder / "m.mov", "-vf", "setparams=color_trc=smpte2084:color_primaries=bt2020")
    return document(folder)


def mirrored(folder: Path) -> Path:
    mezzanine(folder / "straight.mov")
    make(folder / "m.mov", "-display_hflip", "-i", str(folder / "straight.mov"), "-map", "0", "-c", "copy")
    return document(folder)


# Sound that is not what the document says.


def no_audio_for_a_language(folder: Path) -> Path:
    mezzanine(folder / "m.mov", sounds=2)
    return document(folder, audio=ORIGINAL + '[[audio]]\nlanguage = "fr"\ntrack = 3\n')


def no_audio_at_all(folder: Path) -> Path:
    mezzanine(folder / "m.mov", sounds=0)
    return document(folder, audio=ORIGINAL.replace("track = 1", ""))


def no_telling_which_track(folder: Path) -> Path:
    mezzanine(folder / "m.mov", "-metadata:s:a:1", "language=fra", sounds=2)
    return document(folder, audio=ORIGINAL.replace("track = 1", ""))


def short_dub(folder: Path) -> Path:
    mezzanine(folder / "m.mov")
    tone(folder / "fr.wav", seconds=2.8)
    return document(folder, audio=ORIGINAL + FRENCH)


def late_dub(folder: Path) -> Path:
    mezzanine(folder / "m.mov")
    tone(folder / "fr.wav")
    return document(folder, audio=ORIGINAL + FRENCH + 'start = "10:00:00:20"\n')


def seven_one(folder: Path) -> Path:
    mezzanine(folder / "m.mov", layout="7.1")
    return document(folder)


# Time codes that don't fit.


def programme_outside_the_file(folder: Path) -> Path:
    mezzanine(folder / "m.mov")
    return document(folder, head='in = "09:59:00:00"')


def programme_backwards(folder: Path) -> Path:
    mezzanine(folder / "m.mov")
    return document(folder, head='in = "10:00:03:00"\nout = "10:00:01:00"')


def chapter_outside_the_programme(folder: Path) -> Path:
    mezzanine(folder / "m.mov")
    chapter = '[[chapters]]\nkind = "intro"\nfrom = "10:00:03:00"\nto = "10:00:05:00"\n'
    return document(folder, text=chapter)


# Text that can't be shown.


def unreadable_subtitle(folder: Path) -> Path:
    return _subtitle(folder, bytes(range(256)) * 4)


def zero_length_cue(folder: Path) -> Path:
    return _subtitle(folder, SRT.replace("01,500", "00,500").encode())


def subtitle_of_another_reel(folder: Path) -> Path:
    return _subtitle(folder, SRT.replace("00:00:0", "10:00:0").encode())


def _subtitle(folder: Path, data: bytes) -> Path:
    mezzanine(folder / "m.mov")
    (folder / "fr.srt").write_bytes(data)
    return document(folder, text=SUBTITLES)


# A document that can't be read.


def wrong_language_tag(folder: Path) -> Path:
    return document(folder, audio=ORIGINAL + '[[audio]]\nlanguage = "french"\ntrack = 2\n')


def language_that_does_not_exist(folder: Path) -> Path:
    return document(folder, audio=ORIGINAL + '[[audio]]\nlanguage = "jp"\ntrack = 2\n')


def unknown_key(folder: Path) -> Path:
    return document(folder, audio=ORIGINAL.replace("language", "langauge"))


def network_address_as_mezzanine(folder: Path, address: str) -> Path:
    return document(folder, picture=f"{address}/m.mov")
