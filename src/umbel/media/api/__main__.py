"""Print the reference of the element API."""

import sys

from umbel.media.api import SCHEMA
from umbel.media.api.reference import markdown

sys.stdout.write(markdown(SCHEMA))
