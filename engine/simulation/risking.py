"""Breakers in virtual time: the same state machine over attempts and what is told of messages, in memory.

What production leaves to a breaker's workflow happens here at once: it looks when its figures may have
changed, and when time alone may change it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from engine.authoring.bundle import Bundle
from engine.gate.model import Intent
from engine.gate.state import Attempt, PublishedBreaker
from engine.journeys.event import MESSAGE_BOUNCED, MESSAGE_COMPLAINED, Event
from engine.risk import machine
from engine.risk.machine import State, Status
from engine.risk.metrics import Aim, Metric, Samples, Touch, Where, aim_of, message_before
from engine.risk.model import Breaker
from engine.risk.windows import ACCEPTED, Figures

RETURNED = {MESSAGE_BOUNCED: "bounced", MESSAGE_COMPLAINED: "complained"}
"""What came back, as a simulation is told of it: production learns it from receipts and returned mails."""
Key = tuple[str, str]
"""A breaker and a scope."""


@dataclass(frozen=True)
class _Tried:
    key: str
    at: datetime
    where: Where
    result: str
    is_probe: bool


@dataclass(frozen=True)
class _Mark:
    told_at: datetime
    is_against: bool
    message: _Tried | None


class Risking:
    """The breakers of the bundle in force, by what happens to all messages of one world."""

    def __init__(
        self,
        bundle: Bundle,
        published: Callable[[str, str], PublishedBreaker | None],
        publish: Callable[[str, str, Status], None],
        let_pass: Callable[[str, str], None],
    ) -> None:
        """`publish` puts a state in force, `published` says which one is; `let_pass` wakes what may pass."""
        self._bundle = bundle
        self._published = published
        self._publish = publish
        self._let_pass = let_pass
        self._since: dict[Key, Status] = {}
        """By breaker and scope: the state as it was put in force."""
        self._looks: dict[Key, datetime] = {}
        self._tried: deque[_Tried] = deque()
        self._latest: dict[str, _Tried] = {}
        """Message -> its latest attempt."""
        self._touches: defaultdict[str, list[Touch]] = defaultdict(list)
        """Contact -> the messages that providers took."""
        self._marks: dict[Key, _Mark] = {}
        """By metric and message, or event: once each."""

    # What it is told

    def put_in_force(self, bundle: Bundle, now: datetime) -> None:
        """Let the breakers be those of this bundle; of others everything is closed."""
        self._bundle = bundle
        known = {breaker.id for breaker in bundle.breakers}
        for (name, scope), status in list(self._since.items()):
            if name not in known and status.state is not State.CLOSED:
                self._set(name, scope, Status(State.CLOSED, now))

    def force(self, breaker: str, scope: str, status: Status) -> None:
        """Put a state in force by hand."""
        self._set(breaker, scope, status)
        self._plan(breaker, scope, status.since)

    def attempted(self, intent: Intent, attempt: Attempt, now: datetime) -> None:
        """A provider was called."""
        if not self._bundle.breakers:
            return
        where = Where(attempt.channel, intent.journey or "", intent.content)
        tried = _Tried(intent.key, now, where, attempt.result, attempt.is_probe)
        self._tried.append(tried)
        self._latest[intent.key] = tried
        if attempt.result == ACCEPTED:
            touch = Touch(intent.key, now, attempt.channel, intent.purpose)
            self._touches[intent.contact_id].append(touch)
        for breaker in self._bundle.breakers:
            worsens = attempt.result != ACCEPTED and breaker.metric.samples is Samples.ATTEMPTS
            self._watch(breaker, where, now, worsens=worsens)

    def happened(self, event: Event) -> None:
        """Something was reported of a contact; what came back counts as a receipt would."""
        if not self._bundle.breakers:
            return
        said = RETURNED.get(event.type)
        if said is not None:
            platform = event.properties.get("platform")
            there = {name for name, each in self._bundle.channels.items() if each.identity == platform}
            for metric in self._bundle.metrics_told_by_receipt(said):
                key = self._message(event.contact_id, Aim(event.received_at), metric, only=there)
                against = self._bundle.counting.counts(metric, said, {"code": ""})
                if key is not None and against is not None:
                    self._mark(metric, key, key, against=against, now=event.received_at)
        for metric in self._bundle.metrics_told_by_event(event.type):
            against = self._bundle.counting.counts(metric, event.type, event.properties)
            if against is None:
                continue
            aim = aim_of(event.occurred_at, event.properties)
            about = self._message(event.contact_id, aim, metric)
            if metric.samples is Samples.EVENTS:
                self._mark(metric, event.event_id, about, against=against, now=event.received_at)
            elif about is not None:
                self._mark(metric, about, about, against=against, now=event.received_at)

    def move(self, gone: str, survivor: str) -> None:
        """Let what one contact was sent have been for another, for the two are one."""
        self._touches[survivor] += self._touches.pop(gone, [])

    def forget(self) -> None:
        """Let nothing have been sent or told."""
        for each in (self._looks, self._tried, self._latest, self._touches, self._marks):
            each.clear()

    # What time does

    def next_look(self) -> datetime | None:
        """When time alone may change a breaker next."""
        return min(self._looks.values()) if self._looks else None

    def look(self, now: datetime) -> None:
        """Look at the breakers whose moment has come."""
        for name, scope in sorted(key for key, at in self._looks.items() if at <= now):
            del self._looks[name, scope]
            breaker = next((each for each in self._bundle.breakers if each.id == name), None)
            if breaker is not None:
                self._observe(breaker, scope, now)

    # Inside

    def _message(
        self, contact_id: str, aim: Aim, metric: Metric, only: Collection[str] | None = None
    ) -> str | None:
        touches = self._touches.get(contact_id, ())
        fitting = [touch for touch in touches if only is None or touch.channel in only]
        return message_before(aim, fitting, metric.within)

    def _mark(self, metric: Metric, key: str, about: str | None, *, against: bool, now: datetime) -> None:
        if (metric.name, key) in self._marks or (metric.samples is Samples.MESSAGES and not against):
            return
        message = None if about is None else self._latest.get(about)
        self._marks[metric.name, key] = _Mark(now, against, message)
        where = Where() if message is None else message.where
        for breaker in self._bundle.breakers:
            if breaker.metric.name == metric.name:
                self._watch(breaker, where, now, worsens=True)

    def _watch(self, breaker: Breaker, where: Where, now: datetime, *, worsens: bool) -> None:
        scope = where.scope(breaker.scope)
        if scope is None:
            return
        status = self._status(breaker.id, scope)
        if status.state is State.OPEN or (status.state is State.CLOSED and not worsens):
            return
        self._observe(breaker, scope, now)

    def _observe(self, breaker: Breaker, scope: str, now: datetime) -> None:
        status = self._status(breaker.id, scope)
        self._forget_old(breaker, status, now)
        since = machine.counted_after(status)
        seen = self._figures(breaker, scope, max(now - breaker.window, since), since)
        probes = Figures()
        if status.state is State.HALF_OPEN and status.ramp is None:
            probes = self._figures(breaker, scope, since, since, only_probes=True)
        after = machine.observe(breaker, status, seen, probes, now)
        if after != status:
            self._set(breaker.id, scope, after)
        elif after.state is State.HALF_OPEN:
            self._let_pass(breaker.id, scope)
        self._plan(breaker.id, scope, now)

    def _figures(
        self, breaker: Breaker, scope: str, after: datetime, since: datetime, *, only_probes: bool = False
    ) -> Figures:
        metric = breaker.metric
        tried = [
            each
            for each in self._tried
            if each.at > after
            and each.where.scope(breaker.scope) == scope
            and (each.is_probe or not only_probes)
        ]
        sent = sum(each.result == ACCEPTED for each in tried)
        if metric.samples is Samples.ATTEMPTS:
            return Figures(len(tried), len(tried) - sent)
        told = [
            mark.is_against
            for (name, _), mark in self._marks.items()
            if name == metric.name
            and mark.told_at > after
            and _is_in(mark, breaker, scope, since, only_probes)
        ]
        if metric.samples is Samples.MESSAGES:
            return Figures(sent, sum(told))
        return Figures(len(told), sum(told), messages=sent)

    def _status(self, name: str, scope: str) -> Status:
        status = self._since.get((name, scope))
        if status is None:
            return Status(State.CLOSED, machine.LONG_AGO)
        published = self._published(name, scope)
        left = status.probes_left if published is None else published.probes_left
        return status if left == status.probes_left else replace(status, probes_left=left)

    def _set(self, name: str, scope: str, status: Status) -> None:
        self._since[name, scope] = status
        self._publish(name, scope, status)

    def _plan(self, name: str, scope: str, now: datetime) -> None:
        breaker = next((each for each in self._bundle.breakers if each.id == name), None)
        at = None if breaker is None else machine.next_look(breaker, self._status(name, scope), now)
        if at is None:
            self._looks.pop((name, scope), None)
        else:
            self._looks[name, scope] = at

    def _forget_old(self, breaker: Breaker, status: Status, now: datetime) -> None:
        """Let go of attempts that no window can hold any more, while nothing is probing."""
        if any(each.state is not State.CLOSED for each in (status, *self._since.values())):
            return
        longest = max(each.window for each in self._bundle.breakers)
        while self._tried and self._tried[0].at <= now - longest:
            self._tried.popleft()


def _is_in(mark: _Mark, breaker: Breaker, scope: str, since: datetime, only_probes: bool) -> bool:
    message = mark.message
    if message is None:
        return breaker.scope == "workspace" and not only_probes
    if message.where.scope(breaker.scope) != scope or message.at <= since:
        return False
    return message.is_probe or not only_probes
