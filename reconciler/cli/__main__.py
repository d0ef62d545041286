"""`python -m reconciler.cli`, for when the console script is not on the PATH."""

from reconciler.cli import main

main()
