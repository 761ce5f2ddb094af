"""The brand book of a workspace, as checks and generators are given it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class PreferredWord:
    """A word of ours, and what people write instead of it."""

    write: str
    instead_of: tuple[str, ...]
    exempt_when: tuple[str, ...] = ()
    """Longer texts in which what is to be replaced is something else."""


@dataclass(frozen=True)
class BannedWord:
    """A word that our messages do not use."""

    word: str
    why: str = ""
    suggestion: str = ""
    exempt_when: tuple[str, ...] = ()
    """Longer texts in which it is something else: 父亲 for 亲."""


@dataclass(frozen=True)
class Claim:
    """A fact that may be claimed, in the words in which it may be."""

    claim: str
    evidence: str
    until: date | None = None
    """The last day on which it may be, in the workspace's zone; None: for good."""


@dataclass(frozen=True)
class BrandBook:
    """How the workspace speaks; one object for all messages of a bundle, so that caches may go by it."""

    tone: tuple[str, ...] = ()
    preferred: tuple[PreferredWord, ...] = ()
    banned: tuple[BannedWord, ...] = ()
    claims: tuple[Claim, ...] = ()

    def claims_on(self, day: date | None) -> tuple[Claim, ...]:
        """What may be claimed on a day; None for a day nobody knows: what may be claimed for good."""
        return tuple(
            each for each in self.claims if each.until is None or (day is not None and day <= each.until)
        )
