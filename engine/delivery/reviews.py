"""What the gate reads of reviews: what people have said of a content's texts."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from engine.gate.model import Intent
from engine.gate.reviewing import Reviewed, Reviews
from engine.gate.state import GateRules
from engine.store.bulk import table_of
from engine.store.prepared import Prepared
from engine.store.tables import ReviewRow

_REVIEW = table_of(ReviewRow)
_OF_CONTENT = Prepared(
    select(_REVIEW.c.hash, _REVIEW.c.approved, _REVIEW.c.refused).where(
        _REVIEW.c.content == bindparam("content")
    )
)


def read_reviews(session: Session, intent: Intent, rules: GateRules) -> Reviews:
    """By hash, what is said of the content's texts; nothing where no policy asks of it."""
    concerned = any(
        policy.stages
        and (not policy.contents or intent.content in policy.contents)
        and (not policy.purposes or intent.purpose in policy.purposes)
        for policy in rules.reviews
    )
    if not concerned:
        return {}
    return {
        row.hash: Reviewed(tuple(row.approved), row.refused)
        for row in _OF_CONTENT.rows(session, {"content": intent.content})
    }
