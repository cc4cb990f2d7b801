"""``python -m freehold`` is the command line."""

from freehold.cli import main

main(prog_name="freehold")
