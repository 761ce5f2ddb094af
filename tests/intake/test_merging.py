"""Two contacts who are one person: by an alias, by an identity that one person has alone, by an operator."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col

from engine.contacts.consent import consent_records
from engine.delivery.intents import plan
from engine.delivery.viewing import read_situation
from engine.gate.consent import ConsentState
from engine.gate.model import Intent
from engine.intake.incoming import IncomingEvent
from engine.store.tables import (
    CapPlaceRow,
    ConsentRow,
    DecisionRow,
    EventRow,
    ExposureRow,
    IntentRow,
    MergeRow,
    RunRow,
    WaitRow,
)
from tests.intake.conftest import NOW
from tests.intake.two_people import ALIAS, Ground, refuse
from tests.intake.two_people import ground as ground
from tests.intake.two_people import make_ground as make_ground
from tests.intake.two_people import sqlite_ground as sqlite_ground


def test_an_alias_makes_two_contacts_one_and_the_older_one_survives(ground: Ground) -> None:
    old = ground.say("seen", "old", traits={"city": "Bergen", "size": "M", "email": "a@example.com"})
    ground.clock.moment += timedelta(hours=1)
    new = ground.say("paid", "new", traits={"city": "Oslo"}, properties={"order": "1"})
    receipt = ground.accept(ALIAS)
    assert (receipt.accepted, receipt.dead) == (1, 0)
    assert {ground.id_of("user", name) for name in ("old", "new")} == {old}
    assert ground.contact(new).merged_into == old
    kept = ground.contact(old)
    assert (kept.order_count, kept.attributes) == (1, {"city": "Oslo", "size": "M"})
    assert kept.counts["visits"] is not None
    assert {row.contact_id for row in ground.all(EventRow)} == {old}
    record = ground.one(MergeRow)
    assert (record.gone, record.survivor, record.because, record.cause) == (new, old, "alias", "joined")
    assert "city" in record.told["set_aside"]
    assert [row.journey for row in ground.runs(old, "joined")] == ["joined"]


def test_an_alias_that_comes_again_or_says_what_is_known_changes_nothing(ground: Ground) -> None:
    ground.say("seen", "old")
    ground.say("seen", "new")
    ground.accept(ALIAS)
    assert ground.accept(ALIAS).duplicates == 1
    ground.accept({**ALIAS, "messageId": "other", "userId": "old", "previousId": "new"})
    assert ground.count(MergeRow) == 1
    assert ground.accept(ALIAS | {"messageId": "self", "previousId": "new"}).accepted == 1


def test_an_alias_to_somebody_unknown_gives_the_id_to_who_is_known(ground: Ground) -> None:
    old = ground.say("seen", "old")
    ground.accept(ALIAS)
    assert ground.id_of("user", "new") == old
    ground.accept({"type": "alias", "messageId": "device", "userId": "new", "previousId": "phone-1"})
    assert ground.id_of("anonymous", "phone-1") == old
    assert ground.count(MergeRow) == 0


def test_what_comes_later_for_the_old_id_is_the_survivors(ground: Ground) -> None:
    old, new = ground.say("seen", "old"), ground.say("seen", "new")
    ground.accept(ALIAS)
    ground.say("paid", "new", properties={"order": "9"})
    assert ground.contact(old).order_count == 1
    ground.intake.accept([IncomingEvent("by-id", "seen", contact_id=new)], source="test")
    assert {row.contact_id for row in ground.all(EventRow)} == {old}


def test_in_one_batch_what_stands_before_and_after_an_alias_is_told_apart(ground: Ground) -> None:
    def at(minutes: int) -> str:
        return (NOW + timedelta(minutes=minutes)).isoformat()

    seen = {"type": "track", "event": "seen"}
    ground.accept(
        {**seen, "userId": "new", "timestamp": at(3), "messageId": "after"},
        {**ALIAS, "timestamp": at(2)},
        {**seen, "userId": "old", "timestamp": at(0), "messageId": "first"},
        {**seen, "userId": "new", "timestamp": at(1), "messageId": "before"},
    )
    (survivor,) = {row.contact_id for row in ground.all(EventRow)}
    came = {row.event_id: row.merged_from is not None for row in ground.all(EventRow)}
    assert came["first"] != came["before"]
    assert not came["after"]
    assert len(ground.runs(survivor, "once")) == 1


def test_of_two_runs_of_a_journey_that_is_entered_once_the_one_further_on_goes_on(ground: Ground) -> None:
    old, new = ground.say("seen", "old"), ground.say("seen", "new")
    further = ground.runs(new, "once")[0].id
    with ground.store.begin() as session:
        session.execute(
            update(RunRow).where(col(RunRow.id) == further).values(variables={"visits": {"order": 2}})
        )
    ground.accept(ALIAS)
    assert [run.id for run in ground.runs(old, "once")] == [further]
    (ended,) = ground.runs(old, "once", "ended")
    told = [row for row in ground.all(DecisionRow) if row.reason == "run.contact_merged"]
    assert [(row.run_id, row.evidence["goes_on"]) for row in told] == [(ended.id, further)]
    assert {row.run_id for row in ground.all(WaitRow) if row.contact_id == old} == {further}
    ground.say("seen", "new")
    assert len([row for row in ground.all(RunRow) if row.journey == "once"]) == 2


def test_who_went_through_a_journey_that_is_entered_once_does_not_go_on_in_it_as_somebody_else(
    ground: Ground,
) -> None:
    old, _ = ground.say("seen", "old"), ground.say("seen", "new")
    (over,) = ground.runs(old, "once")
    with ground.store.begin() as session:
        session.execute(
            update(RunRow)
            .where(col(RunRow.id) == over.id)
            .values(status="ended", waiting="ended", ended_at=NOW)
        )
    ground.accept(ALIAS)
    assert ground.runs(old, "once") == []


def test_runs_about_different_things_go_on_and_about_the_same_one_does(ground: Ground) -> None:
    old = ground.say("paid", "old", properties={"order": "1"})
    ground.say("paid", "new", properties={"order": "1"})
    ground.say("paid", "new", properties={"order": "2"})
    ground.accept(ALIAS)
    assert sorted(run.entry_key for run in ground.runs(old, "each")) == ["per:1", "per:2"]
    ground.say("paid", "old", properties={"order": "2"})
    assert len(ground.runs(old, "each")) == 2
    assert len(ground.runs(old, "again")) == 1


def test_the_stricter_consent_of_the_two_holds_and_the_ledger_is_not_rewritten(ground: Ground) -> None:
    old, new = ground.say("told", "old"), ground.say("told", "new")
    refuse(ground, "old")
    ground.clock.moment += timedelta(hours=1)
    refuse(ground, "new", "consent_granted")
    before = [(row.contact_id, row.hash) for row in ground.all(ConsentRow)]
    ground.clock.moment += timedelta(hours=1)
    ground.accept(ALIAS)
    assert ground.state(old) is ConsentState.WITHDRAWN, "the grant was another contact's"
    assert [(row.contact_id, row.hash) for row in ground.all(ConsentRow)] == before
    ground.clock.moment += timedelta(hours=1)
    refuse(ground, "new", "consent_granted")
    assert ground.state(old) is ConsentState.GRANTED, "the two as one have said yes"
    with ground.store.read() as session:
        assert new in {record.said_by for record in consent_records(session, old)}


def test_a_withdrawal_of_one_stops_the_waiting_runs_of_the_other(ground: Ground) -> None:
    old = ground.say("told", "old")
    refuse(ground, "old")
    ground.say("seen", "new")
    ground.accept(ALIAS)
    (ended,) = ground.runs(old, "once", "ended")
    assert [row.reason for row in ground.all(DecisionRow) if row.run_id == ended.id][
        -1
    ] == "consent.withdrawn"


def test_what_waits_at_the_gate_and_what_was_counted_goes_along(ground: Ground) -> None:
    old, new = ground.say("told", "old"), ground.say("told", "new")
    with ground.store.begin() as session:
        for number, state in enumerate(("planned", "reserved", "handed_over")):
            intent = Intent(f"k{number}", new, "offers", 50, "text", ("mail",), "s", 1, NOW, bundle_hash="b")
            plan(session, intent, now=NOW, lease="somebody")
            session.execute(update(IntentRow).where(col(IntentRow.key) == intent.key).values(state=state))
            for contact in (new,):
                session.add(
                    CapPlaceRow(
                        cap_id="c",
                        intent_key=intent.key,
                        contact_id=contact,
                        at=NOW,
                        state="confirmed" if state == "handed_over" else "leased",
                    )
                )
        session.add(CapPlaceRow(cap_id="c", intent_key="x", contact_id=old, at=NOW, state="confirmed"))
    ground.accept(ALIAS)
    intents = {row.key: row for row in ground.all(IntentRow)}
    assert {row.contact_id for row in intents.values()} == {old}
    assert [intents[f"k{n}"].state for n in range(3)] == ["planned", "planned", "handed_over"]
    assert [intents[f"k{n}"].lease_owner for n in range(3)] == [None, None, "somebody"]
    places = {row.intent_key: (row.contact_id, row.state) for row in ground.all(CapPlaceRow)}
    assert places["k2"] == places["x"] == (old, "confirmed")
    assert places["k1"] == (old, "released")


def test_of_two_arms_of_one_experiment_the_first_stays(ground: Ground) -> None:
    old, new = ground.say("told", "old"), ground.say("told", "new")
    with ground.store.begin() as session:
        for contact, arm, at in ((old, "late", NOW), (new, "early", NOW - timedelta(days=1))):
            session.add(
                ExposureRow(
                    experiment="j/s",
                    seed="s",
                    contact_id=contact,
                    arm=arm,
                    by="hash",
                    run_id="r",
                    bundle_hash="b",
                    at=at,
                )
            )
    ground.accept(ALIAS)
    assert {row.contact_id: row.arm for row in ground.all(ExposureRow)} == {old: "early", new: "late"}
    ground.merger.unmerge(new, by="ana", reason="")
    assert {row.contact_id: row.arm for row in ground.all(ExposureRow)} == {old: "late", new: "early"}


def test_whoever_merges_at_the_same_time_makes_one_contact(ground: Ground) -> None:
    ids = [ground.say("seen", f"u{n}") for n in range(4)]
    start = threading.Barrier(6)

    def work(number: int) -> None:
        start.wait()
        one, other = ids[number % 4], ids[(number + 1) % 4]
        if number % 2:
            one, other = other, one
        ground.merger.merge(one, other, by="ana", reason="")
        ground.say("seen", f"u{number % 4}", messageId=f"late-{number}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    (survivor,) = {ground.id_of("user", f"u{n}") for n in range(4)}
    assert {row.contact_id for row in ground.all(EventRow)} == {survivor}
    assert len([row for row in ground.all(MergeRow) if row.undone_at is None]) == 3
    assert len(ground.runs(survivor, "once")) == 1
    with ground.store.read() as session:
        assert read_situation(session).live_bundle is not None
