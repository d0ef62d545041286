"""Ours beside what a user would pick instead, and beside the least that this machine could do.

Each module is a family of rows and a script of its own; `python -m benchmarks` runs all of them and writes
docs/benchmarks.md. `harness/` is what families share: what a row is, alternating rounds, contestants, the page.
"""
