"""Whether people have approved a text: which policy asks, and what is said of this very text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.gate.model import Answer, Verdict

SCOPE = "review:"
"""With a text's hash behind it: what holds messages until somebody has decided over the text."""


@dataclass(frozen=True)
class ReviewStage:
    """One pair of eyes."""

    id: str
    queue: str | None = None
    """Whose list the text is on; None: its author's."""


@dataclass(frozen=True)
class ReviewPolicy:
    """Which texts take which stages; an empty tuple of names means any."""

    id: str
    stages: tuple[ReviewStage, ...]
    contents: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    four_eyes: bool = True
    """Nobody approves what they wrote."""
    file: str = ""
    line: int = 0

    def concerns(self, content: str, purpose: str, channel: str) -> bool:
        return (
            (not self.contents or content in self.contents)
            and (not self.purposes or purpose in self.purposes)
            and (not self.channels or channel in self.channels)
        )

    def lets_author_decide(self, stage: str) -> bool:
        """Whether who wrote a text may approve it in this stage: only in one of their own (no queue), beside
        which others have theirs, for to look at one's own text is no other pair of eyes."""
        if not self.four_eyes:
            return True
        own = any(each.id == stage and each.queue is None for each in self.stages)
        return own and any(each.queue is not None for each in self.stages)


@dataclass(frozen=True)
class Reviewed:
    """What people have said of one text."""

    approved: tuple[str, ...] = ()
    """Stages that have approved it."""
    refused: str | None = None
    """rejected | withdrawn; None: neither."""


Reviews = Mapping[str, Reviewed]
"""By hash."""


@dataclass(frozen=True)
class Sealed:
    """A text of which a policy asks, by its hash."""

    hash: str
    locale: str
    policy: ReviewPolicy


def policy_for(
    policies: tuple[ReviewPolicy, ...], content: str, purpose: str, channel: str
) -> ReviewPolicy | None:
    """The first policy that is about such messages, if it asks anybody at all."""
    for policy in policies:
        if policy.concerns(content, purpose, channel):
            return policy if policy.stages else None
    return None


def missing_stages(policy: ReviewPolicy, reviewed: Reviewed | None) -> list[str]:
    """The stages that have still to approve, in order."""
    approved = () if reviewed is None else reviewed.approved
    return [stage.id for stage in policy.stages if stage.id not in approved]


def check_review(
    sealed: Sealed, reviews: Reviews | None, content: str, channel: str, stage: str
) -> Answer | None:
    """What stands against a text of which a policy asks; None when every stage has approved it.

    `reviews`: None where nobody is asked (virtual time); then every text counts as approved.
    """
    if reviews is None:
        return None
    reviewed = reviews.get(sealed.hash)
    policy = sealed.policy
    evidence: dict[str, Any] = {
        "content": content,
        "locale": sealed.locale,
        "review": sealed.hash,
        "policy": policy.id,
        "place": f"{policy.file}:{policy.line}" if policy.file else "",
    }
    if reviewed is not None and reviewed.refused is not None:
        return Answer(
            Verdict.BLOCK,
            stage,
            f"review.{reviewed.refused}",
            channel=channel,
            evidence=evidence,
            would_pass_if=f"the text {sealed.hash[:12]} is approved after all, or another one is published",
        )
    missing = missing_stages(policy, reviewed)
    if not missing:
        return None
    return Answer(
        Verdict.HOLD,
        stage,
        "review.pending",
        channel=channel,
        evidence={**evidence, "missing": missing},
        would_pass_if=f"the text {sealed.hash[:12]} is approved by {', '.join(missing)}",
        hold_scope=f"{SCOPE}{sealed.hash}",
    )


def review_hashes(scope: str) -> list[str]:
    """The texts that hold a message, out of its scopes."""
    return [each.removeprefix(SCOPE) for each in scope.split() if each.startswith(SCOPE)]
