"""`python -m umbel.repository.node_storage` is `umbel storage`, without the rest of Umbel."""

import sys

from umbel.repository.node_storage.main import main

main(sys.argv[1:])
