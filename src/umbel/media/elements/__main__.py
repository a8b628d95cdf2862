"""Print the reference of the element API."""

import sys

from umbel.media.elements import SCHEMA
from umbel.media.elements.reference import markdown

sys.stdout.write(markdown(SCHEMA))
