"""What comes of a request, without anything that speaks HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(days=1)
LONGEST_ANSWER = 64 * 1024
"""Bytes of an answer that are read, unless the platform is known to say more."""


@dataclass(frozen=True)
class Answered:
    """What came back for one request."""

    status: int
    retry_after: str
    """The header of that name; empty when there is none."""
    body: bytes
    """Empty when it is longer than anybody reads."""


class NoAnswer(Exception):
    """The receiver did not answer; `kind` says how that came about, without quoting anything."""

    def __init__(self, kind: str, *, was_sent: bool) -> None:
        super().__init__(kind)
        self.kind = kind
        self.was_sent = was_sent
        """False when there was not even a connection."""


def wait_of(retry_after: str, now: datetime) -> timedelta | None:
    """What a `Retry-After` header asks for (seconds or an HTTP date), at most a day; None when unreadable."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        wait = timedelta(seconds=int(text))
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta(seconds=1)), LONGEST_WAIT)
