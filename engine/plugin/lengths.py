"""How long a text is, counted as its platform counts."""

from __future__ import annotations

from typing import Literal

LengthUnit = Literal["characters", "bytes", "utf16"]
"""Characters of Unicode, bytes of UTF-8, or units of UTF-16."""


def length_in(text: str, unit: LengthUnit) -> int:
    """The length of a text in this unit."""
    if unit == "characters":
        return len(text)
    if unit == "bytes":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fitting(text: str, most: int, unit: LengthUnit) -> int:
    """How many characters of the text, from its beginning, are no longer than `most`."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if length_in(text[:middle], unit) <= most:
            low = middle
        else:
            high = middle - 1
    return low
