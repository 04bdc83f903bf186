"""`python -m dujiang`."""

from dujiang.cli import main

main()
