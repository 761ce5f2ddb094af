"""Budgets in SQL and in virtual time: the same wishes of many contacts lead to the same answers."""

from __future__ import annotations

import shutil
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.clock import JourneyTime
from engine.contacts.consent import ConsentEntry, record_consent
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.delivery.gate_rules import gate_rules
from engine.delivery.gate_state import SqlGateState
from engine.delivery.intents import plan
from engine.delivery.returns import is_to_be_judged, judge_periods, say_of_share
from engine.delivery.waking import wake_halted
from engine.gate.budgets import OTHERS
from engine.gate.consent import ConsentRecord
from engine.gate.judging import judge
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.state import (
    Aftermath,
    Attempt,
    Claim,
    Departure,
    GateState,
    Identity,
    Moment,
    Passage,
    Standing,
)
from engine.governance.publishing import publish
from engine.journeys.event import Event
from engine.simulation.gate_state import MemoryGateState
from engine.simulation.sight import Addressee
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, EventRow, IdentityRow
from tests.gate.schedules import FILES as PLAIN

START = datetime(2026, 3, 1, tzinfo=UTC)
PEOPLE = ("ann", "bob", "eve")
FILES = {
    **{
        name: text
        for name, text in PLAIN.items()
        if name not in {"caps.yaml", "wayline.yaml", "content.yaml"}
    },
    "wayline.yaml": """
        {kind: workspace, id: here, title: here, owner: us, timezone: UTC, locales: [en],
         identities: [email, app], currencies: {CNY: {decimals: 2}},
         attributes: {vip: {type: boolean}, loyal: {type: boolean}},
         contact_value:
           {cases: [{when: {contact.loyal: true}, value: 3}, {when: {contact.vip: true}, value: 2}]}}
        """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: us
        events: [{id: paid, title: paid, schema: {type: object, properties: {amount: {type: number}}}}]
        """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - {id: hello, locales: {en: {subject: Hello, body: Good morning}}}
          - {id: gift, costs: {CNY: 2.5}, value: 1.2, locales: {en: {subject: A gift, body: For you}}}
        """,
    "budgets.yaml": """
        kind: budgets
        id: budgets
        title: budgets
        owner: us
        budgets:
          - id: emails
            unit: messages
            pays_for: {channels: [email]}
            limit: 12
            window: {calendar: day, timezone: workspace}
            every: 6h
            shares: [{id: vip, share: 50%, when: {contact.vip: true}, weight: 1.35}]
            when_spent: defer
            return: {event: paid, amount: amount, currency: CNY, within: 3h, period: 6h, periods: 3,
                     unstable_above: 40%, stable_below: 30%}
          - id: gifts
            unit: money
            currency: CNY
            cost: 0.01
            pays_for: {purposes: [marketing]}
            limit: 20
            window: {calendar: day, timezone: workspace}
            every: 3h
            pace: front
            when_ahead: skip
            when_spent: next_channel
        """,
}


@cache
def bundle() -> Bundle:
    return bundle_of({name: textwrap.dedent(text) for name, text in FILES.items()})


def contact(name: str) -> ContactRow:
    worth = {"vip": name == "ann", "loyal": name == "eve"}
    return ContactRow(id=name, created_at=START, timezone="UTC", attributes=worth)


class Memory:
    def __init__(self) -> None:
        grant = ConsentRecord("marketing", "*", "granted", START)
        people = {
            name: Addressee(
                Standing(timezone="UTC"),
                (Identity("app", f"{name}-app"), Identity("email", f"{name}-email")),
                (grant,),
                known=contact_facts(profile_of(contact(name)), bundle(), START),
            )
            for name in PEOPLE
        }
        self.memory = MemoryGateState(gate_rules(bundle()), people.get, time=JourneyTime(START, START))
        self.state: GateState = self.memory

    def plan(self, intent: Intent) -> None:
        self.memory.plan(intent)

    def pay(self, person: str, at: datetime, amount: int) -> None:
        event = Event(f"{person} {at}", "paid", person, at, at, "test", {"amount": amount})
        self.memory.happened(event)

    def judge(self, at: datetime) -> None:
        self.memory.halts(at)

    def resume(self, share: str, at: datetime) -> None:
        self.memory.say_of_share("emails", share, at, "somebody", halted=False)

    def take_due(self, at: datetime) -> Iterator[Claim]:
        for key in self.memory.due(at):
            claim = self.memory.claim(key, at)
            assert isinstance(claim, Claim)
            yield claim


class Sql:
    def __init__(self, store: Store) -> None:
        self.store = store
        with store.begin() as session:
            publish(session, dict(bundle().files), by="test", now=START)
            for name in PEOPLE:
                session.add(contact(name))
                for platform in ("email", "app"):
                    session.add(
                        IdentityRow(
                            platform=platform, address=f"{name}-{platform}", contact_id=name, added_at=START
                        )
                    )
                session.flush()
                record_consent(session, ConsentEntry(name, "marketing", "granted", START))
        self.sql = SqlGateState(store, BundleShelf(), lease=timedelta(minutes=1))
        self.state: GateState = self.sql

    def plan(self, intent: Intent) -> None:
        with self.store.begin() as session:
            plan(session, intent, now=intent.created_at - timedelta(minutes=5))

    def pay(self, person: str, at: datetime, amount: int) -> None:
        with self.store.begin() as session:
            session.add(
                EventRow(
                    event_id=f"{person} {at}",
                    contact_id=person,
                    type="paid",
                    occurred_at=at,
                    received_at=at,
                    source="test",
                    properties={"amount": amount},
                )
            )

    def judge(self, at: datetime) -> None:
        with self.store.begin() as session:
            for budget in bundle().budgets:
                if is_to_be_judged(session, budget, at) and judge_periods(session, budget, at):
                    wake_halted(session, now=at)

    def resume(self, share: str, at: datetime) -> None:
        emails = next(budget for budget in bundle().budgets if budget.id == "emails")
        with self.store.begin() as session:
            said = say_of_share(session, emails, share, at, halted=False, by="somebody", reason="")
            if said:
                wake_halted(session, now=at)

    def take_due(self, at: datetime) -> Iterator[Claim]:
        for taken in self.sql.claim_due(100, at):
            yield self.sql.resume(taken.key, taken.lease, at)


Step = tuple[int, str, str, tuple[str, ...], str, int, int]
steps = st.tuples(
    st.sampled_from([0, 0, 1, 30, 200, 700]),
    st.sampled_from(PEOPLE),
    st.sampled_from(["hello", "gift"]),
    st.sampled_from([("email",), ("app",), ("email", "app"), ("app", "email")]),
    st.sampled_from(["accepted", "accepted", "rejected", "unknown", "again"]),
    st.integers(0, 50),
    st.sampled_from([0, 0, 1, 5, 30]),
)


RESUMES = 50
"""As `which`: somebody lets go on what is halted."""


def story(side: Memory | Sql, said: list[Step]) -> list[Any]:
    """What becomes of wishes, each tried at once, of earlier ones, and of all that is due by then."""
    told: list[Any] = []
    at = START
    for number, (minutes, person, content, channels, result, which, paid) in enumerate(said):
        at += timedelta(minutes=minutes)
        if paid and minutes:
            side.pay(PEOPLE[which % 3], at, paid)
        side.judge(at)
        if which == RESUMES:
            side.resume(OTHERS, at)
        # The most valuable first, on both sides.
        told += [(claim.intent.key, go_on(side.state, claim, at, result)) for claim in side.take_due(at)]
        key = f"k{number}"
        side.plan(
            Intent(
                key, person, "marketing", 50, content, channels, "s", 1, at, expires_at=at + timedelta(days=9)
            )
        )
        told.append(attempt(side.state, key, at, result))
        told.append(attempt(side.state, f"k{which % (number + 1)}", at, result))
    return told


def attempt(state: GateState, key: str, at: datetime, result: str) -> Any:
    claim = state.claim(key, at)
    return go_on(state, claim, at, result) if isinstance(claim, Claim) else claim


def go_on(state: GateState, claim: Claim, at: datetime, result: str) -> Any:
    now = Moment(at, at)
    found = judge(claim.intent, claim.view, now)
    if not isinstance(found, Answer):
        departed = state.depart(claim, Passage(found.channel, found.address, "hash"), now)
        if isinstance(departed, Departure):
            assert departed.stopped is None
            return settle(state, claim, found.channel, now, result)
        found = departed
    state.conclude(claim, found, now, passage=None, carried=True)
    return found


def settle(state: GateState, claim: Claim, channel: str, now: Moment, result: str) -> str:
    ends = {
        "accepted": Aftermath("accepted", Answer(Verdict.ALLOW, "hand_over", "sent.accepted"), Outcome.SENT),
        "unknown": Aftermath(
            "unknown", Answer(Verdict.FAIL, "hand_over", "unknown.no_answer"), Outcome.UNKNOWN
        ),
        "rejected": Aftermath(
            "rejected",
            Answer(Verdict.FAIL, "hand_over", "failed.rejected"),
            Outcome.FAILED,
            keeps_places=False,
        ),
        "again": Aftermath(
            "held",
            Answer(Verdict.HOLD, "hand_over", "rate.retry", retry_at=now.delivery),
            keeps_places=False,
        ),
    }
    state.settle(claim, Attempt(channel, result), ends[result], now, carried=True)
    return f"{channel}: {result}"


@settings(max_examples=30, deadline=None)
@given(said=st.lists(steps, min_size=1, max_size=40))
def test_sql_and_virtual_time_allow_hold_and_refuse_the_same(
    said: list[Step], _sqlite_template: Path
) -> None:
    in_memory = story(Memory(), said)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            assert story(Sql(store), said) == in_memory


def test_postgresql_says_the_same_of_a_long_story(postgres_store: Store) -> None:
    said: list[Step] = [
        (
            13 * (number % 5),
            PEOPLE[number % 3],
            "gift" if number % 4 == 0 else "hello",
            ("email", "app"),
            result,
            number,
            [0, 5, 0, 30, 1][number // 7 % 5],
        )
        for number in range(60)
        for result in (["accepted", "rejected", "again", "accepted", "unknown"][number % 5],)
    ]
    in_memory = story(Memory(), said)
    assert story(Sql(postgres_store), said) == in_memory
    reasons = Counter(each.reason for each in answers(in_memory))
    assert {"budget.ahead", "budget.share_spent"} & set(reasons)
    assert "budget.halted" in reasons


def answers(told: list[Any]) -> list[Answer]:
    said = (each[1] if isinstance(each, tuple) else each for each in told)
    return [each for each in said if isinstance(each, Answer)]


def test_who_is_worth_more_leaves_first_of_those_that_wait_and_waits_behind_nobody(store: Store) -> None:
    # Half of twelve emails are for others than ann; a quarter of these by six in the morning: one.
    wishes = [(0, person, "hello", ("email",), "accepted", 0, 0) for person in ("bob", "bob", "bob", "eve")]
    later = [(370, "bob", "hello", ("email",), "accepted", 0, 0)]
    for side in (Memory(), Sql(store)):
        told = story(side, [*wishes, *later])
        worth = [each.evidence.get("contact_value") for each in answers(told)]
        assert 3 in worth
        # At six two slots allow three, of which one is spent: eve waited longest for nobody and is the first.
        assert next(each for each in told if isinstance(each, tuple)) == ("k3", "email: accepted")


def test_a_budget_that_refuses_late_gives_back_what_the_others_gave() -> None:
    side = Memory()
    rules = side.memory.rules
    assert [budget.id for budget in rules.budgets] == ["emails", "gifts"]
    spent = replace(rules.budgets[1], limit=1)
    side.memory.rules = replace(rules, budgets=(rules.budgets[0], spent))
    told = story(side, [(0, "ann", "gift", ("email",), "accepted", 0, 0)])
    assert told[0].evidence["refused_by"] == ["gifts"]
