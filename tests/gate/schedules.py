"""Made-up schedules: many processes race for places in caps, die, lose leases and come back.

A world drives one gate's memory through its protocol and keeps books of its own beside it: by them no
hand-over may over-run a cap, and in the end nobody holds a place that nothing was sent for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from engine.gate.judging import Way, judge
from engine.gate.model import (
    Answer,
    CalendarUnit,
    CalendarWindow,
    Cap,
    Counts,
    Intent,
    Outcome,
    RollingWindow,
    Verdict,
)
from engine.gate.state import (
    Aftermath,
    Attempt,
    Claim,
    Departure,
    GateState,
    LeaseLost,
    Moment,
    Passage,
)

START = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)  # two hours before the night in which Berlin loses one
LEASE = timedelta(seconds=30)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONE = "Europe/Berlin"
PAUSES = (timedelta(), timedelta(seconds=1), LEASE, 10 * MINUTE, HOUR, 3 * HOUR, 7 * HOUR, DAY)

FILES = {
    "wayline.yaml": """
        {kind: workspace, id: here, title: here, owner: us, timezone: Asia/Shanghai, locales: [en],
         identities: [email, app]}
        """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 9d}
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 9d}
        """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: us
        channels:
          - {id: email, plugin: mail, identity: email, settings: {}}
          - {id: app, plugin: push, identity: app, settings: {}}
        """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - {id: hello, locales: {en: {subject: Hello, body: Good morning}}}
          - {id: gift, value: 3, locales: {en: {subject: A gift, body: For you}}}
        """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: us
        caps:
          - id: two_in_ten_hours
            counts: {purpose: marketing}
            limit: 2
            window: {rolling: 10h}
            when_full: defer
            look_ahead: 3h
          - id: emails_a_day
            counts: {channels: [email], purpose: marketing}
            limit: 1
            window: {calendar: day, timezone: contact}
            when_full: next_channel
          - {id: gift_gap, counts: {contents: [gift]}, min_gap: 5h, when_full: skip}
          - id: app_quota
            counts: {channels: [app]}
            limit: 3
            window: {calendar: week, timezone: workspace}
            when_full: skip
            quota: {source: the platform, as_of: "2026-03-01"}
        """,
}
ZONES = {"contact": ZONE, "workspace": "Asia/Shanghai"}


class Bench(Protocol):
    """One gate's memory with the contact `ann`, who agreed and has an address on both channels."""

    state: GateState
    caps: Sequence[Cap]

    def plan(self, intent: Intent) -> None: ...
    def held_places(self) -> set[str]:
        """The intents that hold places, leased or confirmed, whether or not a lease is over."""


@dataclass
class Sent:
    """What the books hold of a message that was handed over."""

    intent: Intent
    channel: str
    at: datetime


@dataclass
class Working:
    """A process with an intent in its hands."""

    claim: Claim
    passage: Passage | None = None
    handed_over: bool = False


@dataclass
class World:
    """One schedule. Every step is one thing that some process does, or the passing of time."""

    bench: Bench
    now: datetime = START
    sent: dict[str, Sent] = field(default_factory=dict)
    """By key: what counts against caps, by our own books."""
    working: dict[str, Working] = field(default_factory=dict)
    planned: list[Intent] = field(default_factory=list)
    over_runs: int = 0

    @property
    def moment(self) -> Moment:
        return Moment(self.now, self.now)

    def plan(self, priority: int, content: str, purpose: str, channels: tuple[str, ...]) -> None:
        key = f"k{len(self.planned)}"
        intent = Intent(
            key, "ann", purpose, priority, content, channels, "s", 1, self.now, expires_at=self.now + 9 * DAY
        )
        self.planned.append(intent)
        self.bench.plan(intent)

    def pass_time(self, pause: timedelta) -> None:
        self.now += pause

    def claim(self, key: str) -> None:
        claim = self.bench.state.claim(key, self.now)
        if isinstance(claim, Claim):
            self.working[key] = Working(claim)

    def die(self, key: str) -> None:
        """The process is gone; its lease ends by itself."""
        del self.working[key]

    def renew(self, key: str) -> None:
        with self._lost(key):
            working = self.working[key]
            working.claim = self.bench.state.renew(working.claim, self.now)

    def go_on(self, key: str, at_once: bool, result: str) -> None:
        """The next thing on the intent's way: be judged and reserved, handed over, or settled."""
        working = self.working[key]
        with self._lost(key):
            if working.handed_over:
                self._settle(key, working, result)
            elif working.passage is not None:
                self._hand_over(key, working)
            else:
                self._judge(key, working, at_once)

    def _judge(self, key: str, working: Working, at_once: bool) -> None:
        found = judge(working.claim.intent, working.claim.view, self.moment)
        if isinstance(found, Answer):
            self._conclude(key, working, found)
            return
        passage = Passage(found.channel, found.address, "hash")
        state = self.bench.state
        got = (state.depart if at_once else state.reserve)(working.claim, passage, self.moment)
        if isinstance(got, Answer):
            self._conclude(key, working, got)
        elif isinstance(got, Departure):
            assert got.stopped is None, "nothing is stopped here"
            self._handed_over(key, working, got.passage)
        else:
            working.passage = got

    def _hand_over(self, key: str, working: Working) -> None:
        assert working.passage is not None
        stopped = self.bench.state.hand_over(working.claim, working.passage, self.moment)
        assert stopped is None, stopped
        self._handed_over(key, working, working.passage)

    def _handed_over(self, key: str, working: Working, passage: Passage) -> None:
        working.passage, working.handed_over = passage, True
        intent = working.claim.intent
        sent = Sent(intent, passage.channel, self.now)
        self.over_runs += sum(
            not self.fits(cap, intent, passage.channel) for cap in self.bench.caps if counts(cap, sent)
        )
        self.sent[key] = sent

    def _settle(self, key: str, working: Working, result: str) -> None:
        passage = working.passage
        assert passage is not None
        attempt = Attempt(passage.channel, result)
        ends = {
            "accepted": Aftermath("accepted", said(Verdict.ALLOW, "sent.accepted"), Outcome.SENT),
            "unknown": Aftermath("unknown", said(Verdict.ALLOW, "unknown.no_answer"), Outcome.UNKNOWN),
            "rejected": Aftermath(
                "rejected", said(Verdict.FAIL, "failed.rejected"), Outcome.FAILED, keeps_places=False
            ),
            "retry": Aftermath("held", busy(self.now), keeps_places=False),
        }
        self.bench.state.settle(working.claim, attempt, ends[result], self.moment, carried=True)
        if not ends[result].keeps_places:
            del self.sent[key]
        del self.working[key]

    def _conclude(self, key: str, working: Working, answer: Answer) -> None:
        self.bench.state.conclude(working.claim, answer, self.moment, passage=None, carried=True)
        del self.working[key]

    def _lost(self, key: str) -> _Lost:
        return _Lost(self, key)

    # By our own books

    def fits(self, cap: Cap, intent: Intent, channel: str) -> bool:
        """Whether by the definition one more message finds room in the cap now."""
        others = [each for each in self.sent.values() if each.intent.key != intent.key and counts(cap, each)]
        if cap.min_gap is not None:
            return all(self.now - each.at >= cap.min_gap for each in others)
        assert cap.limit is not None
        match cap.window:
            case RollingWindow(length):
                inside = [each for each in others if self.now - length < each.at]
            case CalendarWindow(unit, timezone):
                zone = ZoneInfo(ZONES[timezone])
                inside = [
                    each for each in others if period(unit, each.at, zone) == period(unit, self.now, zone)
                ]
            case None:
                raise AssertionError("a cap without a gap has a window")
        return len(inside) < cap.limit

    def settle_down(self) -> None:
        """Everybody dies, every lease ends, and nobody but what was sent may hold a place."""
        self.working.clear()
        self.now += LEASE + timedelta(seconds=1)

    def leaks(self) -> list[str]:
        """What is wrong with the places after `settle_down`: none may be missing, none too many."""
        found = []
        for content, purpose, channel in (
            ("hello", "marketing", "email"),
            ("hello", "marketing", "app"),
            ("gift", "marketing", "app"),
            ("hello", "service", "app"),
        ):
            self.plan(100, content, purpose, (channel,))
            intent = self.planned[-1]
            claim = self.bench.state.claim(intent.key, self.now)
            assert isinstance(claim, Claim)
            # A place that is kept free for others is free.
            view = replace(claim.view, rivals=())
            is_free = isinstance(judge(claim.intent, view, self.moment), Way)
            probe = Sent(intent, channel, self.now)
            should = all(self.fits(cap, intent, channel) for cap in self.bench.caps if counts(cap, probe))
            if is_free != should:
                found.append(f"{content} on {channel}: free {is_free}, by the books {should}")
        return found


class _Lost:
    """Whoever lost its lease lets go of the intent; it was another's already."""

    def __init__(self, world: World, key: str) -> None:
        self._world, self._key = world, key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if kind is not None and issubclass(kind, LeaseLost):
            self._world.working.pop(self._key, None)
            return True
        return False


def counts(cap: Cap, sent: Sent) -> bool:
    """Whether a cap counts a message, by the definition."""
    of: Counts = cap.counts
    is_exempt = sent.intent.purpose == "service" and cap.quota is None
    return (
        not is_exempt
        and of.purpose in {None, sent.intent.purpose}
        and (not of.channels or sent.channel in of.channels)
        and (not of.contents or sent.intent.content in of.contents)
    )


def period(unit: CalendarUnit, moment: datetime, zone: ZoneInfo) -> tuple[int, ...]:
    local = moment.astimezone(zone)
    if unit is CalendarUnit.WEEK:
        return tuple(local.isocalendar())[:2]
    return (local.year, local.month, *((local.day,) if unit is CalendarUnit.DAY else ()))


def said(verdict: Verdict, reason: str) -> Answer:
    return Answer(verdict, "hand_over", reason)


def busy(now: datetime) -> Answer:
    return Answer(Verdict.HOLD, "hand_over", "rate.retry", retry_at=now + timedelta(seconds=5))


RESULTS = ("accepted", "accepted", "accepted", "unknown", "rejected", "retry")


def step(world: World, chance: random.Random) -> None:
    """One thing that happens next, as chance has it."""
    what = chance.random()
    busy_keys = sorted(world.working)
    if what < 0.16 or not world.planned:
        channels = chance.choice([("email",), ("app",), ("email", "app"), ("app", "email")])
        purpose = chance.choice(["marketing", "marketing", "marketing", "service"])
        world.plan(chance.choice([20, 50, 80]), chance.choice(["hello", "hello", "gift"]), purpose, channels)
    elif what < 0.36:
        world.claim(chance.choice(world.planned).key)
    elif what < 0.46:
        world.pass_time(chance.choice(PAUSES))
    elif busy_keys:
        key = chance.choice(busy_keys)
        if what < 0.50:
            world.die(key)
        elif what < 0.55:
            world.renew(key)
        else:
            world.go_on(key, chance.random() < 0.5, chance.choice(RESULTS))


def live(bench: Bench, seed: int, steps: int = 40) -> World:
    """One whole schedule, the same for the same seed."""
    world, chance = World(bench), random.Random(seed)
    for _ in range(steps):
        step(world, chance)
    world.settle_down()
    return world
