"""`python -m umbel` is the `umbel` command."""

from umbel.cli import main

main()
