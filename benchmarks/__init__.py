"""Compares the project with its alternatives and with the limits of the machine.

Each module is a family of rows and a script; `python -m benchmarks` runs all of them and writes docs/benchmarks.md.
`harness/` has the shared code: rows, alternating rounds, contestants, the page.
"""
