"""Playlists: always readable, always true, and true to the version before."""

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import camera, hls_player, mp4
from support.camera import Camera
from support.examples import examples
from support.hls_player import PlaylistView
from umbel.media.hls import playlist
from umbel.media.hls.muxer import Muxer
from umbel.media.hls.segmenter import Part, SegmentEnd
from umbel.media.hls.window import Availability, Window

START_S = 90_000.0
WALL_S = 1_700_000_000.0


class Origin:
    """A muxer and a window, fed in the packets' own time; every version of the playlist."""

    def __init__(self, first_number: int = 0) -> None:
        self.muxer, self.window = Muxer(), Window(first_number)
        self.versions: list[PlaylistView] = []
        self.now_s = START_S

    @property
    def target_s(self) -> int:
        return self.muxer.segmenter.cutter.target_s

    def feed(self, timed: list[tuple[float, bytes]]) -> "Origin":
        for at_s, data in timed:
            self.now_s = START_S + at_s
            self.add(self.muxer.packets([data], self.now_s))
        return self

    def add(self, events: list[Part | SegmentEnd]) -> None:
        for event in events:
            opens = event.opens if isinstance(event, Part) else None
            wall_s = WALL_S + opens.at_s - START_S if opens else 0.0
            self.window.add(event, wall_s=wall_s, target_s=self.target_s, now_s=self.now_s)
        if events and self.window.closed:
            self.view()

    def view(self) -> PlaylistView:
        self.muxer.segmenter.cutter.published = True
        view = hls_player.parse(playlist.media(self.window, self.target_s))
        if self.versions:
            hls_player.check_next(self.versions[-1], view)
        self.versions.append(view)
        return view

    def end(self) -> PlaylistView:
        self.add(list(self.muxer.end()))
        self.window.end()
        return self.view()


def recording(seconds: float, **told: Any) -> list[tuple[float, bytes]]:
    made = Camera().video(camera.pictures(seconds, **told))
    return made.audio(camera.sounds(seconds)).timed()


def test_a_stream_from_its_first_segment_to_its_end() -> None:
    origin = Origin(first_number=700).feed(recording(31.0))
    first, last = origin.versions[0], origin.end()
    assert first.first_number == 700
    assert first.target_s == 2
    assert first.is_independent
    assert [round(s.duration_s, 3) for s in first.whole] == [2.0]
    assert first.whole[0].began.timestamp() == WALL_S
    assert last.first_number > 700
    assert len(last.whole) in range(6, 9)
    assert last.is_ended
    assert not last.hint


def test_every_version_shows_one_part_more() -> None:
    origin = Origin().feed(recording(9.0))
    ends = [(view.last_number, view.open_parts) for view in origin.versions]
    assert ends[:7] == [*((0, parts) for parts in range(6)), (1, 0)]
    for before, after in zip(origin.versions, origin.versions[1:], strict=False):
        newest = [part.uri for segment in after.segments for part in segment.parts][-1]
        assert before.hint in (newest, after.hint)


def test_what_it_names_is_there_and_fits_together() -> None:
    origin = Origin().feed(recording(9.0))
    view = origin.view()
    for segment in view.segments:
        name = playlist.read_name(segment.map_uri)
        assert name is not None
        section = origin.window.section(name.number)
        assert section is not None
        parts = []
        for part in segment.parts:
            named = playlist.read_name(part.uri)
            assert named is not None
            parts.append(origin.window.part(named.number) or b"")
        if not segment.uri:
            continue
        number = playlist.read_name(segment.uri)
        assert number is not None
        whole = origin.window.segment(number.number)
        assert whole
        assert not segment.parts or b"".join(parts) == whole
        assert len(mp4.decode(section + whole).shown_s) == 60


def test_a_restart_is_marked_and_counted() -> None:
    again = Camera(ssrc=5, audio_ssrc=6).video(camera.pictures(30.0), 7.0)
    again.audio(camera.sounds(30.0), 7.0)
    origin = Origin().feed([*recording(5.0), *again.timed()])
    marks = [sum(s.discontinuity for s in view.segments) for view in origin.versions]
    assert set(marks) == {0, 1}
    assert origin.versions[-1].discontinuities_gone == 1
    assert len({s.map_uri for view in origin.versions for s in view.segments}) == 1


def test_the_multivariant_playlist() -> None:
    origin = Origin().feed(recording(9.0, rate=Fraction(25), gop=50))
    lines = playlist.multivariant(origin.window, "folder/").splitlines()
    told = hls_player.attributes(lines[-2].removeprefix("#EXT-X-STREAM-INF:"))
    assert lines[-1] == "folder/media.m3u8"
    assert told["RESOLUTION"] == "320x180"
    assert told["FRAME-RATE"] == "25.000"
    assert told["CODECS"].startswith("avc1.42")
    assert told["CODECS"].endswith(",opus")
    sizes = [len(segment.body) * 8 / segment.duration_s for segment in origin.window.closed]
    assert max(sizes) <= int(told["BANDWIDTH"]) <= 1.2 * max(sizes)
    assert min(sizes) <= int(told["AVERAGE-BANDWIDTH"]) <= max(sizes) + 1


def test_sound_alone_is_told_so() -> None:
    origin = Origin().feed(Camera().audio(camera.sounds(8.0)).timed())
    text = playlist.multivariant(origin.window)
    assert 'CODECS="opus"' in text
    assert "RESOLUTION" not in text


def test_every_uri_is_a_name_in_the_playlists_own_folder() -> None:
    origin = Origin().feed(recording(9.0))
    text = playlist.media(origin.window, 2)
    uris = re.findall(r'URI="([^"]*)"|^(segment[^\n]*)', text, re.MULTILINE)
    assert len(uris) > 20
    assert all(playlist.read_name(quoted or line) for quoted, line in uris)


def test_standing_of_what_a_player_may_wait_for() -> None:
    origin = Origin(first_number=10).feed(recording(5.0))
    window = origin.window
    last = window.segments[-1]
    assert (last.number, last.is_open, len(last.parts)) == (12, True, 2)
    standing = window.standing
    assert standing(11, None) is Availability.THERE
    assert standing(12, None) is Availability.COMING
    assert standing(12, 1) is Availability.THERE
    assert standing(12, 2) is Availability.COMING
    assert standing(12, 10) is Availability.COMING
    assert standing(12, 11) is Availability.TOO_FAR
    assert standing(13, None) is Availability.COMING
    assert standing(13, 9) is Availability.TOO_FAR
    assert standing(14, None) is Availability.TOO_FAR
    # A part beyond a whole segment is the next one's first.
    assert standing(11, 99) is Availability.THERE
    assert standing(0, 0) is Availability.THERE
    window.end()
    assert standing(99, None) is Availability.THERE


def test_a_part_beyond_a_segment_is_waited_for_in_the_next() -> None:
    origin = Origin(first_number=10).feed([e for e in recording(9.0) if e[0] < 4.05])
    window = origin.window
    assert [(s.number, s.is_open, len(s.parts)) for s in window.segments] == [
        (10, False, 6),
        (11, False, 6),
    ]
    assert window.standing(10, 6) is Availability.THERE
    assert window.standing(11, 5) is Availability.THERE
    assert window.standing(11, 6) is Availability.COMING
    assert window.standing(12, 0) is Availability.COMING


def test_the_window_is_bounded() -> None:
    origin = Origin().feed(recording(31.0))
    window = origin.window
    first = window.segments[0].number
    assert [window.segment(n) is not None for n in range(first - 4, first + 1)] == [
        False,
        *[True] * 4,
    ]
    assert window.part(0) is None
    assert window.section(first + 1000) is None


frames = st.lists(
    st.tuples(st.sampled_from([1 / 30, 1 / 25, 0.1, 0.4, 1.3]), st.booleans()),
    min_size=20,
    max_size=200,
)


@examples(40)
@given(frames, st.sets(st.integers(0, 199), max_size=2), st.booleans())
def test_any_schedule_of_pictures(
    drawn: list[tuple[float, bool]], restarts: set[int], heard: bool
) -> None:
    """Whatever the rhythm, the keyframes and the restarts: the rules hold for every version."""
    encoded = camera.pictures(2.0, size=(64, 34), gop=1)
    made, at_s, ssrc = Camera(), 0.0, 1
    for number, (gap_s, keyframe) in enumerate(drawn):
        ssrc += number in restarts
        made.ssrc = ssrc
        picture = encoded[number % len(encoded)]
        if not keyframe and number:
            picture = camera.Picture((b"\x41" + bytes(30),), picture.at_s, False)
        made.video([camera.Picture(picture.units, Fraction(0), picture.keyframe)], at_s)
        at_s += gap_s
    if heard:
        made.audio(camera.sounds(5.0), 0.5)
    origin = Origin().feed(made.timed())
    origin.add(list(origin.muxer.end()))
    if origin.window.closed:
        assert origin.end().is_ended


@pytest.mark.parametrize(
    "path",
    ["", "part-.m4s", "part-1.mp3", "part-1.m4s/..", "part-\u0661.m4s", "x" * 999, "part--1.m4s"],
)
def test_names_that_mean_nothing(path: str) -> None:
    assert playlist.read_name(path) is None


def test_subtitles_go_with_the_sound_whose_segments_they_have() -> None:
    window = Origin().feed(recording(9.0)).window
    text = playlist.multivariant(window, "t/", has_aac=True, language="de")
    assert [(uri, told["SUBTITLES"]) for uri, told in hls_player.variants(text)] == [
        ("t/late.m3u8", "opus-captions"),
        ("t/aac-late.m3u8", "aac-captions"),
    ]
    told = hls_player.subtitles(text)
    assert {group: one["URI"] for group, one in told.items()} == {
        "opus-captions": "t/captions.m3u8",
        "aac-captions": "t/aac-captions.m3u8",
    }
    assert {(one["NAME"], one["LANGUAGE"]) for one in told.values()} == {("Captions", "de")}
