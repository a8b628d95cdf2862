"""Recorded speech for tests, as sound and as Opus packets; a program that only counts."""

import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from umbel.media.model import PayloadType
from umbel.media.speech.model import BYTES_PER_S, SAMPLE_HZ

_FOLDER = Path(__file__).parent.parent / "data" / "speech"
_TICKS = 960  # 20 ms

ECHO = """
import json, sys
heard, said = 0, 0
while data := sys.stdin.buffer.read1(65536):
    heard += len(data)
    while heard // 64000 > said:
        said += 1
        start = 2.0 * (said - 1)
        for text, final in (("line", False), (f"line {said} in LANGUAGE", True)):
            print(json.dumps({"text": text, "start": start, "end": start + 2, "final": final}),
                  flush=True)
"""
"""Says a line for every two seconds of sound."""


def go_forward(*, silence_s: float = 1.0) -> bytes:
    """Somebody says "go forward ten meters", then nothing."""
    silence = bytes(round(silence_s * SAMPLE_HZ) * 2)
    return (_FOLDER / "goforward.raw").read_bytes() + silence


def echo_command() -> str:
    """The command of ECHO."""
    text = (
        ECHO.replace("LANGUAGE", "{language}")
        .replace('f"line {said}', '"line %d')
        .replace('in {language}"', 'in {language}" % said')
    )
    return f"{sys.executable} -c '{text}'"


def opus(pcm: bytes) -> Iterator[bytes]:
    """The sound as Opus packets of 20 ms."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    samples = np.repeat(np.frombuffer(pcm, dtype="<i2"), 3)  # to 48 kHz
    for at in range(0, len(samples) - _TICKS + 1, _TICKS):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + _TICKS], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, at
        yield from (bytes(packet) for packet in encoder.encode(frame))


def rtp(packets: Iterator[bytes], *, ssrc: int = 7) -> list[bytes]:
    """RTP of the platform with these Opus packets."""
    head = bytes([0x80, PayloadType.OPUS])
    return [
        head
        + (number & 0xFFFF).to_bytes(2, "big")
        + (number * _TICKS & 0xFFFFFFFF).to_bytes(4, "big")
        + ssrc.to_bytes(4, "big")
        + packet
        for number, packet in enumerate(packets)
    ]


def seconds(pcm: bytes) -> float:
    """How long it lasts."""
    return len(pcm) / BYTES_PER_S
