"""Traditional characters as the simplified ones, one for one.

The table is OpenCC's, as the distribution opencc-python-reimplemented carries it; its converter is not used:
it replaces whole phrases, and after that nobody can tell any more where a character stood.
"""

from __future__ import annotations

from functools import cache

from plugins.checks.text.tables import file_of


@cache
def simplified() -> dict[str, str]:
    """Each traditional character and the simplified one that is meant by it first."""
    table = {}
    for line in file_of("opencc", "dictionary/TSCharacters.txt").decode().splitlines():
        traditional, _, candidates = line.partition("\t")
        first = candidates.split(" ")[0]
        if len(traditional) == len(first) == 1 and traditional != first:
            table[traditional] = first
    return table
