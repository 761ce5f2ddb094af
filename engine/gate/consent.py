"""What the consent ledger says for one purpose on one channel at one moment; the ledger is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ANY = "*"
"""In a record: every purpose, or every channel."""


class ConsentState(StrEnum):
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ConsentRecord:
    """One entry of the ledger, as far as a decision needs it."""

    purpose: str
    """A purpose id, or `*` for all purposes."""
    channel: str
    """A channel id, or `*` for all channels."""
    decision: str
    """granted | denied | withdrawn"""
    recorded_at: datetime
    """Journey time."""
    valid_until: datetime | None = None
    """Journey time from which a grant no longer counts; None: until withdrawn."""
    source: str = ""
    """Who brought it; `import`, or `import:<what>`, for entries taken over from another system."""
    purpose_version: str = "1"
    legal_basis: str = "consent"

    @property
    def is_grant(self) -> bool:
        return self.decision == "granted"

    @property
    def is_import(self) -> bool:
        return self.source == "import" or self.source.startswith("import:")


@dataclass(frozen=True)
class ConsentAnswer:
    """The state in force, and the entry that decides it; UNKNOWN has none."""

    state: ConsentState
    record: ConsentRecord | None = None

    @property
    def is_granted(self) -> bool:
        return self.state is ConsentState.GRANTED


def settle_consent(
    records: Sequence[ConsentRecord], purpose: str, channel: str, at: datetime
) -> ConsentAnswer:
    """The consent in force at `at`, from the entries of one contact in ledger order.

    A refusal (withdrawn or denied) stands until a later grant lifts it. A grant lifts only what it names
    as narrowly: a refusal of all purposes is not undone by naming one, a refusal on a single channel is not
    undone by a grant for all channels, and an import lifts nothing. Where no refusal stands, the latest
    grant that is still valid counts.
    """
    known = [record for record in records if record.recorded_at <= at and _concerns(record, purpose, channel)]
    known.sort(key=lambda record: record.recorded_at)
    standing = [
        refusal
        for place, refusal in enumerate(known)
        if not refusal.is_grant and not any(_lifts(later, refusal) for later in known[place + 1 :])
    ]
    if standing:
        latest = standing[-1]
        state = ConsentState.DENIED if latest.decision == "denied" else ConsentState.WITHDRAWN
        return ConsentAnswer(state, latest)
    grants = [record for record in known if record.is_grant]
    valid = [grant for grant in grants if grant.valid_until is None or grant.valid_until > at]
    if valid:
        return ConsentAnswer(ConsentState.GRANTED, valid[-1])
    if grants:
        return ConsentAnswer(ConsentState.EXPIRED, grants[-1])
    return ConsentAnswer(ConsentState.UNKNOWN)


def _concerns(record: ConsentRecord, purpose: str, channel: str) -> bool:
    return record.purpose in (ANY, purpose) and record.channel in (ANY, channel)


def _lifts(grant: ConsentRecord, refusal: ConsentRecord) -> bool:
    """Whether a later entry undoes a refusal: a first-hand grant, same purposes, no more channels."""
    return (
        grant.is_grant
        and not grant.is_import
        and grant.purpose == refusal.purpose
        and refusal.channel in (ANY, grant.channel)
    )
