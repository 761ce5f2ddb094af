"""Two drivers, one story: random lives through SQL and through virtual time give the same decisions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.clock import FixedClock
from engine.contacts.consent import ConsentEntry, record_consent
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.delivery.service import Delivery
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.intake.sweeping import Sweeper, Swept
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, IdentityRow, IntentRow, OutboxRow, RunRow
from plugins.generators import template

START = datetime(2026, 3, 27, 3, 0, tzinfo=UTC)  # two days before Berlin changes its clocks
DAY = timedelta(days=1)
PEOPLE = (
    Person("ann", {"email": "ann@example.com"}, consents=("marketing",), timezone="Europe/Berlin"),
    Person(
        "bob",
        {"email": "bob@example.com", "app": "bob-1"},
        consents=("marketing",),
        attributes={"quiet_time": "12:00-14:00, 17:00-18:30", "country": "DE"},
    ),
    Person("eve", {"app": "eve-1"}),
)

FILES: Mapping[str, str] = {
    "wayline.yaml": """
        kind: workspace
        id: here
        title: here
        owner: us
        timezone: Asia/Shanghai
        locales: [en]
        identities: [email, app]
        attributes: {quiet_time: {type: text}, country: {type: text}}
        residence: {attribute: country}
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 2d}
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 1d}
        """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: us
        channels:
          - {id: email, plugin: recording, identity: email, settings: {}}
          - {id: app, plugin: recording, identity: app, settings: {}}
        """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - id: text
            locales:
              en: {subject: Hello, body: Good morning}
          - {id: present, value: 2.5, locales: {en: {subject: A present, body: For you}}}
        """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: us
        events:
          - {id: added, title: added, schema: {type: object}}
          - {id: viewed, title: viewed, schema: {type: object, properties: {price: {type: number}}}}
          - id: paid
            title: paid
            effect: order
            schema: {type: object, properties: {amount: {type: number}, order_id: {type: string}}}
        """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: us
        caps:
          - id: one_a_day
            counts: {purpose: marketing}
            limit: 1
            window: {calendar: day, timezone: contact}
            when_full: defer
            max_defer: 36h
            look_ahead: 9h
          - id: four_a_week
            counts: {purpose: marketing}
            limit: 4
            window: {rolling: 7d}
            when_full: skip
            look_ahead: 2d
          - {id: breathing, counts: {purpose: marketing}, min_gap: 4h, when_full: defer}
          - id: app_quota
            counts: {channels: [app]}
            limit: 3
            window: {calendar: week, timezone: workspace}
            when_full: next_channel
            quota: {source: the platform's page, as_of: "2026-03-01"}
          - id: same_text
            counts: {contents: [text], journeys: [nag]}
            limit: 2
            window: {rolling: 5d}
            when_full: skip
          - {id: wins, counts: {journeys: [win_back]}, limit: 2, window: {rolling: 6d}, when_full: skip}
        tolerance:
          pause_after_silence: {after: 5d, for: 4d}
          scale:
            - {when: {contact.activity: frequent}, factor: 1.5}
            - {when: {contact.average_order_value: {lt: 30}}, factor: 0.5}
        """,
    "nights.yaml": """
        kind: quiet_hours
        id: nights
        title: nights
        owner: us
        quiet_hours:
          - id: night
            because: law
            holds_back: {kinds: [marketing]}
            countries: [DE, CN]
            from: "21:30"
            until: "08:00"
            spread: 45m
            source: a law
            as_of: "2026-03-01"
          - {id: own, because: contact, holds_back: {contents: [text]}, wish: quiet_time}
          - id: sunday
            because: courtesy
            holds_back: {channels: [app]}
            except: {purposes: [service]}
            from: "00:00"
            until: "00:00"
            weekdays: [sun]
            when_quiet: next_channel
        """,
    "tags.yaml": """
        kind: tags
        id: tags
        title: tags
        owner: us
        counts:
          - {id: views_2d, of: {event: viewed}, within: 2d}
        scores:
          - id: recency
            of: contact.last_order_at
            bands: [{within: 2d, score: 5}, {within: 6d, score: 3}]
            else: 1
        classes:
          - id: activity
            cases:
              - {is: frequent, when: {contact.views_2d: {gte: 2}}}
              - {is: silent, when: {contact.last_active_at: {older_than: 4d}}}
            else: normal
          - {id: stage, cases: [{is: growing, when: {contact.recency: {gte: 3}}}], else: new}
        tags:
          - {tag: big, level: value, when: {contact.total_spent: {gte: 100}}}
          - {tag: keen, level: behaviour, when: {contact.activity: frequent}}
        """,
    "quiet.yaml": """
        kind: audience
        id: quiet
        title: quiet
        owner: us
        when: [{contact.activity: silent}, {contact.sends_since_active: {lt: 3}}]
        """,
    "eager.yaml": """
        kind: audience
        id: eager
        title: eager
        owner: us
        when: [{contact.tags: {has: keen}}, {contact.tags: {lacks: asked}}]
        """,
    "win_back.yaml": """
        kind: journey
        id: win_back
        title: win back
        owner: us
        purpose: marketing
        priority: 30
        revival: true
        enter: {audience: {entered: quiet}, when: {contact.stage: {in: [new, growing]}}, reentry: always}
        leave: [{when: {contact.audiences: {lacks: quiet}}}]
        steps:
          - {send: miss_you, content: text, channels: [email, app]}
          - {wait: rest, for: 2d}
          - {send: again, content: text, channels: [app, email]}
        """,
    "ask.yaml": """
        kind: journey
        id: ask
        title: ask
        owner: us
        purpose: marketing
        priority: 50
        enter: {audience: {entered: eager}, reentry: always}
        steps:
          - {tag: mark, add: [asked]}
          - wait_for: gone
            event: audience_left
            when: {event.audience: eager}
            up_to: 3d
            then:
              - {tag: note, add: [answered]}
        """,
    "welcome.yaml": """
        kind: journey
        id: welcome
        title: welcome
        owner: us
        purpose: marketing
        priority: 60
        enter: {event: added, reentry: {after: 3d}}
        leave: [{when: {contact.tags: {has: greeted_twice}}}]
        goal: {event: paid, within: 4d}
        steps:
          - {send: hello, content: text, channels: [email, app]}
          - {wait: overnight, days: 1, at: "10:00"}
          - send: guide
            content: text
            channels: [app, email]
            outcomes:
              capped:
                - {tag: unlucky, add: [unlucky]}
          - wait_for: look
            event: viewed
            when: {event.price: {gte: 50}}
            up_to: 2d
            then:
              - {send: picks, content: text, channels: [email]}
            otherwise:
              - {tag: note, add: [greeted_twice]}
          - {wait: more, for: 5h}
        """,
    "repurchase.yaml": """
        kind: journey
        id: repurchase
        title: repurchase
        owner: us
        purpose: marketing
        priority: 40
        enter: {event: paid, when: {event.amount: {gt: 10}}, reentry: {once_per: event.order_id}}
        steps:
          - {send: thanks, content: text, channels: [email, app], purpose: service}
          - {wait: settle, for: 36h, weekdays: [mon, wed, fri]}
          - branch: size
            cases:
              - when: {contact.tags: {has: big}, journey.outcomes.thanks: sent}
                steps:
                  - {send: gift, content: present, channels: [app]}
            else:
              - {send: related, content: text, channels: [email]}
        """,
    "nag.yaml": """
        kind: journey
        id: nag
        title: nag
        owner: us
        purpose: marketing
        priority: 25
        enter: {event: added, reentry: {after: 1d}}
        steps:
          - repeat: until_paid
            while: {contact.total_spent: {lt: 60}, contact.tags: {lacks: unlucky}}
            at_most: 3
            steps:
              - {wait: ten, at: "10:00"}
              - send: nag
                content: text
                channels: [app, email]
              - repeat: looks
                times: 2
                steps:
                  - {wait_for: look, event: viewed, up_to: 20h, then: [{tag: keep, add: [looked]}]}
          - {start: further, journey: follow, values: {why: nagged}}
          - {start: once_more, journey: follow, values: {why: nagged}}
          - branch: how_often
            cases:
              - when: {journey.rounds.until_paid: {gte: 2}, journey.outcomes.nag: sent}
                steps: [{send: sorry, content: text, channels: [email], purpose: service}]
        """,
    "follow.yaml": """
        kind: journey
        id: follow
        title: follow
        owner: us
        purpose: service
        priority: 45
        enter:
          api: {parameters: {why: {type: text, required: true}}}
          when: {contact.tags: {lacks: greeted_twice}}
          reentry: {once_per: event.why}
        steps:
          - {send: soon, content: text, channels: [app, email]}
          - {start: last, journey: parting}
          - {wait: pause, for: 3h}
          - {send: later, content: text, channels: [email]}
        """,
    "parting.yaml": """
        kind: journey
        id: parting
        title: parting
        owner: us
        purpose: marketing
        priority: 90
        enter: {api: {}, reentry: always}
        leave: [{event: journey_requested}]
        steps:
          - {send: parting, content: text, channels: [email]}
          - {wait: rest, for: 2d}
        """,
    "outcomes.yaml": """
        kind: journey
        id: outcomes
        title: outcomes
        owner: us
        purpose: marketing
        priority: 70
        enter: {event: [viewed, paid], reentry: never}
        steps:
          - send: quick
            content: text
            channels: [app, email]
            deadline: 2h
            outcomes:
              sent: [{tag: lucky, add: [reached]}]
              expired: [{wait: patience, for: 6h}, {send: late, content: text, channels: [email]}]
              capped: [{tag: enough, add: [enough]}]
              blocked:
                - {wait: polite, for: 1m}
                - {send: receipt, content: text, channels: [email], purpose: service}
          - {wait: settle, for: 1m}  # of what held messages of one moment lead to, the order is not the same
          - branch: became
            cases:
              - when: {journey.outcomes.quick: expired, journey.outcomes.late: sent}
                steps: [{stop: made_up}]
              - {when: {journey.outcomes.receipt: {in: [sent, blocked]}}, steps: [{tag: told, add: [told]}]}
              - {when: {journey.outcomes.quick: {ne: sent}}, steps: [{tag: missed, add: [missed]}]}
    """,
    "dormant.yaml": """
        kind: journey
        id: dormant
        title: dormant
        owner: us
        purpose: marketing
        priority: 20
        enter: {event: [viewed, paid], reentry: always}
        leave: [{event: [viewed, paid]}]
        steps:
          - {start: asks, journey: follow, values: {why: quiet}}
          - {wait: silence, for: 5d, at: "02:30"}
          - {send: wake, content: text, channels: [email, app]}
        """,
    "patience.yaml": """
        kind: journey
        id: patience
        title: patience
        owner: us
        purpose: marketing
        priority: 30
        enter: {event: viewed, reentry: {after: 1d}}
        steps:
          - wait_for: bought
            when: {contact.total_spent: {gte: 60}}
            up_to: 3d
            then:
              - {tag: good, add: [bought]}
            otherwise:
              - {send: offer, content: present, channels: [app]}
        """,
    # Of the three people only bob is held out.
    "fewer.yaml": """
        kind: experiment
        id: fewer
        title: fewer
        owner: us
        hold_out: {share: 35%, of: {channels: [app]}, seed: h3, starts: "2026-03-28", ends: "2026-04-02"}
        """,
    "trial.yaml": """
        kind: journey
        id: trial
        title: trial
        owner: us
        purpose: marketing
        priority: 45
        enter: {event: viewed, reentry: {after: 12h}}
        steps:
          - experiment: tone
            arms:
              - {id: warm, weight: 1, steps: [{send: warmly, content: text, channels: [app, email]}]}
              - {id: dry, weight: 1, steps: [{tag: plain, add: [plain]}]}
          - {wait: some, for: 90m}
          - experiment: present
            stratify_by: [contact.activity]
            arms:
              - {id: none, weight: 1}
              - {id: small, weight: 1, steps: [{send: trinket, content: text, channels: [email, app]}]}
              - {id: large, weight: 1, steps: [{tag: lucky, add: [lucky]}]}
          - branch: thanks
            cases:
              - when: {journey.arms.present: large, journey.arms.tone: dry}
                steps: [{send: note_of_thanks, content: text, channels: [app]}]
        """,
}


@dataclass(frozen=True)
class Happening:
    pause: timedelta
    who: str
    event: str
    properties: Mapping[str, Any]


Story = tuple[Any, ...]


@cache
def the_bundle() -> Bundle:
    return bundle_of({name: textwrap.dedent(text) for name, text in FILES.items()})


EVENTS = ["added", "viewed", "viewed", "paid", "paid", "consent_withdrawn", "consent_granted"]

happenings = st.lists(
    st.builds(
        Happening,
        pause=st.sampled_from([0, 1, 60, 3600, 4 * 3600, 30 * 3600, 3 * 86400, 6 * 86400]).map(
            lambda seconds: timedelta(seconds=seconds)
        ),
        who=st.sampled_from([person.id for person in PEOPLE]),
        event=st.sampled_from(EVENTS),
        properties=st.fixed_dictionaries(
            {
                "price": st.sampled_from([10, 80]),
                "amount": st.sampled_from([5, 60]),
                "order_id": st.sampled_from(["o1", "o2"]),
                "purpose": st.just("marketing"),
            }
        ),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(life=happenings)
def test_sql_and_virtual_time_decide_the_same(life: list[Happening], _sqlite_template: Path) -> None:
    in_memory, facts = asyncio.run(live_in_memory(life, the_bundle()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            sql = SqlLife(store, the_bundle().files)
            in_sql = asyncio.run(sql.live(life))
            facts_in_sql = sql.facts()
    for person in PEOPLE:
        stories = zip_longest(in_sql[person.id], in_memory[person.id])
        for number, (one, other) in enumerate(stories):
            assert one == other, f"decision {number} about {person.id}"
    assert facts_in_sql == facts


async def live_in_memory(
    life: list[Happening], bundle: Bundle
) -> tuple[dict[str, list[Story]], dict[str, Any]]:
    world = VirtualWorld(bundle, START)
    world.add(*PEOPLE)
    at = START
    for happening in life:
        at += happening.pause
        world.feed(happening.who, happening.event, at, happening.properties)
    await world.run_until(at + 20 * DAY)
    facts = {person.id: world.facts(person.id) for person in PEOPLE}
    world.close()
    stories: dict[str, list[Story]] = {person.id: [] for person in PEOPLE}
    for decided in world.decisions:
        stories[decided.contact_id].append(
            (
                decided.at,
                decided.kind,
                decided.journey,
                decided.step,
                decided.channel,
                decided.verdict,
                decided.reason,
                because(decided.evidence),
                decided.hold_until,
            )
        )
    return stories, facts


def because(evidence: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arm or the cap that a decision is about, and why it is this one."""
    names = ("arm", "by", "hash", "place_in_stratum", "hold_out")
    return tuple(
        evidence.get(name) for name in (*names, "cap", "used", "factor", "yields_to", "silent_since")
    )


class SqlLife:
    """The production services over one database; a loop stands for workflows and dispatcher."""

    def __init__(
        self,
        store: Store,
        files: Mapping[str, str],
        lag: timedelta = timedelta(),
        *,
        shelf: BundleShelf | None = None,
        people: Sequence[Person] = PEOPLE,
    ) -> None:
        """`lag` is how long after its moment everything is done."""
        self.store, self.lag = store, lag
        self.clock = FixedClock(START)
        self.shelf = shelf or BundleShelf()
        self.channel = RecordingChannel()
        registry = load_registry(entry_points=False, extra=[self.channel, template])
        # One send at a time: what is due together goes out in the order of its importance.
        self.delivery = Delivery(
            store, self.shelf, registry, self.clock, public_url="http://here", secret="s", at_once=1
        )
        self.runs = Runs(store, self.shelf, self.delivery, self.clock)
        self.intake = Intake(store, self.shelf, self.runs, self.clock)
        self.sweeper = Sweeper(store, self.shelf, self.runs, self.clock)
        with store.begin() as session:
            publish(session, files, by="test", now=START)
            for person in people:
                self.add(session, person)

    def add(self, session: Any, person: Person) -> None:
        session.add(
            ContactRow(
                id=person.id,
                created_at=START,
                timezone=person.timezone,
                timezone_source="stated",
                attributes=dict(person.attributes),
            )
        )
        for platform, address in person.identities.items():
            session.add(IdentityRow(platform=platform, address=address, contact_id=person.id, added_at=START))
        session.flush()
        for purpose in person.consents:
            record_consent(session, ConsentEntry(person.id, purpose, "granted", START))

    async def live(self, life: list[Happening]) -> dict[str, list[Story]]:
        await self.carry_swept(self.sweeper.refresh_page(100))
        at = self.clock.now()
        for number, happening in enumerate(life):
            at += happening.pause
            await self.pass_time(at, inclusive=False)
            self.clock.moment = max(at + self.lag, self.clock.moment)
            event = IncomingEvent(
                f"m{number}",
                happening.event,
                (),
                happening.properties,
                occurred_at=self.clock.now(),
                contact_id=happening.who,
            )
            receipt = self.intake.accept([event], source="simulation")
            assert (receipt.accepted, receipt.dead) == (1, 0)
            for run_id in receipt.run_ids:
                await self.runs.carry(run_id)
            await self.carry_told()
        await self.pass_time(at + 20 * DAY, inclusive=True)
        self.shelf.close()
        return self.stories()

    async def pass_time(self, until: datetime, *, inclusive: bool) -> None:
        """Let time go by, from one due moment to the next; what is due at `until` itself may come later."""
        end = until + timedelta(microseconds=int(inclusive))
        while (due_at := self.next_due_at()) is not None and due_at < end:
            self.clock.moment = max(due_at + self.lag, self.clock.moment)
            await self.carry_swept(self.sweeper.sweep_page(100))
            await self.delivery.deliver_due(100)
            await self.carry_told()
            for run_id in self.due_runs():
                await self.carry(run_id)
        self.clock.moment = max(until, self.clock.moment)

    async def carry(self, run_id: str, *, durable: bool = True) -> None:
        """What a run's workflow does when it wakes."""
        await self.runs.carry(run_id, durable=durable)

    async def carry_swept(self, swept: Swept) -> None:
        for run_id in swept.run_ids:
            await self.runs.carry(run_id)
        await self.carry_told()

    def facts(self) -> dict[str, Any]:
        """What is known of everybody now."""
        with self.store.read() as session:
            rows = session.scalars(select(ContactRow))
            return {row.id: contact_facts(profile_of(row), the_bundle(), self.clock.now()) for row in rows}

    def next_due_at(self) -> datetime | None:
        with self.store.read() as session:
            runs = select(col(RunRow.due_at)).where(col(RunRow.status) == "active")
            moments = [*session.scalars(runs), *session.scalars(select(col(ContactRow.profile_due_at)))]
            for held in session.scalars(select(IntentRow).where(col(IntentRow.state) == "held")):
                moments += [held.wake_at, held.retry_at, held.deadline_at]
        return min((moment for moment in moments if moment is not None), default=None)

    def due_runs(self) -> list[str]:
        with self.store.read() as session:
            query = (
                select(col(RunRow.id))
                .where(col(RunRow.status) == "active", col(RunRow.due_at) <= self.clock.now())
                .order_by(col(RunRow.priority).desc(), col(RunRow.journey), col(RunRow.entry_key))
            )
            return list(session.scalars(query))

    async def carry_told(self) -> None:
        """What workflows do when the outbox's signals reach them."""
        while True:
            with self.store.begin() as session:
                rows = list(session.scalars(select(OutboxRow).order_by(col(OutboxRow.id))))
                told = [row.key for row in rows if row.kind == "run.signal"]
                for row in rows:
                    session.delete(row)
            if not told:
                return
            for run_id in told:
                await self.carry(run_id)

    def stories(self) -> dict[str, list[Story]]:
        stories: dict[str, list[Story]] = {person.id: [] for person in PEOPLE}
        with self.store.read() as session:
            steps = {row.key: row.step_id for row in session.scalars(select(IntentRow))}
            for row in session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))):
                stories[row.contact_id].append(
                    (
                        row.at,
                        row.kind,
                        row.journey,
                        steps.get(row.intent_key or ""),
                        row.channel,
                        row.verdict,
                        row.reason,
                        because(row.evidence),
                        row.hold_until,
                    )
                )
        return stories
