from fractions import Fraction

from pipelines.playlist import KeyFrame, iframe_playlist, media_playlist


def test_a_media_playlist_lists_every_segment_with_its_exact_length() -> None:
    """6.006 s is written as it is, and the target duration is the one asked for."""
    entries = [(Fraction(6006, 1000), "00001.m4s"), (Fraction(13013, 24000), "00002.m4s")]
    assert media_playlist(entries, 6, "init.mp4") == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:6\n"
        "#EXT-X-MEDIA-SEQUENCE:1\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:6.006000,\n"
        "00001.m4s\n"
        "#EXTINF:0.542208,\n"
        "00002.m4s\n"
        "#EXT-X-ENDLIST\n"
    )


def test_text_has_no_init_segment() -> None:
    """WebVTT segments stand alone."""
    assert "EXT-X-MAP" not in media_playlist([(Fraction(6), "00001.vtt")], 6, None)


def test_an_iframe_playlist_says_where_each_key_frame_is() -> None:
    """A range of bytes for each, from its moof to the end of its picture."""
    keys = [
        KeyFrame(uri="00001.m4s", duration=Fraction(2002, 1000), start=96, length=825),
        KeyFrame(uri="00001.m4s", duration=Fraction(2002, 1000), start=3774, length=1052),
    ]
    assert iframe_playlist(keys, 6, "init.mp4") == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:6\n"
        "#EXT-X-MEDIA-SEQUENCE:1\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-I-FRAMES-ONLY\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:2.002000,\n"
        "#EXT-X-BYTERANGE:825@96\n"
        "00001.m4s\n"
        "#EXTINF:2.002000,\n"
        "#EXT-X-BYTERANGE:1052@3774\n"
        "00001.m4s\n"
        "#EXT-X-ENDLIST\n"
    )
