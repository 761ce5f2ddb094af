"""Contacts turn out to be one, and two again, while several processes are sending to both."""

from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import select
from sqlmodel import col

from engine.contacts.consent import verify_chain
from engine.intake.accepting import Intake
from engine.intake.merging import Merger
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import CapPlaceRow, ContactRow, DecisionRow, IntentRow, MergeRow
from tests.delivery.hammer import SharedClock
from tests.delivery.test_hammer import fill, hammer
from tests.intake.conftest import NothingToDeliver

PROCESSES = 2
LIMITS = {"two_in_ten_hours": 2, "emails_a_day": 1, "app_quota": 3}


def merge_meanwhile(url: str, pairs: int) -> None:
    """Let processes send to all, merge each pair meanwhile, part a third again, and judge the books."""
    with closing(Store(url)) as store, closing(BundleShelf()) as shelf, ExitStack() as running:
        fill(store, 2 * pairs)
        clock = SharedClock(time.monotonic())
        intake = Intake(store, shelf, Runs(store, shelf, NothingToDeliver(), clock), clock)
        merger = Merger(store, shelf, intake, clock)
        processes = [
            running.enter_context(hammer(url, each, origin=clock.origin)) for each in range(PROCESSES)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        order = list(range(pairs))
        random.Random(7).shuffle(order)
        for number in order:
            merged = merger.merge(f"c{2 * number}", f"c{2 * number + 1}", by="ana", reason="")
            if number % 3 == 0 and merged.gone is not None:
                merger.unmerge(merged.gone, by="ana", reason="")
        assert [process.wait() for process in processes] == [0] * PROCESSES
        with hammer(url, PROCESSES, origin=clock.origin) as last:  # whatever a merge has begun anew
            assert last.wait() == 0
        judge(store, pairs)


def judge(store: Store, pairs: int) -> None:
    """Nothing is lost or sent twice, and from their merge on two people have the room of one."""
    with store.read() as session:
        assert verify_chain(session) == []
        intents = {row.key: row for row in session.scalars(select(IntentRow))}
        places = list(session.scalars(select(CapPlaceRow).where(col(CapPlaceRow.state) != "released")))
        merges = list(session.scalars(select(MergeRow)))
        gone = {row.id: row.merged_into for row in session.scalars(select(ContactRow)) if row.merged_into}
        accepted = Counter(
            row.intent_key
            for row in session.scalars(select(DecisionRow).where(col(DecisionRow.reason) == "sent.accepted"))
        )
    assert len(merges) == pairs
    assert len(intents) == 14 * pairs
    assert {row.state for row in places} == {"confirmed"}
    assert max(accepted.values()) == 1
    sent = {key for key, row in intents.items() if row.outcome in {"sent", "unknown"}}
    assert {row.intent_key for row in places} == sent
    assert {row.state for key, row in intents.items() if key not in sent} <= {"held", "ended"}
    assert {*(row.contact_id for row in intents.values()), *(row.contact_id for row in places)}.isdisjoint(
        gone
    )
    by_cap: Mapping[tuple[str, str], list[CapPlaceRow]] = defaultdict(list)
    for place in places:
        by_cap[place.contact_id, place.cap_id].append(place)
    for merge in merges:
        if merge.undone_at is None:
            for cap, limit in LIMITS.items():
                must_hold(by_cap[merge.survivor, cap], limit, merge)


def must_hold(places: Sequence[CapPlaceRow], limit: int, merge: MergeRow) -> None:
    """Each place taken since the merge was still within the limit, those of both before it counted in."""
    taken = sorted(place.at for place in places)
    assert len(taken) <= 2 * limit, "each of the two had room of its own before"
    for number, at in enumerate(taken, start=1):
        assert at <= merge.at or number <= limit, f"{merge.survivor} got {number} by {places[0].cap_id}"


def test_nobody_gets_more_for_having_been_two(postgres_url: str) -> None:
    merge_meanwhile(postgres_url, pairs=12)


@pytest.mark.long
def test_nor_do_very_many(postgres_url: str) -> None:
    merge_meanwhile(postgres_url, pairs=int(os.environ.get("WAYLINE_HAMMERED", "2000")) // 2)
