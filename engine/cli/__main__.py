"""`python -m engine.cli`, where the command is not on the path."""

from engine.cli import main

main()
