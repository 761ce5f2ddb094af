"""Any order of events, refusals, merges and partings: whose everything is, is what a simple model says."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from engine.contacts.consent import verify_chain
from engine.errors import CommandError
from engine.gate.consent import ConsentState
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import EventRow, IdentityRow, RunRow, WaitRow
from tests.intake.two_people import Ground, make_ground_over, refuse

PEOPLE = ("ana", "ben", "cho", "dee")
CHANNELS = ("mail", "app")
LIVES = int(os.environ.get("WAYLINE_TEST_LIVES", "1000"))
people = st.sampled_from(PEOPLE)
channels = st.sampled_from(CHANNELS)


@dataclass
class Told:
    """An event somebody was the subject of, and under whose name it came."""

    message: str
    kind: str
    under: str
    """The contact it was first kept for."""


@dataclass
class Word:
    """A refusal, or an agreement."""

    by: str
    """The contact it was kept for."""
    channel: str
    refuses: bool


@dataclass
class Model:
    """Who is part of whom, in plain sets: nothing of how rows move."""

    ids: dict[str, str] = field(default_factory=dict)
    """The contact's id by who it was to begin with; older ones come first."""
    joined_to: dict[str, str] = field(default_factory=dict)
    events: list[Told] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    """What was said of channels, in order."""
    since: dict[str, int] = field(default_factory=dict)
    """How many words had been said when somebody became part of another."""

    def head(self, person: str) -> str:
        while person in self.joined_to:
            person = self.joined_to[person]
        return person

    def members(self, head: str) -> set[str]:
        return {each for each in self.ids if self.head(each) == head}

    def beneath(self, person: str) -> set[str]:
        """The person, and all that came with it."""
        found = {person}
        while more := {each for each, to in self.joined_to.items() if to in found} - found:
            found |= more
        return found

    def way(self, person: str) -> list[str]:
        """The person, and whom it is part of, on to the head."""
        found = [person]
        while found[-1] in self.joined_to:
            found.append(self.joined_to[found[-1]])
        return found

    def one_since(self, one: str, other: str) -> int:
        """How many words had been said when the last link between the two was made."""
        links = set(self.way(one)) ^ set(self.way(other))
        return max((self.since[each] for each in links), default=0)

    def is_refused(self, person: str, channel: str) -> bool:
        """Whether any of those the contact is made of refuses, and did not agree since, nor did anybody once
        the two were one."""
        members = self.members(self.head(person))
        said = [
            (number, word)
            for number, word in enumerate(self.words)
            if word.by in members and word.channel == channel
        ]
        return any(
            word.refuses
            and not any(
                not later.refuses and at > number and self.one_since(word.by, later.by) <= at
                for at, later in said
            )
            for number, word in said
        )


class PeopleAgree(RuleBasedStateMachine):
    """Production over SQLite beside the model."""

    template: Path
    shelf: BundleShelf

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "people.db"
        shutil.copyfile(self.template, path)
        self.store = Store(f"sqlite:///{path}")
        self.ground: Ground = make_ground_over(self.store, self.shelf)
        self.model = Model()
        self.number = 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def said(self, kind: str, person: str) -> None:
        self.number += 1
        message = f"m{self.number}"
        self.ground.say(kind, person, messageId=message, properties={"order": message})
        self.model.events.append(Told(message, kind, self.model.head(person)))

    @initialize()
    def begin(self) -> None:
        for person in PEOPLE:
            self.ground.say("told", person, messageId=f"hello {person}")
            self.model.ids[person] = self.ground.id_of("user", person)
            self.model.events.append(Told(f"hello {person}", "told", person))

    @rule(person=people, kind=st.sampled_from(["seen", "paid", "told"]))
    def say(self, person: str, kind: str) -> None:
        self.said(kind, person)

    @rule(person=people, channel=channels, refuses=st.booleans())
    def speak(self, person: str, channel: str, *, refuses: bool) -> None:
        refuse(self.ground, person, "consent_withdrawn" if refuses else "consent_granted", channel=channel)
        self.ground.clock.moment += timedelta(minutes=1)
        self.model.words.append(Word(self.model.head(person), channel, refuses))

    @rule(one=people, other=people)
    def merge(self, one: str, other: str) -> None:
        ids = self.model.ids
        merged = self.ground.merger.merge(ids[one], ids[other], by="ana", reason="")
        first, second = sorted({self.model.head(one), self.model.head(other)} | {"~"}, key=self._age)[:2]
        if second == "~":
            assert merged.gone is None
            return
        assert (merged.survivor, merged.gone) == (ids[first], ids[second])
        self.model.joined_to[second] = first
        self.model.since[second] = len(self.model.words)

    @rule(person=people)
    def part(self, person: str) -> None:
        gone = self.model.ids[person]
        if person not in self.model.joined_to:
            with pytest.raises(CommandError, match="not part of another"):
                self.ground.merger.unmerge(gone, by="ana", reason="")
            return
        survivor = self.model.head(person)
        refused = [each for each in CHANNELS if self.model.is_refused(person, each)]
        parted = self.ground.merger.unmerge(gone, by="ana", reason="")
        assert (parted.survivor, parted.returned) == (self.model.ids[survivor], gone)
        del self.model.joined_to[person]
        for channel in refused:
            for head in (survivor, person):
                if not self.model.is_refused(head, channel):
                    self.model.words.append(Word(head, channel, refuses=True))

    @rule(hours=st.integers(1, 60))
    def pass_time(self, hours: int) -> None:
        self.ground.clock.moment += timedelta(hours=hours)

    def _age(self, person: str) -> int:
        return [*PEOPLE, "~"].index(person)

    @invariant()
    def whose_everything_is(self) -> None:
        model, ids = self.model, self.model.ids
        if not ids:
            return
        owner = {
            row.address: row.contact_id for row in self.ground.all(IdentityRow) if row.platform == "user"
        }
        assert owner == {person: ids[model.head(person)] for person in PEOPLE}
        kept = {row.event_id: row.contact_id for row in self.ground.all(EventRow)}
        expected = {told.message: ids[model.head(told.under)] for told in model.events}
        assert {name: kept[name] for name in expected} == expected, "an event is lost, or another's"
        for person, contact_id in ids.items():
            contact = self.ground.contact(contact_id)
            head = model.head(person)
            assert contact.merged_into == (None if head == person else ids[head])
            if head == person:
                paid = [
                    each for each in model.events if each.kind == "paid" and model.head(each.under) == head
                ]
                assert contact.order_count == len(paid)
                for channel in CHANNELS:
                    refuses = self.ground.state(contact_id, channel=channel) is ConsentState.WITHDRAWN
                    assert refuses == model.is_refused(person, channel), f"{person} {channel}"

    @invariant()
    def runs_are_sound(self) -> None:
        heads = {self.model.ids[self.model.head(person)] for person in self.model.ids}
        runs = self.ground.all(RunRow)
        active = [row for row in runs if row.status == "active"]
        assert {row.contact_id for row in runs} <= heads, "a run is of somebody who is part of another"
        for journey in ("once", "again"):
            told = [row.contact_id for row in active if row.journey == journey]
            assert journey == "again" or len(told) == len(set(told)), f"twice in {journey}"
        of = {row.id: row.contact_id for row in runs}
        for wait in self.ground.all(WaitRow):
            assert of[wait.run_id] == wait.contact_id

    @invariant()
    def the_ledger_is_whole(self) -> None:
        with self.store.read() as session:
            assert verify_chain(session) == []


@pytest.mark.parametrize("lives", [8, pytest.param(LIVES, marks=pytest.mark.long)])
def test_whatever_people_do_and_are_made_of_everything_is_whose_it_should_be(
    lives: int, _sqlite_template: Path, shelf: BundleShelf
) -> None:
    machine = type("Machine", (PeopleAgree,), {"template": _sqlite_template, "shelf": shelf})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
