"""The labels of a series, with the text that a scrape writes for them.

Values change from scrape to scrape and labels do not, so their text is made once: it is most of what a scrape writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ESCAPES", "Labels", "label_text"]

ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Labels(dict[str, str]):
    """Labels by name, in order, not to be changed; `text` is how both formats write them."""

    __slots__ = ("text",)

    def __init__(self, labels: Mapping[str, str]) -> None:
        super().__init__(labels)
        self.text = label_text(labels)


def label_text(labels: Mapping[str, str]) -> str:
    """`{name="value",…}`, or nothing when there are none."""
    if isinstance(labels, Labels):
        return labels.text
    pairs = [f'{name}="{value.translate(ESCAPES)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""
