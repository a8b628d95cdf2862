"""The paths whose bodies are streamed: they are not read into memory, and may take any time."""

import re

from umbel.portal.api import transfers, uploads

STREAMS = re.compile(rf"{transfers.STREAMS.pattern}|{uploads.STREAMS}")
