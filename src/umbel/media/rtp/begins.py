"""What of a key picture an RTP payload holds or begins, whatever the codec.

Neighbours: h264_payload.py and vp8.py tell it of a payload, gop.py keeps what follows.
"""

from typing import NamedTuple


class Begins(NamedTuple):
    """What of a key picture a packet holds or begins (no Flag: this is asked of every packet)."""

    parameters: bool = False
    key_slice: bool = False


NOTHING = Begins()
