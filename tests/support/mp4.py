"""Fragmented MP4 as other people's programs read it: PyAV decodes, a small walker counts boxes."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import av


@dataclass
class Decoded:
    """Presentation times in seconds, sizes of pictures, and samples of sound."""

    shown_s: list[float] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    heard_s: list[float] = field(default_factory=list)
    samples: int = 0

    @property
    def gaps_s(self) -> list[float]:
        """From each picture to the next one."""
        return [b - a for a, b in pairwise(self.shown_s)]


def decode(data: bytes) -> Decoded:
    """Decode everything. A frame that cannot be decoded raises."""
    out = Decoded()
    with av.open(io.BytesIO(data)) as container:
        for stream in container.streams:
            stream.codec_context.options = {"err_detect": "explode"}
        for frame in container.decode():
            assert frame.time is not None
            if isinstance(frame, av.VideoFrame):
                out.shown_s.append(frame.time)
                out.sizes.add((frame.width, frame.height))
            else:
                out.heard_s.append(frame.time)
                out.samples += frame.samples
    return out


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The boxes of one level; what is left over fails."""
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at, (name, size)
        yield name.decode("latin-1"), data[at + 8 : at + size]
        at += size


@dataclass(frozen=True)
class Run:
    """A track's samples in one fragment, in ticks."""

    track: int
    at: int
    durations: tuple[int, ...]
    keyframes: tuple[bool, ...]
    data: tuple[bytes, ...]

    @property
    def end(self) -> int:
        return self.at + sum(self.durations)


def runs(fragment: bytes) -> list[Run]:
    """The runs of one moof + mdat, with the bytes their offsets point at."""
    (first, moof), (second, _) = boxes(fragment)
    assert (first, second) == ("moof", "mdat")
    found = []
    for name, body in boxes(moof):
        if name != "traf":
            continue
        parts = dict(boxes(body))
        flags, track = struct.unpack(">II", parts["tfhd"])
        assert flags == 0x020000, "default-base-is-moof"
        version, at = struct.unpack(">IQ", parts["tfdt"])
        assert version >> 24 == 1
        found.append(_run(fragment, track, at, parts["trun"]))
    return found


def _run(fragment: bytes, track: int, at: int, trun: bytes) -> Run:
    _, count, offset = struct.unpack_from(">III", trun)
    fields = list(struct.iter_unpack(">III", trun[12:]))
    assert len(fields) == count
    data = []
    for _, size, _ in fields:
        data.append(fragment[offset : offset + size])
        offset += size
    return Run(
        track,
        at,
        tuple(duration for duration, _, _ in fields),
        tuple(not flags & 0x10000 for _, _, flags in fields),
        tuple(data),
    )
