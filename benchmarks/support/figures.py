"""How a bench speaks: a JSON object a line on stdout for programs, a line on stderr for people."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A median of `n` runs, next to a named peer or limit measured or stated in the same run."""

    bench: str
    case: str
    value: float
    unit: str
    n: int
    peer: str | None = None
    peer_value: float | None = None

    def line(self) -> dict[str, object]:
        """The fixed form: ratio is value over peer_value, null where there is no peer."""
        ratio = round(self.value / self.peer_value, 2) if self.peer_value else None
        row = asdict(self) | {"value": round(self.value, 2), "ratio": ratio}
        if self.peer_value is not None:
            row["peer_value"] = round(self.peer_value, 2)
        order = ("bench", "case", "value", "unit", "peer", "peer_value", "ratio", "n")
        return {key: row[key] for key in order}


def emit(figure: Figure) -> None:
    """Say it, both ways."""
    row = figure.line()
    print(json.dumps(row, separators=(",", ":")), flush=True)
    compared = f"{figure.peer} {row['peer_value']}  ratio {row['ratio']}" if figure.peer else ""
    said = f"{figure.bench:<9} {figure.case:<22} {row['value']:>10} {figure.unit:<12} {compared}"
    print(said.rstrip(), file=sys.stderr, flush=True)


def emit_next_to(figure: Figure, peers: Mapping[str, float]) -> None:
    """Say it once for each peer, or alone where there is none."""
    for peer, value in peers.items():
        emit(replace(figure, peer=peer, peer_value=value))
    if not peers:
        emit(figure)
