"""Many addresses, one content: a dictionary of frame hashes, as an iProxy keeps.

Hashes of an address come in; the content they belong to comes out, known or new. Two sequences
are the same content when most of the shorter one's frames have a near frame in the other at one
and the same shift. Near frames are found by multi-index hashing: hashes within 11 bits of each
other agree in one of four 16-bit words up to two bits (Norouzi et al., CVPR 2012).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from umbel.caches.fingerprint import Hash, distance
from umbel.kit.errors import Conflict

Content = int
Place = tuple[Content, int]

RADIUS = 11
LEAST_FRAMES = 3
LEAST_SHARE = 0.6
_WORDS = 4
_WORD_BITS = 16
_WORD = (1 << _WORD_BITS) - 1
_NEAR = RADIUS // _WORDS
_MASKS = tuple(
    sum(1 << bit for bit in bits)
    for count in range(_NEAR + 1)
    for bits in combinations(range(_WORD_BITS), count)
)


class KnownAddress(Conflict):
    """The address already belongs to another content."""

    code = "umbel.known_address"


class Index:
    """Hashes with where they stand; asks for a hash give every place within RADIUS bits."""

    def __init__(self) -> None:
        self._places: dict[Hash, set[Place]] = {}
        self._tables: list[dict[int, set[Hash]]] = [{} for _ in range(_WORDS)]

    def add(self, hash_: Hash, place: Place) -> None:
        """Remember that a hash stands at a place."""
        places = self._places.setdefault(hash_, set())
        if not places:
            for table, word in zip(self._tables, _words(hash_), strict=True):
                table.setdefault(word, set()).add(hash_)
        places.add(place)

    def discard(self, hash_: Hash, place: Place) -> None:
        """Forget it."""
        places = self._places[hash_]
        places.discard(place)
        if not places:
            del self._places[hash_]
            for table, word in zip(self._tables, _words(hash_), strict=True):
                table[word].discard(hash_)
                if not table[word]:
                    del table[word]

    def near(self, hash_: Hash) -> set[Place]:
        """Every place whose hash is within RADIUS bits."""
        some: set[Hash] = set()
        for table, word in zip(self._tables, _words(hash_), strict=True):
            for mask in _MASKS:
                some |= table.get(word ^ mask, frozenset())
        found = (self._places[other] for other in some if distance(hash_, other) <= RADIUS)
        return set().union(*found)


class Dictionary:
    """Which content an address shows. Contents are numbers, never used twice."""

    def __init__(self) -> None:
        self._index = Index()
        self._hashes: dict[Content, tuple[Hash | None, ...]] = {}
        self._addresses: dict[str, Content] = {}
        self._next = 0

    def __len__(self) -> int:
        """How many contents are known."""
        return len(self._hashes)

    def content_of(self, address: str) -> Content | None:
        """The content that an address shows, if it was learnt."""
        return self._addresses.get(address)

    def addresses_of(self, content: Content) -> tuple[str, ...]:
        """All that show it, in the order learnt."""
        return tuple(a for a, of in self._addresses.items() if of == content)

    def find(self, hashes: Sequence[Hash | None]) -> Content | None:
        """The content that these frames, SAMPLE_S apart, are of; None if none is near enough."""
        usable = [(at, hash_) for at, hash_ in enumerate(hashes) if hash_ is not None]
        if len(usable) < LEAST_FRAMES:
            return None
        votes: Counter[tuple[Content, int]] = Counter()
        for at, hash_ in usable:
            votes.update({(content, there - at) for content, there in self._index.near(hash_)})
        return self._best(votes, usable)

    def learn(self, address: str, hashes: Sequence[Hash | None]) -> Content:
        """The content that the address shows: one that is known, or a new one.

        Frames too few to tell make a content of their own that nothing else will match. Raises
        KnownAddress when an address shows something else than before: forget it first.
        """
        known = self._addresses.get(address)
        content = self.find(hashes)
        if known is not None and (content == known or self._hashes[known] == tuple(hashes)):
            return known
        if known is not None:
            raise KnownAddress(f"{address} showed another content before", address=address)
        if content is None:
            content = self._new(tuple(hashes))
        self._addresses[address] = content
        return content

    def forget(self, address: str) -> None:
        """Forget an address, and with its last address the content. Unknown ones are no news."""
        content = self._addresses.pop(address, None)
        if content is not None and content not in self._addresses.values():
            for hash_, at in _usable(self._hashes.pop(content)):
                self._index.discard(hash_, (content, at))

    def _new(self, hashes: tuple[Hash | None, ...]) -> Content:
        content = self._next
        self._next += 1
        self._hashes[content] = hashes
        for hash_, at in _usable(hashes):
            self._index.add(hash_, (content, at))
        return content

    def _best(
        self, votes: Counter[tuple[Content, int]], usable: Sequence[tuple[int, Hash]]
    ) -> Content | None:
        """The content and shift with the largest share of the frames that overlap."""
        best: tuple[float, int, int] | None = None
        for (content, shift), agreed in votes.items():
            known = self._hashes[content]
            both = sum(
                1
                for at, _hash in usable
                if 0 <= at + shift < len(known) and known[at + shift] is not None
            )
            shorter = min(len(usable), sum(hash_ is not None for hash_ in known))
            enough = both >= max(LEAST_FRAMES, LEAST_SHARE * shorter)
            if enough and agreed >= LEAST_SHARE * both:
                rank = (agreed / both, agreed, -content)
                best = max(best, rank) if best is not None else rank
        return None if best is None else -best[2]


def _words(hash_: Hash) -> Iterator[int]:
    return ((hash_ >> (_WORD_BITS * number)) & _WORD for number in range(_WORDS))


def _usable(hashes: Iterable[Hash | None]) -> Iterator[tuple[Hash, int]]:
    return ((hash_, at) for at, hash_ in enumerate(hashes) if hash_ is not None)
