"""SRTP between functions (RFC 3711, RFC 7714: AEAD_AES_128_GCM): plain packets in, protected ones
out, and back. No I/O.

The function that makes a stream protects it; functions that show it to viewers, or make another
stream of it, read it. Between them, forwarders pass on what they cannot read. A receiver may join a
stream at any packet, so it cannot know how often the sequence numbers have started again: a sender
takes a new master key then, and once a minute. Each packet has its identifier (MKI, RFC 3711
section 3.1), and the key follows from it and the stream's key. See
docs/decisions/0104-srtp-between-functions.md.
"""

import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from umbel.media.rtp import packet as rtp
from umbel.media.rtp.srtp_keys import derived

MKI_BYTES = 12
"""48 bits of milliseconds since the epoch, when the key's use began; 16 random bits; 32 bits that
prove that the sender has the stream's key, before a receiver derives any."""
_MKI_TAG_BYTES = 4
TRAILER_BYTES = 16 + MKI_BYTES
"""By how much a protected RTP packet is longer."""

_PURPOSE, _MKI_PURPOSE = b"umbel srtp between functions", b"umbel srtp mki"
_MASTER_BYTES, _SALT_BYTES, _NONCE_BYTES = 16, 12, 12
_RTP_KEY, _RTP_SALT, _RTCP_KEY, _RTCP_SALT = 0, 2, 3, 5  # RFC 3711 section 4.3.2
_RTCP_CLEAR_BYTES, _RTCP_INDEX_BYTES = 8, 4
_ENCRYPTED = 1 << 31
_RENEW_S = 60.0
_MOST_OLDER_MS = 120_000
_FORGET_S = 5.0
_MOST_KEYS = 16
_MOST_TRIES_PER_S = 50


def master_key(stream_key: bytes, mki: bytes) -> bytes:
    """The master key and master salt of an identifier (28 bytes; HKDF, RFC 5869)."""
    size = _MASTER_BYTES + _SALT_BYTES
    return HKDF(algorithm=SHA256(), length=size, salt=mki, info=_PURPOSE).derive(stream_key)


def _mki(stream_key: bytes, ssrc: bytes, unique: bytes) -> bytes:
    """The identifier of a source's master key, out of its time and its random bits."""
    return unique + hmac.digest(stream_key, _MKI_PURPOSE + ssrc + unique, "sha256")[:_MKI_TAG_BYTES]


def _began_ms(mki: bytes) -> int:
    return int.from_bytes(mki[:6], "big")


class _Cipher:
    """AES-GCM for one source, with the session key and session salt of two labels."""

    def __init__(self, master: bytes, ssrc: bytes, labels: tuple[int, int]) -> None:
        key, salt = master[:_MASTER_BYTES], master[_MASTER_BYTES:]
        aead = AESGCM(derived(key, salt, labels[0], _MASTER_BYTES))
        self.encrypt, self.decrypt = aead.encrypt, aead.decrypt
        salt_value = int.from_bytes(derived(key, salt, labels[1], _SALT_BYTES), "big")
        self._base = salt_value ^ int.from_bytes(ssrc, "big") << 48

    def nonce(self, index: int) -> bytes:
        """RFC 7714 sections 8.1 and 9.1; the rollover counter is always 0."""
        return (self._base ^ index).to_bytes(_NONCE_BYTES, "big")


class _Keys:
    """What follows from one master key, which is for one source."""

    def __init__(self, stream_key: bytes, mki: bytes, ssrc: bytes) -> None:
        master = master_key(stream_key, mki)
        self.mki, self.ssrc = mki, ssrc
        self.rtp = _Cipher(master, ssrc, (_RTP_KEY, _RTP_SALT))
        self.rtcp = _Cipher(master, ssrc, (_RTCP_KEY, _RTCP_SALT))


@dataclass(slots=True)
class _Sending:
    """A source's keys now."""

    keys: _Keys
    until_s: float
    sequence: int = 0
    reports: int = 0


class Protector:
    """One direction of a stream, at who makes it. `now_ms` tells the time of day."""

    def __init__(self, stream_key: bytes, now_ms: Callable[[], int]) -> None:
        self._stream_key = stream_key
        self._now_ms = now_ms
        self._last_ms = 0
        self._sources: dict[bytes, _Sending] = {}

    def protect(self, batch: Sequence[bytes], now_s: float) -> list[bytes]:
        """The packets, protected, in their order; those that are none are left out. Each RTP
        packet may be given once: to send it again, keep what came out."""
        return [
            self._report(data, now_s) if rtp.is_rtcp(data) else self._media(data, now_s)
            for data in batch
            if len(data) >= _RTCP_CLEAR_BYTES + (0 if rtp.is_rtcp(data) else 4)
        ]

    def _media(self, data: bytes, now_s: float) -> bytes:
        ssrc, sequence = data[8:12], rtp.sequence_of(data)
        source = self._sources.get(ssrc)
        if source is None or sequence <= source.sequence or now_s >= source.until_s:
            source = self._renewed(ssrc, now_s)
        source.sequence = sequence
        size = _header_bytes(data)
        header, cipher = data[:size], source.keys.rtp
        body = cipher.encrypt(cipher.nonce(sequence), data[size:], header)
        return header + body + source.keys.mki

    def _report(self, data: bytes, now_s: float) -> bytes:
        ssrc = data[4:8]
        source = self._sources.get(ssrc) or self._renewed(ssrc, now_s)
        source.reports += 1
        index = (_ENCRYPTED | source.reports).to_bytes(_RTCP_INDEX_BYTES, "big")
        clear, cipher = data[:_RTCP_CLEAR_BYTES], source.keys.rtcp
        nonce = cipher.nonce(source.reports)
        body = cipher.encrypt(nonce, data[_RTCP_CLEAR_BYTES:], clear + index)
        return clear + body + index + source.keys.mki

    def _renewed(self, ssrc: bytes, now_s: float) -> _Sending:
        # Later than the last one, also where the clock is set back: receivers refuse old keys, and
        # no two of ours are the same.
        self._last_ms = max(self._now_ms(), self._last_ms + 1)
        unique = self._last_ms.to_bytes(6, "big") + secrets.token_bytes(2)
        mki = _mki(self._stream_key, ssrc, unique)
        self._sources.pop(ssrc, None)
        while len(self._sources) >= _MOST_KEYS:
            del self._sources[next(iter(self._sources))]
        # Below 0, so that the first number, whatever it is, does not start again.
        made = _Sending(_Keys(self._stream_key, mki, ssrc), now_s + _RENEW_S, sequence=-1)
        self._sources[ssrc] = made
        return made


@dataclass(slots=True)
class _Receiving:
    """A source's keys, and the numbers that came with them: each is good for one packet."""

    keys: _Keys
    came: bytearray = field(default_factory=lambda: bytearray(8192))
    reports: int = 0

    def is_new(self, sequence: int) -> bool:
        return not self.came[sequence >> 3] & 1 << (sequence & 7)

    def note(self, sequence: int) -> None:
        self.came[sequence >> 3] |= 1 << (sequence & 7)


class Unprotector:
    """The other direction, at a function that reads the stream. `refused` counts what was forged,
    repeated or broken."""

    def __init__(self, stream_key: bytes) -> None:
        self._stream_key = stream_key
        self._known: dict[bytes, _Receiving] = {}
        self._newest_ms = self._oldest_ms = 0
        self._heard_s = float("-inf")
        self._tries_s, self._tries = float("-inf"), 0
        self.refused = 0

    def unprotect(self, batch: Sequence[bytes], now_s: float) -> list[bytes]:
        """The plain packets, in their order; what is forged, repeated or broken is left out."""
        out: list[bytes] = []
        for data in batch:
            plain = self._one(data, now_s)
            if plain is None:
                self.refused += 1
            else:
                out.append(plain)
        return out

    def _one(self, data: bytes, now_s: float) -> bytes | None:
        is_rtcp = rtp.is_rtcp(data)
        least = _RTCP_CLEAR_BYTES + _RTCP_INDEX_BYTES if is_rtcp else rtp.HEADER_BYTES
        if len(data) < least + TRAILER_BYTES:
            return None
        ssrc, mki = data[4:8] if is_rtcp else data[8:12], data[-MKI_BYTES:]
        source = self._known.get(mki) or self._tried(ssrc, mki, now_s)
        if source is None or source.keys.ssrc != ssrc:
            return None
        plain = _report(source, data) if is_rtcp else _media(source, data)
        if plain is not None:
            self._heard_s = now_s
            if mki not in self._known:
                self._keep(source)
        return plain

    def _tried(self, ssrc: bytes, mki: bytes, now_s: float) -> _Receiving | None:
        """Keys that are not known yet: of a new source, or of one that renewed them. Those of a
        stream that was recorded are older than what comes now."""
        if not hmac.compare_digest(mki, _mki(self._stream_key, ssrc, mki[:-_MKI_TAG_BYTES])):
            return None
        if now_s - self._heard_s >= _FORGET_S:
            # Nothing is on air: the sender may have another clock now.
            self._newest_ms = self._oldest_ms = 0
        if _began_ms(mki) < max(self._oldest_ms, self._newest_ms - _MOST_OLDER_MS):
            return None
        if now_s - self._tries_s >= 1.0:
            self._tries_s, self._tries = now_s, 0
        self._tries += 1
        if self._tries > _MOST_TRIES_PER_S:
            return None
        return _Receiving(_Keys(self._stream_key, mki, ssrc))

    def _keep(self, source: _Receiving) -> None:
        self._newest_ms = max(self._newest_ms, _began_ms(source.keys.mki))
        self._known[source.keys.mki] = source
        if len(self._known) > _MOST_KEYS:
            oldest = min(self._known, key=_began_ms)
            self._oldest_ms = _began_ms(oldest) + 1
            del self._known[oldest]


def _media(source: _Receiving, data: bytes) -> bytes | None:
    sequence, size = rtp.sequence_of(data), _header_bytes(data)
    if not source.is_new(sequence) or len(data) < size + TRAILER_BYTES:
        return None
    cipher, header = source.keys.rtp, data[:size]
    try:
        body = cipher.decrypt(cipher.nonce(sequence), data[size:-MKI_BYTES], header)
    except InvalidTag:
        return None
    source.note(sequence)
    return header + body


def _report(source: _Receiving, data: bytes) -> bytes | None:
    end = len(data) - MKI_BYTES
    index = data[end - _RTCP_INDEX_BYTES : end]
    number = int.from_bytes(index, "big") ^ _ENCRYPTED
    if not source.reports < number < _ENCRYPTED:
        return None  # repeated, or not encrypted
    cipher, clear = source.keys.rtcp, data[:_RTCP_CLEAR_BYTES]
    sealed = data[_RTCP_CLEAR_BYTES : end - _RTCP_INDEX_BYTES]
    try:
        body = cipher.decrypt(cipher.nonce(number), sealed, clear + index)
    except InvalidTag:
        return None
    source.reports = number
    return clear + body


def _header_bytes(data: bytes) -> int:
    """With contributing sources and extensions (RFC 3550 section 5.1), unchecked."""
    first = data[0]
    if not first & 0x1F:
        return rtp.HEADER_BYTES
    size = rtp.HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        size += 4 + 4 * int.from_bytes(data[size + 2 : size + 4], "big")
    return size
