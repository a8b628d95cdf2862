"""The element API: one table, from which requests are checked and the reference is printed."""

from umbel.media.api import core, umbel
from umbel.media.api.schema import Schema

SCHEMA = Schema(
    elements={entry.name: entry for entry in (*core.ELEMENTS, *umbel.ELEMENTS)},
    values={entry.name: entry for entry in (*core.VALUES, *umbel.VALUES)},
)

# What getInfo tells; clients look for these three names.
MODULES = {
    "core": tuple(entry.name for entry in core.ELEMENTS if entry.new),
    "elements": tuple(entry.name for entry in umbel.ELEMENTS if entry.new),
    "filters": (),
}
