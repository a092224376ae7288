"""`python -m chiron.server.cli`."""

from chiron.server.cli import main

main()
