"""`python -m shared` is `hive`."""

from shared.cli import main

main()
