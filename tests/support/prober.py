"""Sends numbered datagrams to an echo at a steady rate, in a process of its own, until its input
ends; then says what came back: JSON with `sent`, `lost`, the longest `gap_s` between answers, and
`is_silent` where no answers came in the end.

    prober.py ADDRESS PORT RATE
"""

import json
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Any

BURST = 20
"""After a stall of our own it does not send all that is due at once."""
SETTLED = 500
"""It says `begun` after so many answers, and ends with as many after its input has ended."""
LAST_S, LATE_S = 30.0, 0.5


def probe(address: str, port: int, rate: int) -> dict[str, float]:
    """Until standard input has ended, and the answers come again."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    peer.setblocking(False)
    peer.connect((address, port))
    inputs: list[Any] = [peer, sys.stdin]
    sent, gap_s, last_s = 0, 0.0, 0.0
    answered: set[int] = set()
    goal, ends_s, due_s = 0, 0.0, time.monotonic()
    while not ends_s or time.monotonic() < ends_s:
        now_s = time.monotonic()
        due_s = max(due_s, now_s - BURST / rate)
        while due_s <= now_s:
            with suppress(ConnectionRefusedError):  # it is not listening: counted as lost
                peer.send(struct.pack("!Q", sent) + bytes(192))
            sent, due_s = sent + 1, due_s + 1 / rate
        readable, _, _ = select.select(inputs, [], [], max(0.0, due_s - now_s))
        if sys.stdin in readable:
            inputs.remove(sys.stdin)
            goal, ends_s = len(answered) + SETTLED, now_s + LAST_S
        if took := _taken(peer):
            at_s = time.monotonic()
            gap_s, last_s = max(gap_s, at_s - (last_s or at_s)), at_s
            before = len(answered)
            answered.update(took)
            if before < SETTLED <= len(answered):
                print("begun", flush=True)
        if goal and len(answered) >= goal:
            break
    while select.select([peer], [], [], LATE_S)[0]:
        answered.update(_taken(peer))
    lost, is_silent = sent - len(answered), len(answered) < goal
    return {"sent": sent, "lost": lost, "gap_s": round(gap_s, 4), "is_silent": is_silent}


def _taken(peer: socket.socket) -> list[int]:
    took: list[int] = []
    while True:
        try:
            took += struct.unpack("!Q", peer.recv(2048)[:8])
        except (BlockingIOError, ConnectionRefusedError):
            return took


if __name__ == "__main__":
    _, to, number, wanted = sys.argv
    print(json.dumps(probe(to, int(number), int(wanted))))
