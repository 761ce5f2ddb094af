"""Two who were one are parted again, and what operators see of both."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from engine.errors import CommandError
from engine.gate.consent import ConsentState
from engine.governance.consents import consent_report
from engine.governance.decisions import Wanted, list_decisions
from engine.governance.records import contact_record
from engine.governance.timeline import contact_timeline
from engine.store.tables import (
    MergeRow,
    RunRow,
)
from tests.intake.conftest import NOW
from tests.intake.two_people import ALIAS, Ground, refuse
from tests.intake.two_people import ground as ground
from tests.intake.two_people import make_ground as make_ground
from tests.intake.two_people import sqlite_ground as sqlite_ground


def test_unmerged_everything_that_came_before_goes_back_and_what_came_since_stays(ground: Ground) -> None:
    old = ground.say("seen", "old", traits={"city": "Bergen"})
    new = ground.say("paid", "new", traits={"city": "Oslo", "size": "L"}, properties={"order": "1"})
    before = {row.id: row.contact_id for row in ground.all(RunRow)}
    ground.accept(ALIAS)
    ground.say("paid", "new", properties={"order": "2"})
    parted = ground.merger.unmerge(new, by="ana", reason="two sisters")
    assert (parted.survivor, parted.returned) == (old, new)
    assert (ground.id_of("user", "old"), ground.id_of("user", "new")) == (old, new)
    assert {row.id: row.contact_id for row in ground.all(RunRow) if row.id in before} == before
    first, second = ground.contact(old), ground.contact(new)
    assert (first.attributes, second.attributes) == ({"city": "Bergen"}, {"city": "Oslo", "size": "L"})
    assert (first.order_count, second.order_count, second.merged_into) == (1, 1, None)
    record = ground.one(MergeRow)
    assert (record.undone_by, record.undone_because) == ("ana", "two sisters")
    with pytest.raises(CommandError, match="not part of another"):
        ground.merger.unmerge(new, by="ana", reason="")
    # Numbers of entries are not given twice, though runs went back.
    for user in ("old", "new", "old"):
        ground.clock.moment += timedelta(days=30)
        with ground.store.begin() as session:
            session.execute(update(RunRow).values(status="ended", waiting="ended", ended_at=NOW))
        ground.say("paid", user, properties={"order": f"late {ground.clock.moment}"})
    again = ground.merger.merge(new, old, by="ana", reason="one after all")
    assert again.survivor == old


def test_after_an_unmerge_what_either_refused_holds_for_both(ground: Ground) -> None:
    old, new = ground.say("told", "old"), ground.say("told", "new")
    refuse(ground, "new", channel="mail")
    ground.accept(ALIAS)
    ground.clock.moment += timedelta(hours=1)
    refuse(ground, "old", channel="app")
    parted = ground.merger.unmerge(new, by="ana", reason="")
    assert parted.told["refusals_kept"] == 2
    for contact in (old, new):
        for channel in ("mail", "app"):
            assert ground.state(contact, channel=channel) is ConsentState.WITHDRAWN


def test_of_three_who_are_one_each_can_be_parted_again(ground: Ground) -> None:
    ids = [ground.say("told", f"u{n}") for n in range(3)]
    first = ground.merger.merge(ids[1], ids[2], by="ana", reason="")
    ground.merger.merge(first.survivor, ids[0], by="ana", reason="")
    assert {ground.id_of("user", f"u{n}") for n in range(3)} == {ids[0]}
    ground.merger.unmerge(ids[1], by="ana", reason="")
    assert ground.contact(ids[2]).merged_into == ids[1], "it goes back with whom it came with"
    ground.merger.unmerge(ids[2], by="ana", reason="")
    assert [ground.id_of("user", f"u{n}") for n in range(3)] == ids


def test_what_left_in_the_middle_is_not_given_to_anybody_else_later(ground: Ground) -> None:
    first, second, third = (ground.say("told", f"u{n}", traits={"size": f"{n}"}) for n in range(3))
    ground.say("paid", "u2", properties={"order": "1"}, traits={"city": "Oslo"})
    ground.merger.merge(second, third, by="ana", reason="")
    ground.merger.merge(first, second, by="ana", reason="")
    ground.merger.unmerge(third, by="ana", reason="")
    ground.merger.unmerge(second, by="ana", reason="")
    assert [ground.contact(each).order_count for each in (first, second, third)] == [0, 0, 1]
    assert [ground.contact(each).attributes for each in (first, second, third)] == [
        {"size": "0"},
        {"size": "1"},
        {"size": "2", "city": "Oslo"},
    ]


def test_operators_see_of_the_survivor_what_was_decided_about_both(sqlite_ground: Ground) -> None:
    ground = sqlite_ground
    old, new = ground.say("seen", "old"), ground.say("paid", "new", properties={"order": "1"})
    refuse(ground, "new")
    ground.accept(ALIAS)
    with ground.store.read() as session:
        record = contact_record(session, old)
        told = {entry["what"] for entry in contact_timeline(session, old, limit=200).entries}
        found = list_decisions(session, Wanted(contact_id=old)).rows
    assert [merge["gone"] for merge in record["merges"]] == [new]
    assert "profiles" not in record["merges"][0]
    assert {"withdrawn: offers", "contact_merged"} <= told
    assert {row.contact_id for row in found} == {old, new}


def test_the_ledger_at_an_earlier_moment_knows_who_was_one_then(sqlite_ground: Ground) -> None:
    ground = sqlite_ground
    old, new = ground.say("told", "old"), ground.say("told", "new")
    refuse(ground, "new")
    apart = ground.clock.moment
    ground.clock.moment += timedelta(hours=1)
    ground.accept(ALIAS)
    joined = ground.clock.moment
    ground.clock.moment += timedelta(hours=1)
    ground.merger.unmerge(new, by="ana", reason="")

    def lengths(at: datetime) -> tuple[int, int]:
        with ground.store.read() as session:
            bundle = ground.shelf.live(session)
            now = ground.clock.moment
            reports = [consent_report(session, bundle, each, at=at, now=now) for each in (old, new)]
        return len(reports[0]["ledger"]), len(reports[1]["ledger"])

    assert lengths(apart) == (0, 1)
    assert lengths(joined)[0] == 1
    assert lengths(ground.clock.moment) == (1, 1), "the refusal is written down for the other as well"


def test_what_counts_say_is_shown_as_numbers(sqlite_ground: Ground) -> None:
    ground = sqlite_ground
    old = ground.say("seen", "old")
    ground.say("seen", "new")
    ground.accept(ALIAS)
    with ground.store.read() as session:
        bundle = ground.shelf.live(session)
        record = contact_record(session, old, bundle=bundle, now=ground.clock.moment)
    assert record["counts"] == {"visits": 2}
