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
_MOST_WORK = {0: 4096, 1: 2048, 2: 8}
"""Ways, weighed by what one of them reads, that stay below about 50 ms on the longest text: by how many
places of the text are free. Each open-ended repeat has one, and so has the beginning unless `^` fixes it."""
_READ_AT_ONCE = 25
"""Characters read in about the time that one more way takes."""
_GROUP_AGAIN = 4
"""How much longer a character takes that is read by a group once more."""
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
    length: int = 0
    """The most characters that one way reads of the current alternative, open-ended repeats apart."""
    longest: int = 0
    """The most of the alternatives already closed by `|`."""
    price: int = 1
    """What reading it once more takes, a character."""
    loose: bool = False
    """Whether it can match in more than one way."""

    def total(self) -> int:
        return self.alternatives + self.ways

    def reads(self) -> int:
        return max(self.longest, self.length)


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
                piece.price = _GROUP_AGAIN
                outer = groups[-1]
                outer.ways *= piece.total()
                outer.open_ends += piece.open_ends
                outer.length += piece.reads()
                outer.loose = outer.loose or piece.loose or piece.alternatives > 0
            case "either":
                here.alternatives += here.ways
                here.longest = here.reads()
                here.ways, here.length, here.loose = 1, 0, True
            case "escape" if token[0][1] in "123456789":
                raise PatternRefusedError(f"{token[0]!r} refers back to a group")
            case "repeat":
                _repeat(here, piece, *_limits(token))
                piece = _Group(loose=True)
            case _:
                piece = _Group(length=1)
                here.length += 1
    _weigh(groups[0], begins=pattern.startswith("^") and not groups[0].alternatives)


def _weigh(whole: _Group, *, begins: bool) -> None:
    """Refuse what takes too long; `begins`: it can match at the beginning of a text only."""
    free = whole.open_ends + (0 if begins else 1)
    if free not in _MOST_WORK:
        most = max(_MOST_WORK) if begins else max(_MOST_WORK) - 1
        # To fix the beginning makes room for one more.
        way_out = " unless it begins with ^" if not begins and whole.open_ends in _MOST_WORK else ""
        raise PatternRefusedError(f"it has {whole.open_ends} open-ended repeats, more than {most}{way_out}")
    work = whole.total() * (1 + whole.reads() // _READ_AT_ONCE)
    if work > _MOST_WORK[free]:
        raise PatternRefusedError(
            f"it can match in {whole.total()} ways of up to {whole.reads()} characters, more than can be"
            f" tried beside {whole.open_ends} open-ended repeats"
        )


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
        more = least - 1
    else:
        here.ways *= most - least + 1
        more = most - 1
    here.length += piece.price * piece.reads() * max(more, 0)
    here.loose = True
