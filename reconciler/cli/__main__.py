"""`python -m reconciler.cli`, for where the console script is not on the PATH."""

from reconciler.cli import main

main()
