"""What the consent ledger says for one purpose on one channel at one moment; the ledger is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from engine.changing import frozen
from engine.gate.model import Purpose

ANY = "*"
"""In a record: every purpose, or every channel."""

PERSONALISATION = "personalisation"
"""The purpose of every workspace whose refusal asks for contents that are not personal; nobody need agree."""

CROSS_BORDER = "cross_border"
"""The purpose of every workspace to which contacts agree by itself before facts about them leave their
country (separate consent, in article 39 of China's Personal Information Protection Law)."""

OF_EVERY_WORKSPACE = frozenset({PERSONALISATION, CROSS_BORDER})
"""Purposes that no ruleset declares."""


REFUSALS = frozenset({"withdrawn", "denied"})
"""Decisions that say no."""


class ConsentState(StrEnum):
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    OUTDATED = "outdated"
    """Granted under a version of the notice that counts no longer."""
    PENDING = "pending"
    """Asked for, and not yet confirmed (double opt-in)."""
    LAPSED = "lapsed"
    """Asked for, and not confirmed in time."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ConsentRecord:
    """One entry of the ledger, as far as a decision needs it."""

    purpose: str
    """A purpose id, or `*` for all purposes."""
    channel: str
    """A channel id, or `*` for all channels."""
    decision: str
    """granted | denied | withdrawn | pending"""
    recorded_at: datetime
    """Journey time."""
    valid_until: datetime | None = None
    """Journey time from which a grant no longer counts, or a pending one cannot be confirmed any more; None:
    until withdrawn."""
    source: str = ""
    """Who brought it; `import`, or `import:<what>`, for entries taken over from another system."""
    purpose_version: str = "1"
    legal_basis: str = "consent"
    said_by: str = ""
    """The contact that said it, where that one was joined with this one later; else empty."""
    joined: tuple[tuple[str, datetime], ...] = ()
    """With whom that contact was joined and when, up to this one (empty again): they are one since."""

    @property
    def is_grant(self) -> bool:
        return self.decision == "granted"

    @property
    def is_refusal(self) -> bool:
        return self.decision in REFUSALS

    @property
    def is_pending(self) -> bool:
        return self.decision == "pending"

    @property
    def is_import(self) -> bool:
        return self.source == "import" or self.source.startswith("import:")


@frozen
class ConsentAnswer:
    """The state in force, and the entry that decides it; UNKNOWN has none."""

    state: ConsentState
    record: ConsentRecord | None = None

    @property
    def is_granted(self) -> bool:
        return self.state is ConsentState.GRANTED

    @property
    def is_refused(self) -> bool:
        return self.state in {ConsentState.WITHDRAWN, ConsentState.DENIED}


def settle_consent(
    records: Sequence[ConsentRecord],
    purpose: str,
    channel: str,
    at: datetime,
    versions: frozenset[str] | None = None,
) -> ConsentAnswer:
    """The consent in force at `at`, from the entries of one contact in ledger order.

    A refusal (withdrawn or denied) stands until a later grant lifts it. A grant lifts only what it names
    as narrowly: a refusal of all purposes is not undone by naming one, a refusal on a single channel is not
    undone by a grant for all channels, and an import lifts nothing. What somebody refused before they were
    joined with this contact, only they themselves or the two as one can lift. Where no refusal stands, the
    latest grant that is still valid counts. Of grants only those under one of the notice's `versions` count
    (None: under any); refusals count under every version. A pending one is no consent.
    """
    known = [record for record in records if record.recorded_at <= at and _concerns(record, purpose, channel)]
    if len(known) > 1:
        known.sort(key=lambda record: record.recorded_at)
    if any(record.is_refusal for record in known) and (standing := standing_refusals(known)):
        latest = standing[-1]
        state = ConsentState.DENIED if latest.decision == "denied" else ConsentState.WITHDRAWN
        return ConsentAnswer(state, latest)
    grants = [record for record in known if record.is_grant]
    valid = [grant for grant in grants if _is_valid(grant, at)]
    counting = [grant for grant in valid if versions is None or grant.purpose_version in versions]
    if counting:
        return ConsentAnswer(ConsentState.GRANTED, counting[-1])
    asked = [record for record in known if record.is_pending]
    if asked and _is_valid(asked[-1], at):
        return ConsentAnswer(ConsentState.PENDING, asked[-1])
    if valid:
        return ConsentAnswer(ConsentState.OUTDATED, valid[-1])
    if grants:
        return ConsentAnswer(ConsentState.EXPIRED, grants[-1])
    if asked:
        return ConsentAnswer(ConsentState.LAPSED, asked[-1])
    return ConsentAnswer(ConsentState.UNKNOWN)


def consent_for(
    records: Sequence[ConsentRecord], purpose: Purpose, channel: str, at: datetime
) -> ConsentAnswer:
    """The consent in force for a purpose as it is declared.

    One that rests on another ground than consent is stopped only by a refusal that names it.
    """
    if not purpose.needs_consent:
        records = [record for record in records if record.purpose != ANY]
    return settle_consent(records, purpose.id, channel, at, purpose.versions)


@dataclass(frozen=True)
class TakenBack:
    """What a refusal stops at once: runs and messages that rested on what it takes back."""

    purposes: frozenset[str]
    channel: str
    """A channel id, or `*` for all."""
    records: tuple[ConsentRecord, ...]
    """Everything the ledger holds of the contact, the refusal included."""
    at: datetime
    declared: Mapping[str, Purpose]

    @property
    def ends_runs_of(self) -> frozenset[str]:
        """The purposes whose runs end. A refusal of one channel leaves them the others."""
        return self.purposes if self.channel == ANY else frozenset()

    def stops(self, purpose: str, channels: Sequence[str]) -> bool:
        """Whether a message for the purpose has no channel left on which it was not refused."""
        if purpose not in self.purposes:
            return False
        known = self.declared.get(purpose)
        if known is None:
            return self.channel == ANY or set(channels) <= {self.channel}
        return all(
            consent_for(self.records, known, channel, self.at).state
            in {ConsentState.WITHDRAWN, ConsentState.DENIED}
            for channel in channels
        )


def take_back(
    refusal: ConsentRecord, records: Sequence[ConsentRecord], purposes: Mapping[str, Purpose], at: datetime
) -> TakenBack | None:
    """What a refusal stops at `at`; None when a later grant has lifted it already.

    `records` are all the contact's, in ledger order, the refusal included: one that comes in late may have
    been overtaken by what the contact said since.
    """
    if any(later.recorded_at > refusal.recorded_at and _lifts(later, refusal) for later in records):
        return None
    stopped = refused_purposes(refusal.purpose, purposes)
    return TakenBack(stopped, refusal.channel, tuple(records), at, purposes)


def standing_refusals(records: Sequence[ConsentRecord]) -> list[ConsentRecord]:
    """The refusals among a contact's entries, in ledger order, that nothing has lifted since."""
    known = sorted(records, key=lambda record: record.recorded_at)
    return [
        refusal
        for place, refusal in enumerate(known)
        if refusal.is_refusal and not any(_lifts(later, refusal) for later in known[place + 1 :])
    ]


def may_be_personal(records: Sequence[ConsentRecord], channel: str = ANY) -> bool:
    """Whether contents may be made for the contact as a person: unless they said no, as it stands now."""
    return not settle_consent(records, PERSONALISATION, channel, _FOREVER).is_refused


def may_cross(records: Sequence[ConsentRecord], channel: str, at: datetime) -> bool:
    """Whether facts about the contact may be taken out of their country: if they agreed to that by itself.

    An agreement to everything is none to this; a refusal of everything refuses this too.
    """
    if settle_consent(records, CROSS_BORDER, channel, at).is_refused:
        return False
    separate = [each for each in records if each.purpose == CROSS_BORDER]
    return settle_consent(separate, CROSS_BORDER, channel, at).is_granted


_FOREVER = datetime.max.replace(tzinfo=UTC)
"""No entry is later. A refusal has no end, so its moment makes no difference."""


def confirmable(
    records: Sequence[ConsentRecord], channel: str, asked_until: datetime, at: datetime
) -> list[ConsentRecord]:
    """The pending entries that a confirmation which came in over `channel` settles at `at`.

    Those that were asked for until the message with the link was made (`asked_until`), are still in time, and
    that nothing has answered since, be it a grant or a refusal.
    """
    found = []
    for place, record in enumerate(records):
        if not record.is_pending or record.channel not in (ANY, channel) or record.recorded_at > asked_until:
            continue
        if _is_valid(record, at) and not any(_answers(later, record) for later in records[place + 1 :]):
            found.append(record)
    # Asked for twice is wanted once: the latest stands for those before it.
    latest = {(record.purpose, record.channel): record for record in found}
    return list(latest.values())


def refused_purposes(named: str, purposes: Mapping[str, Purpose]) -> frozenset[str]:
    """The purposes that a refusal of `named` (`*`: of all) stops.

    Only what rests on consent is stopped by a refusal of everything; what the law demands by none. A purpose
    that nobody declares is taken at its name.
    """
    if named == ANY:
        return frozenset(name for name, purpose in purposes.items() if purpose.needs_consent)
    known = purposes.get(named)
    return frozenset() if known is not None and known.kind == "legal" else frozenset({named})


def _is_valid(record: ConsentRecord, at: datetime) -> bool:
    return record.valid_until is None or record.valid_until > at


def _concerns(record: ConsentRecord, purpose: str, channel: str) -> bool:
    return record.purpose in (ANY, purpose) and record.channel in (ANY, channel)


def _answers(later: ConsentRecord, pending: ConsentRecord) -> bool:
    """Whether nothing is left to confirm: it was granted as widely since, or any part of it refused."""
    if later.is_grant:
        return _concerns(later, pending.purpose, pending.channel)
    return (
        later.is_refusal
        and _overlaps(later.purpose, pending.purpose)
        and _overlaps(later.channel, pending.channel)
    )


def _overlaps(one: str, other: str) -> bool:
    return one == other or ANY in (one, other)


def _lifts(grant: ConsentRecord, refusal: ConsentRecord) -> bool:
    """Whether a later entry undoes a refusal: a first-hand grant, same purposes, no more channels."""
    return (
        grant.is_grant
        and not grant.is_import
        and grant.purpose == refusal.purpose
        and refusal.channel in (ANY, grant.channel)
        and _is_by_the_same(grant, refusal)
    )


def _is_by_the_same(grant: ConsentRecord, refusal: ConsentRecord) -> bool:
    """Whether the two were one contact when the grant was given: else the stricter of both counts."""
    return grant.said_by == refusal.said_by or any(
        (grant.said_by == into and grant.recorded_at >= since) for into, since in refusal.joined
    )
