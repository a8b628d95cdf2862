"""The dictionary on real frames: what an encoder made twice is one content, and cached once."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from umbel.caches import fingerprint
from umbel.caches.deduplicated import Deduplicated
from umbel.caches.dictionary import Dictionary
from umbel.caches.fingerprint import Hash
from umbel.caches.policies import Policy, make

pytestmark = pytest.mark.lab

Hashes = tuple[Hash | None, ...]
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SECONDS = 8
SOURCES = {
    "clock": "testsrc",
    "bars": "testsrc2",
    "fractal": "mandelbrot=start_scale=2",
    "triangle": "sierpinski=seed=4",
}
# Its name -> the picture's size, what the encoder does, and from which second the picture runs.
ENCODINGS = {
    "best": ((640, 360), ["-r", "25", "-c:v", "libx264", "-b:v", "1500k"], 0),
    "small": ((320, 240), ["-r", "15", "-c:v", "libx264", "-b:v", "90k"], 0),
    "old": ((480, 270), ["-r", "25", "-c:v", "mpeg4", "-b:v", "400k"], 0),
    "cut": ((426, 240), ["-r", "25", "-c:v", "libx264", "-b:v", "300k"], 2),
}


def run(*arguments: str) -> bytes:
    command = [FFMPEG, "-v", "error", "-nostdin", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout


def encode(source: str, encoding: str, path: Path) -> None:
    (width, height), options, start_s = ENCODINGS[encoding]
    picture = ["-f", "lavfi", "-i", SOURCES[source], "-vf", f"scale={width}:{height}"]
    span = ["-ss", str(start_s), "-t", str(SECONDS - start_s)]
    run(*picture, *options, "-preset", "ultrafast", "-pix_fmt", "yuv420p", *span, str(path))


def decode(encoding: str, path: Path) -> Hashes:
    """A frame a second, in the size that the file has."""
    (width, height), _options, start_s = ENCODINGS[encoding]
    rate = f"fps={1 / fingerprint.SAMPLE_S}"
    raw = run("-i", str(path), "-vf", rate, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    frames = np.frombuffer(raw, dtype=np.uint8).reshape(-1, height, width, 3)
    assert len(frames) >= SECONDS - start_s - 1
    return fingerprint.hash_frames(frames)


@pytest.fixture(scope="module")
def pictures(
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[tuple[str, str], Hashes]:
    folder = tmp_path_factory.mktemp("videos")
    found = {}
    for source in SOURCES:
        for encoding in ENCODINGS:
            path = folder / f"{source}-{encoding}.mp4"
            encode(source, encoding, path)
            found[source, encoding] = decode(encoding, path)
    return found


def test_encodings_of_one_content_match_and_others_do_not(
    pictures: Mapping[tuple[str, str], Hashes],
) -> None:
    known = Dictionary()
    contents = {
        (source, encoding): known.learn(f"{source}/{encoding}", hashes)
        for (source, encoding), hashes in pictures.items()
    }
    by_source = {s: {c for (of, _e), c in contents.items() if of == s} for s in SOURCES}
    assert [len(found) for found in by_source.values()] == [1] * len(SOURCES), by_source
    assert len(known) == len(SOURCES)


def test_a_cache_keeps_one_copy(
    pictures: Mapping[tuple[str, str], Hashes],
) -> None:
    known = Dictionary()
    for (source, encoding), hashes in pictures.items():
        known.learn(f"{source}/{encoding}", hashes)
    cache = Deduplicated(make(Policy.LRU, 10_000), known.content_of)
    addresses = [f"{source}/{encoding}" for encoding in ENCODINGS for source in SOURCES]
    hits = [cache.request(address, 2000, float(at)).hit for at, address in enumerate(addresses)]
    assert hits == [False] * len(SOURCES) + [True] * (len(addresses) - len(SOURCES))
    assert cache.used_bytes == 2000 * len(SOURCES)
