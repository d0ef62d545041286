"""`python -m tests.fuzz [inputs [first seed]]`: every target gets its share; the count, and what was found.

The Kubernetes API gets as many again. A tenth as many fragments are compared with what Compose itself reads in them, and
half of a tenth are requests of each role to the API that its schema allows, or nearly.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz import kubernetes
from tests.fuzz.campaign import MAX_GROWTH, attack
from tests.fuzz.oracle import compare
from tests.fuzz.roles import WHO, ask_as
from tests.fuzz.targets import TARGETS

INPUTS = 200_000

if __name__ == "__main__":
    inputs, first = [*map(int, sys.argv[1:]), *(INPUTS, 0)[len(sys.argv) - 1 :]]
    others = [each for each in TARGETS if each not in kubernetes.SHARES]
    shares = {
        **dict.fromkeys(others, -(-inputs // len(others))),
        **{target: round(inputs * share) for target, share in kubernetes.SHARES.items()},
    }
    # The longest first, so that no processor waits for it in the end.
    targets = sorted(shares, key=lambda target: -shares[target])
    with ProcessPoolExecutor(os.cpu_count(), max_tasks_per_child=1) as pool:
        compared = pool.submit(compare, first, inputs // 10)
        asked = [pool.submit(ask_as, role, first, inputs // 20) for role in WHO]
        reports = list(pool.map(attack, targets, [first] * len(targets), map(shares.__getitem__, targets)))
        comparison = compared.result()
        answers = [each.result() for each in asked]
    for report in reports:
        print(*report.finds, report, sep="\n")
    for answer in answers:
        print(*answer.finds, answer, sep="\n")
    print(*comparison.differences, comparison, sep="\n")
    found = [*comparison.differences, *(each for answer in answers for each in answer.finds)]
    finds = len(found) + sum(len(report.finds) for report in reports)
    print(f"{sum(report.inputs for report in reports):,} inputs, {finds} finds")
    sys.exit(bool(finds) or any(report.grown > MAX_GROWTH for report in reports))
