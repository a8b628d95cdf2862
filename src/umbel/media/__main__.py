"""`python -m umbel.media` is `umbel media`, without the rest of the platform."""

import sys

from umbel.media.main import main

main(sys.argv[1:])
