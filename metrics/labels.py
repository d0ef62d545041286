"""The labels of a series, with the text that a scrape writes for them.

Labels do not change between scrapes, so their text is cached: it is most of the output of a scrape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ESCAPES", "Labels", "label_text"]

ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Labels(dict[str, str]):
    """Labels by name, in order; immutable. `text` is their form in both formats."""

    __slots__ = ("text",)

    def __init__(self, labels: Mapping[str, str]) -> None:
        super().__init__(labels)
        self.text = label_text(labels)


def label_text(labels: Mapping[str, str]) -> str:
    """`{name="value",…}`, or an empty text without labels."""
    if isinstance(labels, Labels):
        return labels.text
    pairs = [f'{name}="{value.translate(ESCAPES)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""
