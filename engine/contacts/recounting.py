"""Counts that say nothing yet, because they are new or changed or were lost: counted anew from the events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.contacts.counting import add_to, begin, longest_window, stale_counts
from engine.contacts.profile import Profile
from engine.contacts.remembering import past_events
from engine.rules.matcher import Matcher

MOST_RECOUNTED = 10_000
"""How many of a contact's latest events one recount looks at."""


def recount_stale(
    session: Session,
    profiles: Iterable[Profile],
    bundle: Bundle,
    matcher: Matcher,
    now: datetime,
    *,
    before_seq: int | None = None,
) -> None:
    """Bring every count of these contacts up to its present definition; profiles are changed in place.

    `now` is journey time. Events from number `before_seq` on are left out, because they are counted one by
    one afterwards. One query for all of them, and none when nothing is stale.
    """
    stale = {profile.id: profile for profile in profiles if stale_counts(profile, bundle)}
    if not stale:
        return
    counts = {contact_id: begin(profile, bundle) for contact_id, profile in stale.items()}
    wanted = {count.id: count for anew in counts.values() for count in anew}.values()
    events = past_events(
        session,
        stale,
        {kind for count in wanted for kind in count.events},
        most=MOST_RECOUNTED,
        since=now - longest_window(wanted),
        before_seq=before_seq,
    )
    for contact_id, happened in events:
        for event in happened:
            add_to(stale[contact_id], counts[contact_id], event, matcher, now)


def with_counts(
    session: Session, profile: Profile, bundle: Bundle, matcher: Matcher, now: datetime
) -> Profile:
    """The profile with its counts as this bundle defines them: itself where they are, else a copy."""
    if not stale_counts(profile, bundle):
        return profile
    copy = replace(profile)
    recount_stale(session, [copy], bundle, matcher, now)
    return copy
