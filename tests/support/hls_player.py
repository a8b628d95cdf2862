"""A player's view of HLS: parse a media playlist strictly, and hold it to RFC 8216bis."""

import re
from dataclasses import dataclass, field
from datetime import datetime

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)')
_SLACK_S = 1e-4


@dataclass
class PartView:
    uri: str
    duration_s: float
    independent: bool


@dataclass
class SegmentView:
    map_uri: str
    began: datetime
    discontinuity: bool
    parts: list[PartView] = field(default_factory=list)
    uri: str = ""
    duration_s: float = 0.0


@dataclass
class PlaylistView:
    """`segments` may end with one that has parts only: the open one."""

    target_s: int = 0
    part_target_s: float = 0.0
    control: dict[str, str] = field(default_factory=dict)
    first_number: int = 0
    discontinuities_gone: int = 0
    is_independent: bool = False
    is_ended: bool = False
    hint: str = ""
    segments: list[SegmentView] = field(default_factory=list)

    @property
    def whole(self) -> list[SegmentView]:
        return [segment for segment in self.segments if segment.uri]

    @property
    def last_number(self) -> int:
        return self.first_number + len(self.whole) - 1

    @property
    def open_parts(self) -> int:
        return 0 if not self.segments or self.segments[-1].uri else len(self.segments[-1].parts)


def attributes(text: str) -> dict[str, str]:
    """An attribute list, quotes taken off; every character must belong to it."""
    found = list(_ATTRIBUTE.finditer(text))
    assert "".join(match[0] for match in found) == text, text
    assert len({match[1] for match in found}) == len(found), f"an attribute twice: {text}"
    return {match[1]: match[2].strip('"') for match in found}


def variants(text: str) -> list[tuple[str, dict[str, str]]]:
    """URI and attributes of each variant of a multivariant playlist, held to RFC 8216bis: groups
    that are named exist, their names differ, and each group of sound has one rendition by
    default."""
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    found: list[tuple[str, dict[str, str]]] = []
    groups: dict[str, list[dict[str, str]]] = {}
    texts = subtitles(text)
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-STREAM-INF":
            assert following and not following.startswith("#"), "a variant without its URI"
            found.append((following, attributes(value)))
        elif tag == "#EXT-X-MEDIA":
            rendition = attributes(value)
            if rendition["TYPE"] == "SUBTITLES":
                continue
            assert rendition["TYPE"] == "AUDIO"
            groups.setdefault(rendition["GROUP-ID"], []).append(rendition)
    for group in groups.values():
        assert len({rendition["NAME"] for rendition in group}) == len(group)
        assert [rendition["DEFAULT"] for rendition in group].count("YES") == 1
        assert all(r["AUTOSELECT"] == "YES" for r in group if r["DEFAULT"] == "YES")
    # RFC 8216bis 4.4.6.2.2: all variants have the attribute, or none.
    assert {told.get("AUDIO", "") for _, told in found} == (set(groups) or {""})
    assert {told.get("SUBTITLES", "") for _, told in found} == (set(texts) or {""})
    assert len({uri for uri, _ in found}) == len(found)
    for _, told in found:
        assert int(told["AVERAGE-BANDWIDTH"]) <= int(told["BANDWIDTH"])
    return found


def subtitles(text: str) -> dict[str, dict[str, str]]:
    """The subtitles of a multivariant playlist, by group; each group has one."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-MEDIA" and (told := attributes(value))["TYPE"] == "SUBTITLES":
            assert told["GROUP-ID"] not in found
            assert told["URI"]
            found[told["GROUP-ID"]] = told
    return found


class _Reader:
    def __init__(self, *, has_maps: bool = True, least_version: int = 9) -> None:
        self.view = PlaylistView()
        self.has_maps, self.least_version = has_maps, least_version
        self.map_uri = ""
        self.open: SegmentView | None = None
        self.discontinuity = False
        self.seen: set[str] = set()

    def line(self, line: str) -> None:
        if not line.startswith("#"):
            assert self.open is not None and self.open.duration_s, "a URI without EXTINF"
            self.open.uri, self.open = line, None
            return
        tag, _, value = line.partition(":")
        name = "tag_" + tag[1:].lower().replace("-", "_")
        getattr(self, name)(value)

    def once(self, tag: str) -> None:
        assert tag not in self.seen, f"{tag} twice"
        self.seen.add(tag)

    def tag_ext_x_version(self, value: str) -> None:
        self.once("version")
        assert int(value) >= self.least_version

    def tag_ext_x_targetduration(self, value: str) -> None:
        self.once("target")
        self.view.target_s = int(value)

    def tag_ext_x_server_control(self, value: str) -> None:
        self.once("control")
        self.view.control = attributes(value)

    def tag_ext_x_part_inf(self, value: str) -> None:
        self.once("part inf")
        self.view.part_target_s = float(attributes(value)["PART-TARGET"])

    def tag_ext_x_media_sequence(self, value: str) -> None:
        self.once("sequence")
        assert not self.view.segments
        self.view.first_number = int(value)

    def tag_ext_x_discontinuity_sequence(self, value: str) -> None:
        self.once("discontinuity sequence")
        assert not self.view.segments
        self.view.discontinuities_gone = int(value)

    def tag_ext_x_independent_segments(self, _value: str) -> None:
        self.view.is_independent = True

    def tag_ext_x_discontinuity(self, _value: str) -> None:
        assert self.open is None and not self.discontinuity
        self.discontinuity = True

    def tag_ext_x_map(self, value: str) -> None:
        assert self.open is None and self.has_maps
        self.map_uri = attributes(value)["URI"]

    def tag_ext_x_program_date_time(self, value: str) -> None:
        assert self.open is None and bool(self.map_uri) is self.has_maps
        self.open = SegmentView(self.map_uri, datetime.fromisoformat(value), self.discontinuity)
        self.discontinuity = False
        self.view.segments.append(self.open)

    def tag_ext_x_part(self, value: str) -> None:
        assert self.open is not None
        told = attributes(value)
        independent = told.get("INDEPENDENT") == "YES"
        self.open.parts.append(PartView(told["URI"], float(told["DURATION"]), independent))

    def tag_extinf(self, value: str) -> None:
        assert self.open is not None and value.endswith(",")
        self.open.duration_s = float(value[:-1])

    def tag_ext_x_preload_hint(self, value: str) -> None:
        self.once("hint")
        told = attributes(value)
        assert told["TYPE"] == "PART"
        self.view.hint = told["URI"]

    def tag_ext_x_endlist(self, _value: str) -> None:
        self.view.is_ended = True


def parse(text: str) -> PlaylistView:
    """Read a media playlist. An unknown tag or a tag in a wrong place fails."""
    first, *lines = text.splitlines()
    assert first == "#EXTM3U"
    assert text.endswith("\n")
    reader = _Reader()
    for line in lines:
        reader.line(line)
    check(reader.view)
    return reader.view


def parse_late(text: str, *, captions: bool = False) -> PlaylistView:
    """A playlist of whole segments alone, of pictures or of captions, as `parse` reads others."""
    first, *lines = text.splitlines()
    assert first == "#EXTM3U"
    assert text.endswith("\n")
    reader = _Reader(has_maps=not captions, least_version=6)
    for line in lines:
        reader.line(line)
    view = reader.view
    assert view.target_s and view.segments and not view.control and not view.hint
    assert view.whole == view.segments
    for segment in view.whole:
        assert not segment.parts
        assert segment.duration_s > 0
        assert int(segment.duration_s + 0.5) <= view.target_s
    return view


def check(view: PlaylistView) -> None:
    """The numeric rules for one playlist."""
    assert view.control["CAN-BLOCK-RELOAD"] == "YES"
    assert float(view.control["HOLD-BACK"]) >= 3 * view.target_s
    assert float(view.control["PART-HOLD-BACK"]) >= 3 * view.part_target_s - 1e-9
    assert view.is_ended != bool(view.hint)
    assert all(segment.uri for segment in view.segments[:-1])
    whole_s = 0.0
    for segment in view.whole:
        assert segment.duration_s > 0
        assert int(segment.duration_s + 0.5) <= view.target_s
        parts_s = sum(part.duration_s for part in segment.parts)
        assert not segment.parts or abs(parts_s - segment.duration_s) < 1e-3
        if view.is_independent and segment.parts:
            assert segment.parts[0].independent
        whole_s += segment.duration_s
    for segment in view.segments:
        _check_parts(segment, view.part_target_s)
    behind_s = 0.0
    for segment in reversed(view.segments):
        if abs(behind_s - 3 * view.target_s) > 0.01:
            assert bool(segment.parts) == (behind_s < 3 * view.target_s)
        behind_s += segment.duration_s or sum(part.duration_s for part in segment.parts)


def _check_parts(segment: SegmentView, target_s: float) -> None:
    for part in segment.parts:
        assert 0 < part.duration_s <= target_s + _SLACK_S
    for part in segment.parts[:-1]:
        assert part.duration_s >= 0.85 * target_s - _SLACK_S or part.independent


def check_next(old: PlaylistView, new: PlaylistView) -> None:
    """The rules for a later version of a playlist."""
    assert new.target_s == old.target_s
    assert new.part_target_s == old.part_target_s
    gone = new.first_number - old.first_number
    assert gone >= 0
    assert new.last_number >= old.last_number
    dropped = sum(segment.discontinuity for segment in old.segments[:gone])
    if gone <= len(old.segments):
        assert new.discontinuities_gone == old.discontinuities_gone + dropped
    for before, after in zip(old.segments[gone:], new.segments, strict=False):
        assert (before.map_uri, before.began) == (after.map_uri, after.began)
        assert before.discontinuity == after.discontinuity
        if before.uri:
            assert (before.uri, before.duration_s) == (after.uri, after.duration_s)
        if after.parts:
            assert [p.uri for p in before.parts] == [p.uri for p in after.parts][
                : len(before.parts)
            ]
    if not new.is_ended and gone:
        # What was removed must leave three target durations at least.
        assert sum(segment.duration_s for segment in new.whole) >= 3 * new.target_s - _SLACK_S
