"""Texts that people approve: which ones are asked about, what was decided, and by whom.

What is approved is a hash (`engine.content.sealing`): once a text changes, another one is asked about. Every
decision is kept; what counts now stands on the text's own row, which the gate reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.outgoing import Outgoing, outgoing, sent_by_journeys
from engine.content.sealing import seal
from engine.delivery.waking import wake
from engine.errors import CommandError, NotFound
from engine.gate.reviewing import SCOPE, Reviewed, ReviewPolicy, missing_stages, policy_for, review_hashes
from engine.governance.records import LONGEST_LIST, Record
from engine.store.bundles import BundleShelf
from engine.store.control import lock_control
from engine.store.tables import IntentRow, ReviewDecisionRow, ReviewRow

Verdict = Literal["approve", "reject", "withdraw"]
_WORD = {"approve": "approved", "reject": "rejected", "withdraw": "withdrawn"}
LONGEST_WHY = 2_000
SHORTEST_PREFIX = 6
_NEVER = datetime.fromtimestamp(0, UTC)


class ReviewRefusedError(CommandError):
    """A decision that this person, or nobody, can take; the message says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """four_eyes | nothing_to_approve | nothing_to_withdraw | unknown_stage"""


@dataclass
class _Asked:
    """One text of a bundle that a policy asks about, with where it is sent."""

    hash: str
    text: Outgoing
    policies: dict[str, ReviewPolicy] = field(default_factory=dict)
    channels: set[str] = field(default_factory=set)
    purposes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Decided:
    """What a decision has come to."""

    hash: str
    stage: str
    decision: str
    state: str
    missing: tuple[str, ...]
    woken: int
    """Messages that waited for it and are looked at again."""


def note_texts(session: Session, bundle: Bundle, *, by: str, now: datetime) -> None:
    """Remember who wrote the texts that are new: whoever published them first. The control row is held."""
    asked = _asked_in(bundle)
    if not asked:
        return
    known = set(session.scalars(select(col(ReviewRow.hash)).where(col(ReviewRow.hash).in_(asked))))
    session.add_all(_row(each, by, now) for name, each in asked.items() if name not in known)


def list_reviews(
    session: Session,
    shelf: BundleShelf,
    *,
    state: str | None = "pending",
    queue: str | None = None,
    content: str | None = None,
    limit: int = 50,
) -> list[Record]:
    """The texts of the bundle in force that a policy asks about, those that hold messages first.

    `state`: pending | approved | rejected | withdrawn; None: all.
    """
    bundle = shelf.live(session)
    if not bundle.reviews:
        return []
    held = _held(session)
    asked = _asked_in(bundle)
    if any(name not in asked for name in held):
        asked |= {name: each for name, each in _asked_in(bundle, everything=True).items() if name in held}
    rows = _rows(session, list(asked))
    records = [_record(each, rows.get(name), held.get(name, 0)) for name, each in asked.items()]
    records = [
        record
        for record in records
        if state in (None, record["state"])
        and (content is None or record["content"] == content)
        and (queue is None or queue in record["queues"])
    ]
    records.sort(key=lambda record: (-record["held"], record["content"], record["locale"], record["id"]))
    return records[: max(1, min(limit, LONGEST_LIST))]


def review_record(session: Session, shelf: BundleShelf, review: str) -> Record:
    """One text with every decision over it; `review` is its hash or the beginning of one. NotFound."""
    name, asked, row = _find(session, shelf, review)
    decisions = session.scalars(
        select(ReviewDecisionRow)
        .where(col(ReviewDecisionRow.hash) == name)
        .order_by(col(ReviewDecisionRow.id))
    )
    history = [
        {
            "at": each.at.isoformat(),
            "decision": each.decision,
            "stage": each.stage,
            "by": each.by,
            "why": each.why,
        }
        for each in decisions
    ]
    if asked is not None:
        record = _record(asked, row, _held(session).get(name, 0))
    else:
        assert row is not None, "it is in the bundle or in the table"
        record = {
            "id": row.hash,
            "state": _state(row, ()),
            "in_force": False,
            **_text_of(row),
        }
    return {**record, "decisions": history}


def decide(
    session: Session,
    shelf: BundleShelf,
    review: str,
    verdict: Verdict,
    *,
    by: str,
    now: datetime,
    stage: str | None = None,
    why: str = "",
) -> Decided:
    """Approve a text in one stage, reject it, or take an approval back; what waits for it is looked at again.

    Without a stage an approval is for the first that is missing. A refusal undoes what was approved before.
    `now` is delivery time. NotFound for a text that nobody asks about, ReviewRefusedError.
    """
    if len(why) > LONGEST_WHY:
        raise CommandError(f"a reason has at most {LONGEST_WHY} characters")
    # Whoever holds a message for the text shares this row, so no hold is written behind the wake.
    lock_control(session)
    name, asked, row = _find(session, shelf, review)
    if asked is None:
        raise NotFound(f"no policy in force asks about the text {name[:12]}")
    if row is None:
        row = _row(asked, None, now)
        session.add(row)
    policies = list(asked.policies.values())
    in_stage = _decided(row, policies, verdict, stage, by)
    decision = _WORD[verdict]
    row.decided_at, row.decided_by, row.why = now, by, why
    session.add(ReviewDecisionRow(hash=name, stage=in_stage, decision=decision, by=by, at=now, why=why))
    session.flush()
    missing = tuple(_missing(policies, row))
    woken = wake(session, f"{SCOPE}{name}", now=now)
    return Decided(name, in_stage, decision, _state(row, missing), missing, woken)


def _decided(
    row: ReviewRow, policies: list[ReviewPolicy], verdict: Verdict, stage: str | None, by: str
) -> str:
    """Write the decision on the text's row; the stage in which it was taken."""
    stages = list(dict.fromkeys(each.id for policy in policies for each in policy.stages))
    if stage is not None and stage not in stages:
        raise ReviewRefusedError(
            "unknown_stage", f"no policy asks {stage!r} about this text; asked are {', '.join(stages)}"
        )
    if verdict != "approve":
        if verdict == "withdraw" and not row.approved:
            raise ReviewRefusedError(
                "nothing_to_withdraw", "nobody has approved this text; reject it instead"
            )
        row.approved, row.refused = [], _WORD[verdict]
        return stage or (stages[0] if stages else "")
    missing = _missing(policies, row)
    wanted = stage or (missing[0] if missing else None)
    if wanted is None or (wanted in row.approved and row.refused is None):
        raise ReviewRefusedError("nothing_to_approve", "every stage has approved this text")
    asking = [policy for policy in policies if any(each.id == wanted for each in policy.stages)]
    if by == row.author and not all(policy.lets_author_decide(wanted) for policy in asking):
        message = f"{by!r} published this text first, and nobody approves what they wrote themselves"
        raise ReviewRefusedError("four_eyes", message)
    row.approved, row.refused = [*row.approved, wanted], None
    return wanted


def _asked_in(bundle: Bundle, *, everything: bool = False) -> dict[str, _Asked]:
    """By hash, the texts that a policy asks about: of every message that a journey may send, and of contents
    that no journey sends on any channel. With `everything`, on every channel and for every purpose."""
    found: dict[str, _Asked] = {}
    if not bundle.reviews:
        return found
    for content, channel, purpose in _uses(bundle, everything=everything):
        policy = policy_for(bundle.reviews, content, purpose, channel)
        if policy is None:
            continue
        for text in outgoing(bundle, content, channel, purpose):
            name = seal(text.spec, text.adapted.draft)
            asked = found.setdefault(name, _Asked(name, text))
            asked.policies[policy.id] = policy
            asked.channels.add(channel)
            asked.purposes.add(purpose)
    return found


def _uses(bundle: Bundle, *, everything: bool) -> Iterator[tuple[str, str, str]]:
    sent = sent_by_journeys(bundle)
    by_journeys = {content for content, _, _ in sent}
    if not everything:
        yield from sent
    others = [name for name in bundle.contents if everything or name not in by_journeys]
    yield from product(others, bundle.channels, bundle.purposes)


def _find(session: Session, shelf: BundleShelf, review: str) -> tuple[str, _Asked | None, ReviewRow | None]:
    if len(review) < SHORTEST_PREFIX:
        raise NotFound(f"give at least {SHORTEST_PREFIX} characters of the text's id")
    bundle = shelf.live(session)
    for everything in (False, True):
        asked = _asked_in(bundle, everything=everything)
        names = [name for name in asked if name.startswith(review)]
        if len(names) > 1:
            raise NotFound(f"{len(names)} texts begin with {review!r}; give more of the id")
        if names:
            return names[0], asked[names[0]], session.get(ReviewRow, names[0], with_for_update=True)
    query = select(ReviewRow).where(col(ReviewRow.hash).startswith(review, autoescape=True)).limit(2)
    rows = list(session.scalars(query))
    if len(rows) != 1:
        raise NotFound(f"there is no review {review[:64]!r}")
    return rows[0].hash, None, rows[0]


def _row(asked: _Asked, author: str | None, now: datetime) -> ReviewRow:
    spec, draft = asked.text.spec, asked.text.adapted.draft
    return ReviewRow(
        hash=asked.hash,
        content=spec.id,
        locale=spec.locale,
        generator=spec.generator,
        subject=draft.subject,
        body=draft.body,
        call_to_action=draft.call_to_action,
        author=author,
        asked_at=now,
    )


def _rows(session: Session, names: list[str]) -> dict[str, ReviewRow]:
    rows = session.scalars(select(ReviewRow).where(col(ReviewRow.hash).in_(names)))
    return {row.hash: row for row in rows}


def _held(session: Session) -> dict[str, int]:
    """By hash, how many messages wait for a decision over the text."""
    counted: dict[str, int] = {}
    query = select(col(IntentRow.hold_scope)).where(
        col(IntentRow.state) == "held", col(IntentRow.hold_scope).contains(SCOPE, autoescape=True)
    )
    for scope in session.scalars(query):
        for name in review_hashes(scope or ""):
            counted[name] = counted.get(name, 0) + 1
    return counted


def _missing(policies: list[ReviewPolicy], row: ReviewRow | None) -> list[str]:
    reviewed = None if row is None else Reviewed(tuple(row.approved), row.refused)
    return list(dict.fromkeys(name for policy in policies for name in missing_stages(policy, reviewed)))


def _state(row: ReviewRow | None, missing: tuple[str, ...]) -> str:
    if row is not None and row.refused is not None:
        return row.refused
    return "pending" if missing or row is None or not row.approved else "approved"


def _record(asked: _Asked, row: ReviewRow | None, held: int) -> Record:
    policies = list(asked.policies.values())
    missing = _missing(policies, row)
    queues = {each.id: each.queue for policy in policies for each in policy.stages}
    spec = asked.text.spec
    return {
        "id": asked.hash,
        "state": _state(row, tuple(missing)),
        "in_force": True,
        "content": spec.id,
        "locale": spec.locale,
        "channels": sorted(asked.channels),
        "purposes": sorted(asked.purposes),
        "policies": sorted(asked.policies),
        "missing": missing,
        "queues": [queues[name] for name in missing if queues[name] is not None],
        "held": held,
        **_text_of(row if row is not None else _row(asked, None, _NEVER)),
        "adapted": list(asked.text.adapted.done),
    }


def _text_of(row: ReviewRow) -> Record:
    return {
        "content": row.content,
        "locale": row.locale,
        "generator": row.generator,
        "subject": row.subject,
        "body": row.body,
        "call_to_action": row.call_to_action,
        "author": row.author,
        "approved": list(row.approved),
        "decided_by": row.decided_by,
        "decided_at": row.decided_at.isoformat() if row.decided_at is not None else None,
        "why": row.why,
    }
