"""The repository in shards: what encoding and decoding cost, and what a slow node does to readers.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. CPU of this process for the
code, next to the SHA-256 that each upload costs anyway. Reads go to 4 + 2 storages, of which one
answers each read late, and the same reads to plain storages, one of which is that one; both in one
run, in turn.
"""

import asyncio
import hashlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from umbel.kit import log  # noqa: E402
from umbel.repository.drivers.files import FileStorage  # noqa: E402
from umbel.repository.drivers.shards import ShardStorage  # noqa: E402
from umbel.repository.fec.layout import CELL_BYTES  # noqa: E402
from umbel.repository.fec.reed_solomon import Code  # noqa: E402
from umbel.repository.ports import Storage  # noqa: E402

K, M = 4, 2
ROUNDS = 5
STRIPES = 200
BLOBS, BLOB_BYTES, READ_BYTES, READS = 24, 4 << 20, 256 << 10, 120
LATE_S = 0.1
MB = 1e6


class LateStorage(FileStorage):
    """A storage whose node is busy: each read begins late."""

    async def read(self, blob: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        await asyncio.sleep(LATE_S)
        async with aclosing(super().read(blob, start, end)) as pieces:
            async for piece in pieces:
                yield piece


# -- the code ---------------------------------------------------------------------------------


def rate(run: Callable[[], object], size: int) -> float:
    """MB/s of CPU time."""
    began_s = time.process_time()
    for _ in range(STRIPES):
        run()
    return STRIPES * size / MB / (time.process_time() - began_s)


def measure_code() -> None:
    code, draw = Code(K, M), random.Random(1)
    data = [draw.randbytes(CELL_BYTES) for _ in range(K)]
    whole, cells = b"".join(data), dict(enumerate([*data, *code.encode(data)]))
    lost_both = {number: cells[number] for number in range(M, K + M)}
    lost_one = {number: cells[number] for number in range(1, K + 1)}
    cases: dict[str, Callable[[], object]] = {
        "encode": lambda: code.encode(data),
        "decode-2-lost": lambda: code.reconstruct(lost_both, range(K)),
        "decode-1-lost": lambda: code.reconstruct(lost_one, range(K)),
    }
    rounds = [
        {name: rate(run, len(whole)) for name, run in cases.items()}
        | {"sha256": rate(lambda: hashlib.sha256(whole).digest(), len(whole))}
        for _ in range(ROUNDS)
    ]
    sha256 = statistics.median(one["sha256"] for one in rounds)
    for name in cases:
        value = statistics.median(one[name] for one in rounds)
        emit(
            Figure(
                bench="fec",
                case=f"{K}+{M}-{name}",
                value=value,
                unit="MB/s",
                n=ROUNDS,
                peer="SHA-256",
                peer_value=sha256,
            )
        )


# -- reads ------------------------------------------------------------------------------------


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def read_ms(storage: Storage, blob: str, start: int) -> float:
    began_s = time.monotonic()
    async with aclosing(storage.read(blob, start, start + READ_BYTES)) as pieces:
        size = sum([len(piece) async for piece in pieces])
    assert size == READ_BYTES
    return (time.monotonic() - began_s) * 1000


async def measure_reads(folder: Path) -> dict[str, list[float]]:
    """One round: how long each read took, by kind."""
    draw, data = random.Random(2), random.Random(3).randbytes(BLOB_BYTES)
    plain = [_storage(folder / "plain" / str(n), n) for n in range(K + M)]
    coded = ShardStorage([_storage(folder / "coded" / str(n), n) for n in range(K + M)], M)
    for number in range(BLOBS):
        await plain[number % len(plain)].write(f"blob_{number}", chunks(data))
        await coded.write(f"blob_{number}", chunks(data))
    took: dict[str, list[float]] = {"plain": [], "coded": []}
    for _ in range(READS):
        number, start = draw.randrange(BLOBS), draw.randrange(BLOB_BYTES - READ_BYTES)
        blob = f"blob_{number}"
        took["plain"].append(await read_ms(plain[number % len(plain)], blob, start))
        took["coded"].append(await read_ms(coded, blob, start))
    await coded.close()
    return took


def _storage(folder: Path, number: int) -> Storage:
    return LateStorage(folder) if number == 0 else FileStorage(folder)


def main() -> None:
    """Every case."""
    log.configure(level="error")
    measure_code()
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
            rounds.append(asyncio.run(measure_reads(Path(folder))))
    for case, index in (("p50", 9), ("p95", 18)):
        values = {
            kind: statistics.median(
                statistics.quantiles(one[kind], n=20, method="inclusive")[index] for one in rounds
            )
            for kind in ("plain", "coded")
        }
        emit(
            Figure(
                bench="fec",
                case=f"one-slow-read-{case}",
                value=values["coded"],
                unit="ms",
                n=ROUNDS,
                peer="plain",
                peer_value=values["plain"],
            )
        )


if __name__ == "__main__":
    main()
