"""What `umbel simulate` is asked for. Imports nothing heavy: the command line reads it."""

from dataclasses import dataclass
from enum import StrEnum


class Name(StrEnum):
    """What can be made: the paper's figures, and what moves its two gains."""

    FIG3 = "fig3"
    FIG4 = "fig4"
    FIG5 = "fig5"
    FIG6 = "fig6"
    FIG7 = "fig7"
    FIG8 = "fig8"
    FIG9 = "fig9"
    FIG10 = "fig10"
    ASSUMPTIONS = "assumptions"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class FigureRequest:
    """`out` is the folder for tables, pictures and kept results; `jobs` tasks run at once."""

    name: Name
    out: str
    quick: bool = False
    jobs: int = 1
    ray: bool = False
