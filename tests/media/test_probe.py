import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.delivery import open_delivery
from pipelines.errors import DeliveryError
from pipelines.probe import Examined, examine
from pipelines.tools.s3 import Store, Upload
from tests import gallery

#: Local sources never ask it: nothing listens there.
NOWHERE = Store(endpoint="http://127.0.0.1:9", region="none", bucket="none", access_key="none", secret_key="none")


class Listener:
    """A server on loopback that counts what is asked of it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: list[str] = []


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        heard = Listener(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


def examined(path: Path, store: Store = NOWHERE) -> Examined:
    return examine(open_delivery(path), store)


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (gallery.missing_mezzanine, "m.mov"),
    (gallery.missing_subtitle, "fr.srt"),
    (gallery.empty_mezzanine, "m.mov"),
    (gallery.folder_as_mezzanine, "m.mov"),
    (gallery.text_as_mezzanine, "m.mov is not media that we take."),
    (
        gallery.transport_stream_as_mezzanine,
        "m.ts is an MPEG transport stream, in which no frame can be found exactly.",
    ),
    (gallery.truncated_mov, "of 100 frames are there."),
    (gallery.truncated_mov_without_header, "m.mov is truncated: it has no `moov`."),
    (gallery.truncated_mkv, "of 100 frames are there."),
    (gallery.truncated_mxf, "of 100 frames are there."),
    (gallery.damaged_picture, "m.mov is damaged: its picture does not decode around 0:02."),
    (gallery.truncated_wav, "fr.wav is truncated: 2.40 of 4.00 s of sound are there."),
    (gallery.truncated_flac, "fr.flac is damaged: its sound does not decode."),
    (gallery.truncated_aiff, "fr.aiff is truncated."),
    (gallery.no_picture, "m.wav has no picture."),
    (gallery.variable_frame_rate, "m.mov has no constant frame rate: at "),
    (gallery.dropped_frame, " fps, frame 37 would come 0.0"),
    (gallery.slow_frame_rate, "m.mov has 15 frames per second."),
    (gallery.interlaced, "m.mov is interlaced."),
    (gallery.high_dynamic_range, "m.mov has high dynamic range (smpte2084)."),
    (gallery.mirrored, "m.mov is to be shown mirrored or aslant."),
    (
        gallery.no_audio_for_a_language,
        "Episode `x` has no `fr` audio: the mezzanine has 2 audio tracks, `track = 3` is not among them.",
    ),
    (gallery.no_audio_at_all, "Episode `x` has no `en` audio: the mezzanine has no audio track."),
    (
        gallery.no_telling_which_track,
        "Episode `x` does not say which of 2 audio tracks is `en`: the mezzanine has 1 (stereo), 2 (fra, stereo).",
    ),
    (gallery.short_dub, "The `fr` dub ends 1.20 s before the programme, which is 4.00 s long."),
    (gallery.late_dub, "The `fr` dub starts 0.80 s after the programme."),
    (gallery.seven_one, "The `en` original is 7.1, which is not taken yet."),
    (
        gallery.programme_outside_the_file,
        "`in` is 09:59:00:00, but the mezzanine runs from 10:00:00:00 to 10:00:04:00.",
    ),
    (gallery.programme_backwards, "The programme has no frame: `in` is 10:00:03:00, `out` is 10:00:01:00."),
    (gallery.chapter_outside_the_programme, "The intro from 10:00:03:00 to 10:00:05:00 is not within the programme."),
    (gallery.unreadable_subtitle, "fr.srt"),
    (gallery.zero_length_cue, "fr.srt"),
    (gallery.subtitle_of_another_reel, "fr.srt has no cue within the programme, though it has 1 outside."),
    (gallery.wrong_language_tag, "`french` is not a language tag"),
    (gallery.language_that_does_not_exist, "`jp` is not a language tag"),
    (gallery.unknown_key, "`audio[1].langauge` is not a key of this document."),
]


@pytest.mark.parametrize(("broken", "sentence"), REFUSED, ids=lambda x: getattr(x, "__name__", ""))
def test_a_broken_delivery_is_refused_with_one_sentence(
    broken: Callable[[Path], Path], sentence: str, tmp_path: Path
) -> None:
    """Whatever is wrong is said in one sentence that names it, with a hint, and no file is left behind."""
    path = broken(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DeliveryError) as refused:
        examined(path)
    assert sentence in refused.value.message
    assert refused.value.message.endswith(".")
    assert "\n" not in refused.value.message
    assert refused.value.hint
    assert sorted(tmp_path.rglob("*")) == before


NAMES_OTHERS: list[tuple[Callable[[Path, str], Path], str]] = [
    (gallery.playlist_as_mezzanine, "m.m3u8 is not media that we take."),
    (gallery.playlist_that_is_called_mov, "m.mov is not media that we take."),
    (gallery.dash_manifest_as_mezzanine, "m.mpd is not media that we take."),
    (gallery.concat_script_as_mezzanine, "m.ffconcat is not media that we take."),
    (gallery.concat_script_that_is_called_mov, "m.mov is not media that we take."),
    (gallery.session_description_as_mezzanine, "m.sdp is not media that we take."),
    (gallery.data_reference_as_mezzanine, "m.mov keeps its media in other files: it is a reference movie."),
    (
        gallery.data_reference_behind_an_unknown_box,
        "m.mov keeps its media in other files: it is a reference movie.",
    ),
    (gallery.network_address_as_mezzanine, "is neither a path nor s3://bucket/key"),
]


@pytest.mark.parametrize(("broken", "sentence"), NAMES_OTHERS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_source_that_names_another_is_refused_and_nothing_is_fetched(
    broken: Callable[[Path, str], Path], sentence: str, tmp_path: Path, listener: Listener
) -> None:
    """Nobody who sends us a file makes us open another one, or an address."""
    path = broken(tmp_path, listener.address)
    with pytest.raises(DeliveryError) as refused:
        examined(path)
    assert sentence in refused.value.message
    assert listener.asked == []


def test_a_good_delivery_is_measured(tmp_path: Path) -> None:
    """Frames, rate, time code, sounds and cues come out as they were made."""
    found = examined(gallery.nothing_wrong(tmp_path))
    picture = found.picture
    assert (picture.demuxer, picture.codec, picture.frame_rate) == ("mov", "h264", Fraction(25))
    assert (picture.width, picture.height, picture.sample_aspect) == (160, 90, Fraction(1))
    assert (picture.frames, picture.start_frame, picture.lead) == (100, 10 * 3600 * 25, Fraction(0))
    assert (found.first_frame, found.frames) == (0, 100)
    assert [(s.declared.language, s.stream, s.layout, s.duration, s.offset) for s in found.sounds] == [
        ("en", 1, "stereo", Fraction(4), Fraction(0)),
        ("fr", 0, "stereo", Fraction(4), Fraction(0)),
    ]
    assert [(w.offset, w.cues) for w in found.words] == [(Fraction(0), 1)]


def test_everything_is_placed_against_the_programme(tmp_path: Path) -> None:
    """Sound and text are measured from the programme's first frame, by time code where they have one."""
    gallery.mezzanine(tmp_path / "m.mov")
    gallery.tone(tmp_path / "fr.wav", seconds=2.5)
    (tmp_path / "fr.srt").write_text(gallery.SRT.replace("00:00:0", "10:00:0"))
    path = gallery.document(
        tmp_path,
        head='in = "10:00:01:00"\nout = "10:00:03:00"',
        audio=gallery.ORIGINAL + gallery.FRENCH + 'start = "10:00:00:20"\n',
        text=gallery.SUBTITLES + 'start = "00:00:00:00"\n',
    )
    found = examined(path)
    assert (found.first_frame, found.frames) == (25, 50)
    assert [s.offset for s in found.sounds] == [Fraction(-1), Fraction(-1, 5)]
    assert found.words[0].offset == -36001


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "50"])
@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_an_open_group_of_pictures_is_measured_exactly(rate: str, suffix: str, tmp_path: Path) -> None:
    """Open groups with B-frames, in tick-exact and in rounding containers: every frame counted, the rate exact."""
    codec = ("libx264", "-x264-params", "open-gop=1:keyint=24:bframes=3:b-adapt=0:scenecut=0")
    gallery.mezzanine(tmp_path / f"m.{suffix}", rate=rate, codec=codec, seconds=6)
    picture = examined(gallery.document(tmp_path, picture=f"m.{suffix}")).picture
    assert picture.frame_rate == Fraction(rate)
    assert picture.frames == -(-6 * Fraction(rate) // 1)


def test_a_rotated_picture_is_taken(tmp_path: Path) -> None:
    """ffprobe counts degrees against the clock, we with it: shown turned left is 270."""
    gallery.mezzanine(tmp_path / "lying.mov")
    lying = str(tmp_path / "lying.mov")
    gallery.make(tmp_path / "m.mov", "-display_rotation", "90", "-i", lying, "-map", "0", "-c", "copy")
    picture = examined(gallery.document(tmp_path)).picture
    assert (picture.rotation, picture.width, picture.height) == (270, 160, 90)


def test_an_odd_sized_picture_is_taken(tmp_path: Path) -> None:
    """Sizes are measured as they are; the ladder makes them even."""
    anamorphic = ("-vf", "format=yuv444p,pad=161:91,setsar=16/15")
    gallery.mezzanine(tmp_path / "m.mov", *anamorphic, size="161x91")
    picture = examined(gallery.document(tmp_path)).picture
    assert (picture.width, picture.height, picture.sample_aspect) == (161, 91, Fraction(16, 15))


def test_surround_sound_is_taken(tmp_path: Path) -> None:
    """Six channels are 5.1, whichever name the file has for its surrounds."""
    gallery.mezzanine(tmp_path / "m.mov", layout="5.1")
    sound = examined(gallery.document(tmp_path)).sounds[0]
    assert (sound.channels, sound.layout) == (6, "5.1")


def test_a_picture_that_begins_late_is_led_to(tmp_path: Path) -> None:
    """Without an edit list B-frames put the first frame two frames after the file's beginning: seeks must know."""
    gallery.mezzanine(tmp_path / "whole.mov", codec=("libx264", "-bf", "2"))
    whole = str(tmp_path / "whole.mov")
    fragments = ("-c", "copy", "-movflags", "+frag_keyframe+empty_moov")
    gallery.make(tmp_path / "m.mov", "-i", whole, "-map", "0:v", "-map", "0:a", *fragments)
    found = examined(gallery.document(tmp_path))
    assert found.picture.lead == Fraction(2, 25)
    assert found.sounds[0].offset == Fraction(-2, 25)


def test_drop_frame_time_code_is_read(tmp_path: Path) -> None:
    """MediaInfo gives the file's own time code, with its semicolon."""
    gallery.mezzanine(tmp_path / "m.mov", "-timecode", "01:00:00;02", rate="30000/1001")
    assert examined(gallery.document(tmp_path)).picture.start_frame == 107_894


@pytest.mark.parametrize(
    ("size", "tag", "matrix"),
    [("160x90", "bt709", "bt709"), ("160x90", "smpte170m", "bt601"), ("160x90", "", "bt601"), ("32x720", "", "bt709")],
)
def test_an_untagged_matrix_follows_from_the_size(size: str, tag: str, matrix: str, tmp_path: Path) -> None:
    """What the file says counts; without a word, high definition is BT.709 and anything smaller BT.601."""
    tags = ("-vf", f"setparams=colorspace={tag}") if tag else ()
    gallery.mezzanine(tmp_path / "m.mov", *tags, size=size, seconds=2)
    assert examined(gallery.document(tmp_path)).picture.matrix == matrix


def test_an_object_is_measured_like_a_file(tmp_path: Path, store: Store) -> None:
    """From S3 by range the same figures come out, and the same sentences."""
    local = examined(gallery.nothing_wrong(tmp_path))
    for name in ("m.mov", "fr.wav", "fr.srt"):
        body = (tmp_path / name).read_bytes()
        store.put_once(Upload(key=f"in/{name}", body=body, content_type="application/octet-stream", cache_control=""))
    prefix = f"s3://{store.bucket}/in"
    named = gallery.ORIGINAL + gallery.FRENCH.replace("fr.wav", f"{prefix}/fr.wav")
    text = gallery.SUBTITLES.replace("fr.srt", f"{prefix}/fr.srt")
    path = gallery.document(tmp_path, picture=f"{prefix}/m.mov", audio=named, text=text)
    found = examined(path, store)
    assert replace(found.picture, source=local.picture.source) == local.picture
    assert [(s.duration, s.offset) for s in found.sounds] == [(s.duration, s.offset) for s in local.sounds]
    assert [w.cues for w in found.words] == [w.cues for w in local.words]
    assert found.picture.source.identity["etag"]
    with pytest.raises(DeliveryError, match="does not exist"):
        examined(gallery.document(tmp_path, picture=f"{prefix}/other.mov"), store)
