"""Words arrive as they were written, when they were meant, in every segment they touch."""

import time
from fractions import Fraction

import pytest

from pipelines.errors import DeliveryError
from pipelines.subtitles import LARGEST, MOST_CUES, Cue, parse, placed, segments, whole

SRT = """1
00:00:01,000 --> 00:00:02,500
Hello <b>world</b>

2
00:00:03,000 --> 00:00:04,000
two
lines
"""


def cue(start: str, end: str, text: str = "x", settings: str = "") -> Cue:
    return Cue(start=Fraction(start), end=Fraction(end), text=text, settings=settings)


def one(text: str) -> Cue:
    """The cue of an SRT file that says `text`."""
    (only,) = parse(f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n".encode(), name="a.srt")
    return only


def refusal(data: bytes) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        parse(data, name="a.srt")
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_srt_is_read_in_every_encoding_that_says_what_it_is(encoding: str, newline: str) -> None:
    """UTF-8 with or without a byte order mark, UTF-16 with one; line ends of every system."""
    text = SRT.replace("Hello", "Olá, é العربية").replace("\n", newline)
    assert parse(text.encode(encoding), name="a.srt") == (
        cue("1", "2.5", "Olá, é العربية <b>world</b>"),
        cue("3", "4", "two\nlines"),
    )


def test_webvtt_keeps_what_players_draw() -> None:
    """Notes, styles and identifiers go; tags and settings that stand for themselves stay; short times are read."""
    text = """WEBVTT - a title

STYLE
::cue { color: red }

REGION
id:fred

NOTE
not --> a cue

first
00:01.000 --> 00:02.000\tline:10% region:fred align:start
<v Ana>Hi & bye <c.yellow>now</c> <00:00:01.500><blink>x</blink>

01:00:00.000 --> 01:00:01.000
later
"""
    assert parse(text.encode(), name="a.vtt") == (
        cue("1", "2", "<v Ana>Hi &amp; bye <c.yellow>now</c> x", "line:10% align:start"),
        cue("3600", "3601", "later"),
    )


@pytest.mark.parametrize(
    ("said", "text", "settings"),
    [
        ("<i>a</i> <B>b</B> <u>c</u>", "<i>a</i> <b>b</b> <u>c</u>", ""),
        ('<font color="#ff0000">red</font>', "red", ""),
        (r"{\an8}up", "up", "line:0"),
        (r"{\an5}middle", "middle", "line:50%"),
        (r"{\an2}down", "down", ""),
        ("1 < 2 && 3 > 2", "1 &lt; 2 &amp;&amp; 3 &gt; 2", ""),
        ("<sighs> I <3 you &amp; them", "&lt;sighs&gt; I &lt;3 you &amp; them", ""),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;", ""),
        ("<i>", "<i>", ""),
    ],
)
def test_srt_markup_becomes_webvtts(said: str, text: str, settings: str) -> None:
    """Italics, bold and underline stay, colours go, positions become settings; all else is text, escaped."""
    assert (one(said).text, one(said).settings) == (text, settings)


def test_cues_are_sorted_by_time() -> None:
    """A file may list cues in any order."""
    text = "1\n00:00:05,000 --> 00:00:06,000\nb\n\n2\n00:00:01,000 --> 00:00:02,000\na\n"
    assert [each.text for each in parse(text.encode(), name="a.srt")] == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "a.srt has no cues."),
        (b"WEBVTT\n", "a.srt has no cues."),
        (b"\xe9\xe8", "a.srt is not UTF-8 text: line 1 has byte 0xe9."),
        (b"1\n\nB\xe9", "a.srt is not UTF-8 text: line 3 has byte 0xe9."),
        ("1\n".encode("utf-16-le"), "a.srt is not text: line 1 has a zero byte."),
        (b"hello\n", "a.srt can't be read: line 1, `hello`, is neither a cue nor a note."),
        (
            b"1\n00:00:01 --> 00:00:02\nx\n",
            "a.srt can't be read: line 2, `00:00:01 --> 00:00:02`, is not `hh:mm:ss,mmm --> hh:mm:ss,mmm`.",
        ),
        (
            SRT.replace("world</b>\n\n", "world</b>\n").encode(),
            "a.srt can't be read: line 5, `00:00:03,000 --> 00:00:04,000`, is a cue without a blank line before it.",
        ),
        (
            b"1\n00:00:01,000 -->\nx\n",
            "a.srt can't be read: line 2, `00:00:01,000 -->`, is not `hh:mm:ss,mmm --> hh:mm:ss,mmm`.",
        ),
        (
            SRT.replace("00:00:04,000", "00:00:03,000").encode(),
            "a.srt: cue 2, at 00:00:03.000, ends as soon as it starts.",
        ),
        (
            SRT.replace("00:00:02,500", "00:00:00,500").encode(),
            "a.srt: cue 1, at 00:00:01.000, ends before it starts.",
        ),
        (b" " * (LARGEST + 1), "a.srt has 10485761 bytes; 10485760 are the most for a subtitle."),
        (b"x\n\n" * (MOST_CUES + 1), "a.srt has 50001 cues; 50000 is the most."),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(data: bytes, sentence: str) -> None:
    """One sentence, with the line or the cue and its time."""
    assert refusal(data).message == sentence


@pytest.mark.parametrize(
    "hostile", ["<" * 500_000, "<i " * 200_000, "{\\" * 250_000, "&" * 500_000, "<v" + " a" * 250_000, "-" * 500_000]
)
@pytest.mark.parametrize("header", ["", "WEBVTT\n\n"])
def test_a_hostile_file_costs_no_more_than_its_length(header: str, hostile: str) -> None:
    """Half a megabyte of openings that never close is read in a moment."""
    begun = time.process_time()
    parse(f"{header}00:00:01.000 --> 00:00:02.000\n{hostile}\n".encode(), name="a.srt")
    assert time.process_time() - begun < 2


def test_cues_are_placed_in_the_programme() -> None:
    """Moved by the offset, clipped at both ends, dropped outside, rounded to milliseconds."""
    moved = placed(
        [cue("1", "2"), cue("8", "12"), cue("10", "11"), cue("29", "31.5"), cue("31", "40"), cue("13", "14.0004")],
        offset=Fraction(-10),
        duration=Fraction(20),
    )
    assert moved == (cue("0", "2"), cue("0", "1"), cue("19", "20"), cue("3", "4"))


def test_every_segment_exists_and_holds_what_it_shows() -> None:
    """A cue stands with its full times in each segment that it touches, and in no other; silence is a segment too."""
    header = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"
    shown = segments(
        [cue("5", "7", "across"), cue("12", "18", "exactly", "line:0")], segment=Fraction(6), duration=Fraction(25)
    )
    across, exactly = "\n00:00:05.000 --> 00:00:07.000\nacross\n", "\n00:00:12.000 --> 00:00:18.000 line:0\nexactly\n"
    assert shown == [header + across, header + across, header + exactly, header, header]


def test_the_whole_file_reads_back_as_the_same_cues() -> None:
    """What DASH players get is what was parsed."""
    cues = (cue("1", "2.5", "a &amp; <i>b</i>"), cue("3599.999", "3600.5", "two\nlines", "line:0"))
    assert parse(whole(cues).encode(), name="all.vtt") == cues
