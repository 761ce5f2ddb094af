"""A message that can be made on the spot leaves in the transaction that wishes it.

That transaction holds the contact, the run and a share of the control row, so what stages 1 to 7 see is what
they would see again at the reservation: one look answers both. Whatever is not plain (a no of any stage, a
plugin that has to be waited for, a breaker that is not closed) takes the long way, which asks all of it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.contacts.profile import Profile
from engine.delivery.budgets import Paying, take_at_once
from engine.delivery.content import ContentPipeline, answering
from engine.delivery.departing import note_sends
from engine.delivery.intents import IntentState
from engine.delivery.limits import Limits
from engine.delivery.outlets import Outlets
from engine.delivery.places import places_of
from engine.gate.budgeting import spendings
from engine.gate.concerning import budgets_of
from engine.gate.judging import Way, judge
from engine.gate.model import Answer, Intent, Verdict
from engine.gate.state import Claim, Moment, Passage
from engine.gate.windowing import answerable, check_window_for
from engine.plugin.calling import call_preflight, is_immediate
from engine.plugin.contracts import Channel, Message
from engine.store.bulk import insert_rows, table_of
from engine.store.prepared import Prepared
from engine.store.tables import CapPlaceRow, IntentRow

# Built once: putting a statement together costs as much as running it.
_INTENT = table_of(IntentRow)
_DEPART = Prepared(
    update(_INTENT)
    .where(_INTENT.c.key == bindparam("of_key"))
    .values(state=IntentState.HANDED_OVER.value, attempts=1)
)


class Wish(NamedTuple):
    """A message that a run wishes, in a transaction that holds its contact."""

    intent: Intent
    contact: Profile
    departs: bool
    """Whether the transaction holds a share of the control row as well, and nothing that it still does can
    take the wish back: a message that need not be waited for then leaves with it."""


@dataclass(frozen=True, kw_only=True)
class Departed(Claim):
    """A claim whose hand-over is written down: once that is committed, its provider is called."""

    channel: Channel
    message: Message
    passage: Passage


@dataclass(frozen=True)
class SettingOut:
    """Lets messages leave in the transaction that judges them; used by the threads of a process."""

    content: ContentPipeline
    outlets: Outlets
    limits: Limits
    has_leave: Callable[[Claim, str, Moment], bool]
    """As `GateState.has_leave`."""

    def depart_each(
        self, session: Session, claims: Sequence[Claim], live: Bundle, now: Moment, lease: timedelta
    ) -> list[Claim]:
        """The claims of messages that were wished in this transaction: departed, or as they are.

        The caller holds their contacts, no two of which are the same, and a share of the control row, by
        which the views were read.
        """
        departed = [self._departed(claim, live, now) for claim in claims]
        paying = [each for each in departed if each is not None and budgets_of(each.intent, each.view.rules)]
        if paying and not self.pay(session, [(each, False) for each in paying], now):
            # Where little is left, or others are at it, each is looked at by itself.
            short = {each.intent.key for each in paying}
            departed = [None if each is None or each.intent.key in short else each for each in departed]
        leaving = [each for each in departed if each is not None]
        places = [
            row for each in leaving for row in places_of(each.intent, each.view, each.passage, now, None)
        ]
        insert_rows(session, CapPlaceRow, places)
        note_sends(session, [(each.intent, each.view) for each in leaving], now, more=1)
        written = [
            {
                "channel": each.passage.channel,
                "content_hash": each.passage.content_hash,
                "handed_over_at": now.journey,
                "lease_until": now.delivery + lease,
                "updated_at": now.delivery,
                "of_key": each.intent.key,
            }
            for each in leaving
        ]
        _DEPART.run_for(session, written)
        return [claim if each is None else each for claim, each in zip(claims, departed, strict=True)]

    def _departed(self, claim: Claim, live: Bundle, now: Moment) -> Departed | None:
        way = judge(claim.intent, claim.view, now)
        return None if isinstance(way, Answer) else self.ready(claim, way, live, now)

    def pay(self, session: Session, departed: Sequence[tuple[Departed, bool]], now: Moment) -> bool:
        """Take what these messages cost out of budgets, without waiting; whether all have it, or none.

        Beside each stands whether it was in a budget's line.
        """
        paying = []
        for each, waited in departed:
            intent, view = each.intent, each.view
            if budgets_of(intent, view.rules):
                wanted = spendings(intent, view, now.journey, each.passage.channel)
                paying.append(Paying(intent.key, wanted, waited))
        return take_at_once(session, paying, now.journey)

    def ready(self, claim: Claim, way: Way, live: Bundle, now: Moment) -> Departed | None:
        """The claim as it is once its hand-over is written down; None when somebody has to be waited for.

        Nothing but the hand-over is left to be done then; `way` is what the judges found.
        """
        intent, view = claim.intent, claim.view
        if view.breakers:
            # Its probes are taken under the breaker's lock, which comes before a run's.
            return None
        channel = self.outlets.opened(live, way.channel)
        if channel is None or not is_immediate(channel):
            return None
        made = self.content.make_at_once(intent, view, way, live)
        if made is None or isinstance(made, Answer):
            return None
        made = answering(made, answerable(intent, view, now, way.channel))
        said = call_preflight(channel, made.message, self.limits.preflight)
        window = check_window_for(intent, view, now, way.channel, within=said.within)
        if not said.ok or window.verdict is not Verdict.ALLOW:
            return None
        if way.channel in view.rules.providers and not self.has_leave(claim, way.channel, now):
            # Its leave is asked in a transaction of its own, whose locks nobody waits for.
            return None
        return Departed(
            intent=intent,
            view=view,
            lease=claim.lease,
            attempts=claim.attempts,
            channel=channel,
            message=made.message,
            passage=Passage(
                way.channel,
                way.address,
                made.content_hash,
                way.earlier,
                findings=made.findings,
                text=made.text,
                within=said.within,
                adapted=made.adapted,
                sealed=made.sealed,
            ),
        )
