"""Many messages that are due, brought as far as they go without anybody being waited for, in one transaction.

It holds the contacts of all of them and a share of the control row, judges them one by one, and writes what
follows in a few statements for all: the noes, and the hand-overs of those that can be made on the spot. What
is not plain goes on by itself, and so do all when the transaction fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.delivery.departing import note_sends
from engine.delivery.gate_rules import gate_rules
from engine.delivery.intents import IntentState, apply_answer, intent_of, move, release_places, waits_in_line
from engine.delivery.measuring import count_decision
from engine.delivery.places import places_of
from engine.delivery.progress import Progress, lock_progress_of, read_whole_of, save_progress_of
from engine.delivery.recording import decision_of, lock_runs, tell_runs
from engine.delivery.setting_out import Departed, SettingOut
from engine.delivery.viewing import Situation, lock_profiles_of, read_situation, read_views
from engine.errors import NotFound
from engine.gate.concerning import budgets_of
from engine.gate.judging import judge
from engine.gate.model import Answer
from engine.gate.stages import KILL_SCOPE, is_of_plan
from engine.gate.state import Claim, Moment
from engine.store.bulk import insert_rows
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import CapPlaceRow, DecisionRow


class Taken(NamedTuple):
    """An intent that is leased to this process."""

    key: str
    lease: str
    contact_id: str


def in_rounds(taken: Sequence[Taken]) -> list[list[Taken]]:
    """The same in their order, no two of one contact in a round: the second sees what became of the first."""
    rounds: list[list[Taken]] = []
    had: dict[str, int] = {}
    for each in taken:
        number = had.get(each.contact_id, 0)
        had[each.contact_id] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(each)
    return rounds


@dataclass
class _Sorted:
    """What is to become of a page's intents."""

    departing: list[Departed] = field(default_factory=list)
    concluded: list[tuple[Claim, Answer]] = field(default_factory=list)
    others: list[Claim] = field(default_factory=list)


class Pages:
    """Sets out pages of messages; `lease` is how long a provider may take with one."""

    def __init__(self, store: Store, shelf: BundleShelf, setting_out: SettingOut, lease: timedelta) -> None:
        self._store = store
        self._shelf = shelf
        self._setting_out = setting_out
        self._lease = lease

    def set_out(self, page: Sequence[Taken], at: datetime) -> list[Claim]:
        """Bring these, of different contacts, as far as they go; the claims of those that are to go on.

        Those that have departed are to be given to their providers, the others to pass the gate by
        themselves. `at` is delivery time. When it raises, nothing was done.
        """
        while True:
            with self._store.begin() as session:
                rows = _ours(read_whole_of(session, [each.key for each in page]), page)
                contacts = lock_profiles_of(session, [row.contact_id for row, _ in rows])
                situation = read_situation(session, share=True)
                if situation.live_bundle is None:
                    raise NotFound("no bundle is published; run `wayline publish`")
                live = self._shelf.compiled(situation.live_bundle)
                if live is not None:
                    claims = _claims(session, self._shelf, rows, contacts, situation, live, at)
                    return self._write(session, claims, live, Moment.of(at, situation.time))
            # Compiling takes its time, and nobody should be locked meanwhile.
            with self._store.read() as session:
                self._shelf.live(session)

    def _write(
        self, session: Session, claims: Sequence[tuple[Claim, Any]], live: Bundle, now: Moment
    ) -> list[Claim]:
        sorted_ = self._sort(claims, live, now)
        ended = [claim.intent.run_id for claim, answer in sorted_.concluded if answer.outcome is not None]
        runs = lock_runs(session, [run_id for run_id in ended if run_id is not None])
        keys = [
            claim.intent.key for claim in (*sorted_.departing, *(claim for claim, _ in sorted_.concluded))
        ]
        # Under its lock a claim is still ours, or somebody ended the intent meanwhile.
        found = lock_progress_of(session, keys)
        departing = [each for each in sorted_.departing if _is_owned(found, each)]
        plain = [each for each in departing if not budgets_of(each.intent, each.view.rules)]
        if len(plain) < len(departing):
            paid = [each for each in departing if budgets_of(each.intent, each.view.rules)]
            if not self._setting_out.pay(
                session, [(each, waits_in_line(found[each.intent.key].reason)) for each in paid], now
            ):
                # Where little is left, or others are at it, each is looked at by itself.
                departing = plain
                sorted_.others += [Claim(each.intent, each.view, each.lease, each.attempts) for each in paid]
        concluded = [(claim, answer) for claim, answer in sorted_.concluded if _is_owned(found, claim)]
        saved: dict[str, Progress] = {}
        places = []
        for each in departing:
            places += places_of(each.intent, each.view, each.passage, now, None)
            saved[each.intent.key] = _handed_over(found[each.intent.key], each, now, self._lease)
        decisions, told = [], []
        given_back = [
            claim.intent.key for claim, _ in concluded if found[claim.intent.key].channel is not None
        ]
        for claim, answer in concluded:
            intent, progress = claim.intent, found[claim.intent.key]
            progress.reason = answer.reason
            count_decision(answer)
            decisions.append(decision_of(intent, answer, now.journey, live.hash))
            outcome = apply_answer(progress, answer, claim, now)
            progress.updated_at = now.delivery
            saved[intent.key] = progress
            if outcome is not None and intent.run_id is not None and intent.run_id in runs:
                told.append((runs[intent.run_id], intent.key))
        release_places(session, given_back)
        insert_rows(session, CapPlaceRow, places)
        insert_rows(session, DecisionRow, decisions)
        note_sends(session, [(each.intent, each.view) for each in departing], now, more=1)
        save_progress_of(session, saved)
        tell_runs(session, told, now.delivery)
        return [*departing, *sorted_.others]

    def _sort(self, claims: Sequence[tuple[Claim, Any]], live: Bundle, now: Moment) -> _Sorted:
        sorted_ = _Sorted()
        for claim, row in claims:
            standing = claim.view.standing
            found = judge(claim.intent, claim.view, now)
            if standing is not None and standing.is_merged:
                # Whose it is by now is read by itself.
                sorted_.others.append(claim)
            elif isinstance(found, Answer):
                # Neither the switch nor a plan ends before this transaction does.
                is_sure = found.hold_scope in (None, KILL_SCOPE) or is_of_plan(found.hold_scope)
                # What a message took out of budgets before is given back under locks that come last.
                holds = row.channel is not None and bool(budgets_of(claim.intent, claim.view.rules))
                if is_sure and found.queue is None and not holds:
                    sorted_.concluded.append((claim, found))
                else:
                    # A breaker is locked before runs, to see whether its hold is over; a budget's line is
                    # stood in after everything else is locked.
                    sorted_.others.append(claim)
            else:
                is_first = row.channel is None and row.attempts == 0
                departed = self._setting_out.ready(claim, found, live, now) if is_first else None
                if departed is not None:
                    sorted_.departing.append(departed)
                else:
                    sorted_.others.append(claim)
        return sorted_


def _ours(rows: Sequence[Any | None], page: Sequence[Taken]) -> list[tuple[Any, str]]:
    return [
        (row, each.lease)
        for row, each in zip(rows, page, strict=True)
        if row is not None and row.lease_owner == each.lease
    ]


def _claims(
    session: Session,
    shelf: BundleShelf,
    rows: Sequence[tuple[Any, str]],
    contacts: Mapping[str, Any],
    situation: Situation,
    live: Bundle,
    at: datetime,
) -> list[tuple[Claim, Any]]:
    rules = gate_rules(live)
    asked = [(intent_of(row, rules), contacts.get(row.contact_id)) for row, _ in rows]
    tried = {row.key for row, _ in rows if row.attempts > 0}
    views = read_views(session, shelf, asked, situation, live, rules, at, tried=tried)
    return [
        (Claim(intent, view, lease, row.attempts), row)
        for (row, lease), (intent, _), view in zip(rows, asked, views, strict=True)
    ]


def _is_owned(found: Mapping[str, Progress], claim: Claim) -> bool:
    progress = found.get(claim.intent.key)
    return progress is not None and progress.lease_owner == claim.lease


def _handed_over(progress: Progress, departed: Departed, now: Moment, lease: timedelta) -> Progress:
    move(progress, IntentState.RESERVED)
    move(progress, IntentState.HANDED_OVER)
    progress.channel = departed.passage.channel
    progress.content_hash = departed.passage.content_hash
    progress.attempts += 1
    progress.handed_over_at = now.journey
    progress.lease_until = now.delivery + lease
    progress.updated_at = now.delivery
    return progress
