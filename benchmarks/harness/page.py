"""Formats rows: on the terminal while a family runs alone, and as docs/benchmarks.md after a whole run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.harness.row import Row, amount, spread

HEADERS: Final = ("what", "ours", "beside", "theirs", "ours ÷ theirs", "goal", "", "the machine's own limit")
VERDICTS: Final = {True: "kept", False: "**MISSED**", None: ""}

INTRODUCTION: Final = """\
# Benchmarks

`make bench` measures everything in one run on one machine and writes this page; `make soak` adds the last section.
Contestants take turns, round by round. A figure is the median of its rounds, with minimum and maximum in brackets; a ratio
is ours divided by theirs in the same round, so less is better for times. A missed goal is marked."""


def text(rows: Iterable[Row]) -> str:
    """The rows for a terminal, a few short lines each."""
    return "\n".join(_lines(row) for row in rows)


def _lines(row: Row) -> str:
    parts = [f"{row.what}: {spread(row.ours, row.unit)}"]
    if row.against:
        parts.append(f"    beside {row.against}: {spread(row.theirs, row.unit)}, ours ÷ theirs {_ratio(row)}")
    if row.goal:
        parts.append(f"    goal {row.goal.text(row.unit)}: {VERDICTS[row.holds].strip('*') or 'not judged'}")
    parts.append(f"    limit {row.limit}")
    return "\n".join(parts + ([f"    {row.note}"] if row.note else []))


def markdown(rows: Sequence[Row]) -> str:
    """The rows as one table, with numbered notes below it."""
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    lines = [_line(HEADERS), _line(["---"] * len(HEADERS))]
    for row in rows:
        mark = f" [{notes.index(row.note) + 1}]" if row.note else ""
        cells = (
            row.what + mark,
            spread(row.ours, row.unit),
            row.against,
            spread(row.theirs, row.unit),
            _ratio(row),
        )
        goal = row.goal.text(row.unit) if row.goal else ""
        lines.append(_line((*cells, goal, VERDICTS[row.holds], row.limit)))
    told = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return "\n".join([*lines, *(["", *told] if told else [])])


def page(results: Mapping[str, Any], rows: Sequence[Row], soak: Mapping[str, Any] | None) -> str:
    """docs/benchmarks.md: the machine, the table, how cost grows, and the last soak."""
    machine, growth = results["machine"], results["growth"]
    kept, missed = (sum(row.holds is verdict for row in rows) for verdict in (True, False))
    parts = [
        INTRODUCTION,
        f"The run of {results['day']} took {results['seconds'] / 60:.0f} minutes and keeps {kept} of {kept + missed} "
        "goals.",
        f"{machine['cpus']} cores, {machine['kernel']}, Docker {machine['engine']}, Compose {machine['compose']}, Python "
        f"{machine['python']}.",
        markdown(rows),
        *(f"Not measured: {name}, because {reason}." for name, reason in results["failures"].items()),
        "## How cost grows",
        "The controller's own cost of a pass with nothing to do, with an engine in memory. "
        "`scripts/benchmark-picture` draws it.",
        "![Pass time over replicas and services](pass-time.png)",
        _growth(growth),
    ]
    return "\n\n".join(parts + ([_soak(soak)] if soak else [])) + "\n"


def _growth(growth: Mapping[str, Sequence[Sequence[float]]]) -> str:
    lines = [_line(("replicas of one service", "a pass", "for each replica")), _line(["---"] * 3)]
    lines += [_line((f"{n:,.0f}", amount(s, "s"), amount(s / n, "s"))) for n, s in growth["replicas"]]
    lines += [
        "",
        _line(("services of 10 replicas", "a pass over all", "for each service")),
        _line(["---"] * 3),
    ]
    lines += [_line((f"{n:,.0f}", amount(s, "s"), amount(s / n, "s"))) for n, s in growth["services"]]
    return "\n".join(lines)


def _soak(soak: Mapping[str, Any]) -> str:
    lines = [
        "## Soak",
        f"`make soak` on {soak['day']}: {soak['minutes']:g} minutes under load, with {soak['churn']}.",
        _line(("", "first third", "last third", "change")) + "\n" + _line(["---"] * 4),
    ]
    for name, (first, last) in soak["series"].items():
        lines[-1] += "\n" + _line((name, f"{first:,.1f}", f"{last:,.1f}", f"{last - first:+.1f}"))
    lines.append(
        f"{soak['requests']:,} requests, {soak['lost']} lost. In addition, {soak['kills']} replicas were killed, with "
        f"{soak['interrupted']} requests that cannot be repeated: POSTs, and those whose response had begun. "
        f"Left over afterwards: {soak['left'] or 'nothing'}."
    )
    return "\n\n".join(lines)


def _ratio(row: Row) -> str:
    if not row.ratios:
        return "–"
    middle, least, most = (f"{each:.3g}" for each in (median(row.ratios), min(row.ratios), max(row.ratios)))
    return f"{middle} ×" if least == most else f"{middle} × ({least} – {most})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
