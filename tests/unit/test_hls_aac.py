"""AAC next to Opus, without an encoder's process: what files hold, and when parts come out."""

from collections.abc import Iterator
from functools import cache

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import camera, hls_player, mp4
from support.camera import Camera
from umbel.media.hls import boxes, playlist
from umbel.media.hls.aac import FRAME_TICKS, AacSegments
from umbel.media.hls.boxes import AUDIO_TRACK, VIDEO_TRACK, Sample, Sound, VideoSets
from umbel.media.hls.muxer import Muxer
from umbel.media.hls.segmenter import Part
from umbel.media.hls.variant import Variant

START_S = 40_000.0
SECONDS = 9.0


@cache
def aac_frames(count: int) -> tuple[bytes, ...]:
    """A tone by another encoder than the product's."""
    codec = av.CodecContext.create("aac", "w")
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = (
        48_000,
        "stereo",
        "fltp",
        128_000,
    )
    found: list[bytes] = []
    for number in range(count + 2):
        at = np.arange(number * FRAME_TICKS, (number + 1) * FRAME_TICKS)
        tone = (0.4 * np.sin(2 * np.pi * 440 * at / 48_000)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, number * FRAME_TICKS
        found += [bytes(packet) for packet in codec.encode(frame)]
    return tuple(found[:count])


class Encoder:
    """Stands for the worker: gives a frame for each 1024 samples that it got."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self._given = 0

    def take(self, at: int, data: bytes) -> None:
        self.places.append(at)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        zero, end = self.places[0], self.places[-1] + 960
        while zero + (self._given + 1) * FRAME_TICKS <= end:
            self._given += 1
            yield zero + (self._given - 1) * FRAME_TICKS, aac_frames(500)[self._given]


class Made:
    """Both variants of a recording; AAC is wanted at `from_s`, its encoder ready at `ready_s`."""

    def __init__(self, from_s: float, ready_s: float) -> None:
        self.muxer, self.encoder = Muxer(), Encoder()
        self.opus = Variant(playlist.MEDIA, self.muxer.segmenter, 0)
        self.aac: Variant | None = None
        self.first_s = 0.0
        segments: AacSegments | None = None
        made = Camera().video(camera.pictures(SECONDS)).audio(camera.sounds(SECONDS))
        for at_s, data in made.timed():
            now_s = START_S + at_s
            self.opus.add(self.muxer.packets([data], now_s), lambda at: at, self._came_s)
            if at_s >= from_s and self.aac is None:
                segments = self.muxer.aac = AacSegments(self.muxer.segmenter, self.encoder.take)
                self.aac = Variant(playlist.AAC, segments.segmenter, 0)
                sets = self.opus.window.segments[-1].opening.tracks.video
                segments.begin(self.opus.recorded(), sets, now_s)
            if segments is not None and self.aac is not None and at_s >= ready_s:
                for place, frame in self.encoder.frames():
                    segments.frame(place, frame, now_s)
                self.aac.add(segments.take(), lambda at: at, self._came_s)
                self.first_s = self.first_s or (at_s if self.aac.window.closed else 0.0)

    @staticmethod
    def _came_s(at_s: float) -> float:
        return at_s + 0.2


def file_of(variant: Variant) -> bytes:
    window = variant.window
    section = window.section(window.segments[0].map_number)
    assert section is not None
    return section + b"".join(segment.body for segment in window.segments)


def test_what_is_there_already_is_given_out_as_soon_as_its_sound_is_encoded() -> None:
    made = Made(from_s=6.5, ready_s=7.0)
    assert made.aac is not None
    assert made.first_s == pytest.approx(7.0, abs=0.05)
    assert [s.opening.tracks.audio for s in made.aac.window.segments] == [Sound.AAC] * len(
        made.aac.window.segments
    )
    got = mp4.decode(file_of(made.aac))
    other = mp4.decode(file_of(made.opus))
    # The same pictures at the same times, sound from the first to the last.
    assert got.shown_s == other.shown_s
    assert got.heard_s[0] == pytest.approx(other.heard_s[0], abs=0.03)
    assert got.samples == pytest.approx(other.samples, abs=4 * FRAME_TICKS)
    assert got.heard_s == sorted(set(got.heard_s))


def test_the_playlist_of_aac_keeps_the_rules() -> None:
    made = Made(from_s=6.5, ready_s=7.0)
    assert made.aac is not None
    view = hls_player.parse(made.aac.media(compressed=False).decode())
    assert view.target_s == made.opus.target_s
    uris = [part.uri for segment in view.segments for part in segment.parts]
    assert uris and all(uri.startswith("aac-part-") for uri in uris)
    assert view.hint.startswith("aac-part-")
    names = [playlist.read_name(uri) for uri in (*uris, view.segments[0].map_uri)]
    assert all(name is not None and name.playlist == playlist.AAC for name in names)
    assert all(made.aac.file(name) for name in names if name is not None)


def test_pictures_go_on_when_no_sound_is_encoded() -> None:
    made = Made(from_s=4.5, ready_s=99.0)
    segments = made.muxer.aac
    assert segments is not None
    parts = [one for one in segments.take() if isinstance(one, Part)]
    assert parts
    assert sum(part.frames for part in parts) > 200


def test_a_break_while_it_waits_drops_what_was_held() -> None:
    made = Made(from_s=8.9, ready_s=99.0)
    segments = made.muxer.aac
    assert segments is not None
    segments.discontinue()
    for place, frame in made.encoder.frames():
        segments.frame(place, frame, START_S + SECONDS)
    assert segments.take() == []


def test_the_multivariant_playlist_lists_opus_first_and_both_in_groups() -> None:
    made = Made(from_s=6.5, ready_s=7.0)
    text = playlist.multivariant(made.opus.window, "folder/", has_aac=True)
    (first, opus), (second, aac) = hls_player.variants(text)
    assert (first, second) == ("folder/media.m3u8", "folder/aac.m3u8")
    assert (opus["AUDIO"], aac["AUDIO"]) == ("opus", "aac")
    video, _, sound = opus["CODECS"].partition(",")
    assert (sound, aac["CODECS"]) == ("opus", f"{video},mp4a.40.2")
    assert aac["RESOLUTION"] == opus["RESOLUTION"]
    # A bound that is too low would be worse than one that is too high.
    assert made.aac is not None
    sizes = [len(one.body) * 8 / one.duration_s for one in made.aac.window.closed]
    assert int(aac["BANDWIDTH"]) >= max(sizes)
    assert int(aac["BANDWIDTH"]) > int(opus["BANDWIDTH"])


def test_a_stream_without_sound_has_no_groups() -> None:
    muxer = Muxer()
    variant = Variant(playlist.MEDIA, muxer.segmenter, 0)
    for at_s, data in Camera().video(camera.pictures(5.0)).timed():
        variant.add(muxer.packets([data], START_S + at_s), lambda at: at, lambda at: at)
    text = playlist.multivariant(variant.window, has_aac=True)
    [(name, told)] = hls_player.variants(text)
    assert name == "media.m3u8"
    assert "AUDIO" not in told


def test_an_aac_track_is_what_others_read() -> None:
    tracks = boxes.Tracks(None, Sound.AAC)
    frames = aac_frames(20)
    run = [Sample(0, FRAME_TICKS, frame, True) for frame in frames]
    data = boxes.initialisation(tracks) + boxes.fragment(1, [(AUDIO_TRACK, 0, run)])
    got = mp4.decode(data)
    assert got.samples == 20 * FRAME_TICKS
    assert got.heard_s == [pytest.approx(n * FRAME_TICKS / 48_000, abs=1e-4) for n in range(20)]


samples = st.lists(
    st.builds(
        Sample,
        at=st.just(0),
        duration=st.integers(0, 1 << 31),
        data=st.binary(max_size=30),
        keyframe=st.booleans(),
    ),
    max_size=8,
)


@given(
    st.lists(
        st.tuples(st.sampled_from([VIDEO_TRACK, AUDIO_TRACK]), st.integers(0, 1 << 60), samples),
        max_size=2,
    )
)
def test_samples_are_read_as_they_were_written(
    runs: list[tuple[int, int, list[Sample]]],
) -> None:
    expected = []
    for track, first, run in runs:
        at = first
        for sample in run:
            sample.at = at
            expected.append((track, sample))
            at += sample.duration
    assert list(boxes.samples(boxes.fragment(7, runs))) == expected


def test_sets_belong_to_key_pictures_alone() -> None:
    segments = AacSegments(Muxer().segmenter, lambda _at, _data: None)
    sets = VideoSets(camera.pictures(0.1)[0].units[0], (b"\x68\xce",))
    plain = Sample(0, 3000, b"\0\0\0\1\x41", False)
    segments.begin([(VIDEO_TRACK, plain)], sets, START_S)
    # A run cannot begin with it.
    assert segments.take() == []


def test_sound_that_is_encoded_later_is_not_held_back_longer() -> None:
    made = Made(from_s=5.0, ready_s=7.0)
    assert made.aac is not None
    for window in (made.opus.window, made.aac.window):
        for one in window.closed:
            assert one.ended_s == pytest.approx(one.opening.at_s + one.duration_s + 0.2)
