"""Captions on the timeline of recordings, and as WebVTT."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from umbel.catalogue.captions.model import Caption
from umbel.media.hls import webvtt
from umbel.media.hls.webvtt import Shown
from umbel.recordings import captions, subtitles
from umbel.recordings.model import Segment

ZERO_S = 1_803_000_000.0


def segment(number: int, wall_s: float, position_s: float, *, began_s: float = 0.0) -> Segment:
    return Segment(
        number=number,
        item="item",
        offset=0,
        size=1,
        map_number=0,
        duration_s=2.0,
        position_s=position_s,
        base_s=0.0,
        began_s=began_s,
        is_break=False,
        wall_s=wall_s,
    )


def caption(start_s: float, end_s: float, text: str = "x") -> Caption:
    return Caption(number=1, text=text, start_s=ZERO_S + start_s, end_s=ZERO_S + end_s)


WHOLE = [segment(n, ZERO_S + 2 * n, 2.0 * n) for n in range(5)]


def times(segments: list[Segment], *said: Caption) -> list[tuple[float, float]]:
    return [(round(one.start_s, 3), round(one.end_s, 3)) for one in captions.shown(segments, said)]


def test_a_caption_is_where_it_was_said() -> None:
    assert times(WHOLE, caption(1, 2.5), caption(9, 9.5)) == [(1, 2.5), (9, 9.5)]


def test_a_recording_begins_later_than_its_capture() -> None:
    assert times(WHOLE[2:], caption(1, 2.5), caption(3, 5), caption(9, 30)) == [(0, 1), (5, 6)]


def test_what_was_not_recorded_is_not_shown() -> None:
    lost = [*WHOLE[:2], *(segment(n, ZERO_S + 2 * n + 60, 2.0 * n) for n in range(2, 5))]
    assert times(lost, caption(10, 11), caption(3, 70), caption(65, 66)) == [
        (3, 4),
        (4, 10),
        (5, 6),
    ]


def test_small_steps_of_the_clock_cut_nothing() -> None:
    jitter = [segment(n, ZERO_S + 2 * n + 0.01 * (n % 2), 2.0 * n) for n in range(5)]
    assert times(jitter, caption(1, 7)) == [(1, 7)]


def test_segments_of_before_are_placed_by_the_control_plane_s_clock() -> None:
    old = [segment(n, 0.0, 2.0 * n, began_s=ZERO_S + 2 * n) for n in range(3)]
    assert times(old, caption(3, 4)) == [(3, 4)]


def test_a_text_track() -> None:
    text = webvtt.document(
        [
            Shown(text="Good --> evening", start_s=0, end_s=59.9996),
            Shown(text="<b>a & b</b>\n\nNOTE x", start_s=3_600.5, end_s=360_000),
        ]
    )
    assert text == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:01:00.000\nGood --&gt; evening\n\n"
        "01:00:00.500 --> 100:00:00.000\n&lt;b&gt;a &amp; b&lt;/b&gt; NOTE x\n"
    )
    assert webvtt.document([]) == "WEBVTT\n"


def test_a_piece_says_where_it_is_on_its_segment_s_timeline() -> None:
    one = segment(3, ZERO_S, 6.0)
    at_five_hours = replace(one, base_s=18_000.0)
    cues = [
        Shown(text="before", start_s=0, end_s=2),
        Shown(text="goes on", start_s=3.5, end_s=4.5),
        Shown(text="own", start_s=5, end_s=5.5),
        Shown(text="after", start_s=6, end_s=7),
    ]
    segments = [segment(2, ZERO_S, 2.0), at_five_hours]
    assert subtitles.piece(segments, at_five_hours, cues) == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:1620000000,LOCAL:00:00:00.500\n\n"
        "00:00:00.000 --> 00:00:01.000\ngoes on\n\n"
        "00:00:01.500 --> 00:00:02.000\nown\n\n"
    )
    assert subtitles.piece(segments, one, []) == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
    )


def test_the_playlists_name_pictures_and_subtitles() -> None:
    text = subtitles.multivariant(WHOLE)
    assert 'TYPE=SUBTITLES,GROUP-ID="captions"' in text
    assert text.splitlines()[-1] == "media.m3u8"
    lines = subtitles.playlist(WHOLE, is_growing=False).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        f"captions-{n}.vtt" for n in range(5)
    ]
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert not any("MAP" in line for line in lines)


@given(st.lists(st.tuples(st.text(), st.floats(-1, 1e7), st.floats(0, 1e4))))
def test_any_text_stays_in_its_block(said: list[tuple[str, float, float]]) -> None:
    shown = [Shown(text=t, start_s=a, end_s=a + d) for t, a, d in said]
    blocks = webvtt.document(shown)[:-1].split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert len(blocks) == sum(bool(text.strip()) for text, _, _ in said) + 1
    for block in blocks[1:]:
        times_, _, text = block.partition("\n")
        assert re.fullmatch(r"\d{2,}:\d\d:\d\d\.\d{3} --> \d{2,}:\d\d:\d\d\.\d{3}", times_)
        assert "\n" not in text
        assert "<" not in text
        assert "-->" not in text


@given(
    st.lists(st.tuples(st.floats(-100, 100), st.floats(0, 50)), max_size=20),
    st.lists(st.floats(-50, 50), min_size=1, max_size=8),
)
def test_captions_stay_in_the_recording(
    said: list[tuple[float, float]], walls: list[float]
) -> None:
    segments = [segment(n, ZERO_S + wall, 2.0 * n) for n, wall in enumerate(walls)]
    for start_s, end_s in times(segments, *(caption(a, a + d) for a, d in said)):
        assert 0 <= start_s <= end_s <= 2 * len(walls)
