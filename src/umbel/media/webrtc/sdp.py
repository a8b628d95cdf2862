"""Session descriptions of WHIP and WHEP clients (RFC 8866, RFC 8829), and trickled fragments.

In: the text of an offer or of an `application/trickle-ice-sdpfrag` (RFC 8840). Out: values, or
MalformedSdp naming the line. What to make of an offer is negotiate.py's, answers are answer.py's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from umbel.media.rtp.errors import MalformedSdp

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_SETUPS = ("actpass", "active", "passive", "holdconn")
_MEDIA = re.compile(r"([a-z]{1,20}) (\d{1,5})(?:/\d{1,5})? (\S{1,40})((?: \S{1,64})+)", re.ASCII)
_RTPMAP = re.compile(r"(\d{1,3}) ([\w.+-]{1,64})/(\d{1,9})(?:/(\d{1,3}))?", re.ASCII)
_BY_FORMAT = re.compile(r"(\d{1,3}|\*) (\S.*)", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~\w-]{1,64}", re.ASCII)
_UFRAG = re.compile(r"[A-Za-z0-9+/=_-]{4,256}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9+/=_-]{22,256}", re.ASCII)
_FINGERPRINT = re.compile(r"([A-Za-z0-9-]{1,20}) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,63})")
_CANDIDATE = re.compile(r"\S{1,32} \d{1,5} \S{1,16} \d{1,10} \S{1,255} \d{1,5} typ \S+.*", re.ASCII)
_MOST_LINES = 2000
_BUNDLED_PORT = 9


@dataclass(frozen=True, kw_only=True)
class PayloadFormat:
    """One payload type of an offer. `name` is in capitals, `parameters` the fmtp text."""

    payload_type: int
    name: str
    clock_hz: int
    channels: int = 1
    parameters: str = ""
    feedback: tuple[str, ...] = ()

    def parameter(self, name: str, default: str) -> str:
        """A format parameter, in small letters."""
        for part in self.parameters.split(";"):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip().lower()
        return default


@dataclass(frozen=True, kw_only=True)
class Section:
    """One m-line with what follows; `fingerprints` are (algorithm in small letters, digest).

    `port` 0 is a section the client turned off; one that is only bundled has another.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str | None
    direction: str
    rtcp_mux: bool
    codecs: tuple[PayloadFormat, ...]
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, bytes], ...]
    setup: str


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A whole offer; `bundle` are the mids of the first BUNDLE group (RFC 9143)."""

    bundle: tuple[str, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """What a client trickles: new credentials ask for an ICE restart."""

    mid: str
    ufrag: str
    password: str
    candidates: tuple[str, ...]
    ended: bool


@dataclass
class _Draft:
    """What was read so far of the session part or of one m-line."""

    kind: str = ""
    port: int = 0
    protocol: str = ""
    formats: tuple[str, ...] = ()
    single: dict[str, str] = field(default_factory=dict)
    fingerprints: list[tuple[str, bytes]] = field(default_factory=list)
    rtpmaps: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    parameters: dict[int, str] = field(default_factory=dict)
    feedback: list[tuple[str, str]] = field(default_factory=list)
    bundle: tuple[str, ...] = ()
    candidates: list[str] = field(default_factory=list)


def parse_offer(text: str) -> Offer:
    """Read an offer. Raises MalformedSdp with the details `line` (from 1) and `text`."""
    lines = _lines(text)
    number, first, value = next(lines, (1, "", ""))
    if (first, value) != ("v", "0"):
        raise _malformed(number, f"{first}={value}" if first else "", "expected v=0")
    session = _Draft()
    drafts = [session]
    for number, kind, value in lines:
        if kind == "m":
            drafts.append(_media(number, value))
        elif kind == "a":
            _attribute(drafts[-1], number, value)
    if len(drafts) == 1:
        raise _malformed(number, "", "there is no m= line")
    sections = tuple(_section(draft, session) for draft in drafts[1:])
    return Offer(bundle=session.bundle, sections=sections)


def parse_fragment(text: str) -> Fragment:
    """Read a trickled fragment. Raises MalformedSdp as `parse_offer` does."""
    draft = _Draft()
    for number, kind, value in _lines(text):
        if kind == "a":
            _attribute(draft, number, value)
        elif kind == "m":
            _media(number, value)
    return Fragment(
        mid=draft.single.get("mid", "0"),
        ufrag=draft.single.get("ice-ufrag", ""),
        password=draft.single.get("ice-pwd", ""),
        candidates=tuple(draft.candidates),
        ended="end-of-candidates" in draft.single,
    )


def _malformed(number: int, text: str, reason: str) -> MalformedSdp:
    shown = text[:200]
    return MalformedSdp(f"line {number}: {reason}: {shown!r}", line=number, text=shown)


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, type letter, value) of each line; the last may lack its end."""
    rows = text.replace("\r\n", "\n").split("\n")
    for number, row in enumerate(rows, 1):
        if not row and number == len(rows):
            return
        if number > _MOST_LINES:
            raise _malformed(number, row, "too many lines")
        if len(row) < 2 or row[1] != "=" or not ("a" <= row[0] <= "z"):
            raise _malformed(number, row, "not of the form letter=value")
        yield number, row[0], row[2:]


def _media(number: int, value: str) -> _Draft:
    match = _MEDIA.fullmatch(value)
    if match is None or int(match[2]) > 65535:
        raise _malformed(number, f"m={value}", "expected m=<media> <port> <protocol> <formats>")
    formats = tuple(match[4].split())
    return _Draft(kind=match[1], port=int(match[2]), protocol=match[3], formats=formats)


def _attribute(draft: _Draft, number: int, value: str) -> None:
    name, _, rest = value.partition(":")
    reader = _READERS.get(name)
    if reader is not None and not reader(draft, name, rest):
        raise _malformed(number, f"a={value}", f"{name} cannot be read")


def _read_flag(draft: _Draft, name: str, _rest: str) -> bool:
    draft.single[name] = ""
    return True


def _read_direction(draft: _Draft, name: str, _rest: str) -> bool:
    draft.single["direction"] = name
    return True


def _read_candidate(draft: _Draft, _name: str, rest: str) -> bool:
    draft.candidates.append(rest)
    return _CANDIDATE.fullmatch(rest) is not None


def _reader_of(pattern: re.Pattern[str]) -> Callable[[_Draft, str, str], bool]:
    def read(draft: _Draft, name: str, rest: str) -> bool:
        draft.single[name] = rest
        return pattern.fullmatch(rest) is not None

    return read


def _read_setup(draft: _Draft, name: str, rest: str) -> bool:
    draft.single[name] = rest
    return rest in _SETUPS


def _read_group(draft: _Draft, _name: str, rest: str) -> bool:
    kind, *mids = rest.split(" ")
    if kind == "BUNDLE" and not draft.bundle:
        draft.bundle = tuple(mids)
    return all(_TOKEN.fullmatch(mid) for mid in mids)


def _read_fingerprint(draft: _Draft, _name: str, rest: str) -> bool:
    match = _FINGERPRINT.fullmatch(rest)
    if match is not None:
        draft.fingerprints.append((match[1].lower(), bytes.fromhex(match[2].replace(":", ""))))
    return match is not None


def _read_rtpmap(draft: _Draft, _name: str, rest: str) -> bool:
    match = _RTPMAP.fullmatch(rest)
    if match is None or not int(match[3]) > 0 or int(match[1]) > 127:
        return False
    draft.rtpmaps[int(match[1])] = (match[2].upper(), int(match[3]), int(match[4] or 1))
    return True


def _read_parameters(draft: _Draft, _name: str, rest: str) -> bool:
    match = _BY_FORMAT.fullmatch(rest)
    if match is None or match[1] == "*":
        return False
    draft.parameters[int(match[1])] = match[2]
    return True


def _read_feedback(draft: _Draft, _name: str, rest: str) -> bool:
    match = _BY_FORMAT.fullmatch(rest)
    if match is not None:
        draft.feedback.append((match[1], match[2].strip().lower()))
    return match is not None


_READERS: Mapping[str, Callable[[_Draft, str, str], bool]] = MappingProxyType(
    {
        "bundle-only": _read_flag,
        "candidate": _read_candidate,
        "end-of-candidates": _read_flag,
        "fingerprint": _read_fingerprint,
        "fmtp": _read_parameters,
        "group": _read_group,
        "ice-pwd": _reader_of(_PASSWORD),
        "ice-ufrag": _reader_of(_UFRAG),
        "mid": _reader_of(_TOKEN),
        "rtcp-fb": _read_feedback,
        "rtcp-mux": _read_flag,
        "rtpmap": _read_rtpmap,
        "setup": _read_setup,
        **dict.fromkeys(DIRECTIONS, _read_direction),
    }
)


def _section(draft: _Draft, session: _Draft) -> Section:
    single = {**session.single, **draft.single}
    return Section(
        kind=draft.kind,
        port=draft.port or (_BUNDLED_PORT if "bundle-only" in draft.single else 0),
        protocol=draft.protocol,
        formats=draft.formats,
        mid=draft.single.get("mid"),
        direction=single.get("direction", "sendrecv"),
        rtcp_mux="rtcp-mux" in draft.single,
        codecs=tuple(_codecs(draft)),
        ufrag=single.get("ice-ufrag", ""),
        password=single.get("ice-pwd", ""),
        fingerprints=tuple(draft.fingerprints or session.fingerprints),
        setup=single.get("setup", "actpass"),
    )


def _codecs(draft: _Draft) -> Iterator[PayloadFormat]:
    """The payload types in the order the offer prefers them."""
    for text in draft.formats:
        known = draft.rtpmaps.get(int(text)) if text.isascii() and text.isdigit() else None
        if known is not None:
            name, clock_hz, channels = known
            yield PayloadFormat(
                payload_type=int(text),
                name=name,
                clock_hz=clock_hz,
                channels=channels,
                parameters=draft.parameters.get(int(text), ""),
                feedback=tuple(what for which, what in draft.feedback if which in ("*", text)),
            )
