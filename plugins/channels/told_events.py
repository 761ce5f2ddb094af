"""Which of the things that people do on a platform a ruleset is told of: names in a setting, with commas.

An event of a type that the ruleset does not declare would only end up among the dead letters, so nothing is
told that nobody has named.
"""

from __future__ import annotations

from collections.abc import Collection


def names_in(text: str) -> frozenset[str]:
    """The names of a list with commas."""
    return frozenset(name for name in (part.strip() for part in text.split(",")) if name)


def check_names(text: str, known: Collection[str]) -> str:
    """The same text; ValueError when it names what there is not."""
    strange = sorted(names_in(text) - set(known))
    if strange:
        raise ValueError(f"{strange[0]!r} is none of {', '.join(known)}")
    return text
