"""A text in a form in which it is compared, and where each of its characters stands in the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """Every character of `text` stands for the span from `starts` to `ends` at its place, end exclusive.

    Spans are in the order of the text; two characters may share one (㈱ reads as three), and parts of the
    original that change nothing stand for nobody.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span in the original of what stands from `start` to `end` here; it is never empty."""
        return self.starts[start], self.ends[end - 1]

    def picked(self, letters: Sequence[str], places: Sequence[int]) -> Form:
        """The form of these letters, of which each stands for the character at its place here."""
        starts, ends = self.starts, self.ends
        return Form("".join(letters), [starts[at] for at in places], [ends[at] for at in places])
