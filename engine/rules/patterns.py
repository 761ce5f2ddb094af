"""Which regular expressions an author may write: those whose running time stays bounded on any text.

Python's `re` backtracks, so a careless pattern and a long text can hold a process for hours. A small scanner
bounds the number of ways a pattern can try; what it cannot bound it refuses.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

LONGEST_PATTERN = 200
"""Characters a pattern may have."""
LONGEST_TEXT = 500
"""Characters a text may have to be held against a pattern; a longer one leaves the test unknown."""
_MOST_WAYS = {0: 4096, 1: 128, 2: 4}
"""By the number of open-ended repeats: each multiplies the work by the length of the text."""
_OPEN_FROM = 33
"""A repeat of up to this many times or more counts as open-ended."""

_TOKEN = re.compile(
    r"(?P<escape>\\.)"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<open>\((?:\?:?)?)"
    r"|(?P<close>\))"
    r"|(?P<either>\|)"
    r"|(?P<repeat>[*+?]|\{(?P<least>\d*)(?P<comma>,?)(?P<most>\d*)\})"
    r"|(?P<plain>.)",
    re.DOTALL,
)


class PatternRefusedError(ValueError):
    """The pattern is not allowed; the message says what about it."""


@dataclass
class _Group:
    """What was read since the last opening bracket."""

    ways: int = 1
    """The ways the current alternative can match a text, open-ended repeats apart."""
    alternatives: int = 0
    """Ways of the alternatives already closed by `|`."""
    open_ends: int = 0
    loose: bool = False
    """Whether it can match in more than one way."""

    def total(self) -> int:
        return self.alternatives + self.ways


def check_pattern(pattern: str) -> None:
    """Return when the pattern compiles and is safe to run.

    Raises re.error when it does not compile and PatternRefusedError when its running time cannot be bounded.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise PatternRefusedError(f"it has {len(pattern)} characters, more than {LONGEST_PATTERN}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            re.compile(pattern)
        except (FutureWarning, DeprecationWarning) as warning:
            raise PatternRefusedError(f"its meaning changes between versions: {warning}") from warning
        except (RecursionError, OverflowError) as error:
            raise PatternRefusedError("it nests or repeats too much") from error
    _bound(pattern)


def _bound(pattern: str) -> None:
    groups = [_Group()]
    piece = _Group()  # the last complete item, which a repeat would apply to
    for token in _TOKEN.finditer(pattern):
        here = groups[-1]
        match token.lastgroup:
            case "open":
                if token[0] not in ("(", "(?:"):
                    raise PatternRefusedError(f"{token[0]!r} is not allowed; only ( ) and (?: ) are")
                groups.append(_Group())
            case "close":
                piece = groups.pop()
                outer = groups[-1]
                outer.ways *= piece.total()
                outer.open_ends += piece.open_ends
                outer.loose = outer.loose or piece.loose or piece.alternatives > 0
            case "either":
                here.alternatives += here.ways
                here.ways, here.loose = 1, True
            case "escape" if token[0][1] in "123456789":
                raise PatternRefusedError(f"{token[0]!r} refers back to a group")
            case "repeat":
                _repeat(here, piece, *_limits(token))
                piece = _Group(loose=True)
            case _:
                piece = _Group()
    whole = groups[0]
    if whole.open_ends not in _MOST_WAYS:
        raise PatternRefusedError(f"it has {whole.open_ends} open-ended repeats, more than {max(_MOST_WAYS)}")
    if whole.total() > (most := _MOST_WAYS[whole.open_ends]):
        raise PatternRefusedError(f"it can match in {whole.total()} ways, more than {most}")


def _limits(token: re.Match[str]) -> tuple[int, int | None]:
    """Least and most repeats; None for no end."""
    simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
    if token[0] in simple:
        return simple[token[0]]
    least = int(token["least"] or 0)
    if not token["comma"]:
        return least, least
    return least, int(token["most"]) if token["most"] else None


def _repeat(here: _Group, piece: _Group, least: int, most: int | None) -> None:
    """Count a repeat of `piece`, whose own ways are already counted once in `here`."""
    again = most is None or most > 1
    if again and (piece.loose or piece.alternatives or piece.open_ends):
        raise PatternRefusedError("it repeats a group that can itself match in several ways")
    if most is None or (most >= _OPEN_FROM and most > least):
        here.open_ends += 1
    else:
        here.ways *= most - least + 1
    here.loose = True
