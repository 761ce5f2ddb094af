"""What the gate sees of a message and its contact in virtual time, out of plain memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from engine.changing import frozen
from engine.clock import JourneyTime
from engine.gate.arbitration import GRACE, Rival
from engine.gate.budgets import Book, Halt, Paid
from engine.gate.concerning import budgets_of, caps_of
from engine.gate.consent import ConsentRecord
from engine.gate.reviewing import Reviews
from engine.gate.state import GateRules, Identity, Standing, View
from engine.rules.facts import Facts
from engine.simulation.budgets import Budgets
from engine.simulation.places import Places
from engine.simulation.probing import Breakers
from engine.simulation.wishes import Wish, Wishes

_NONE: Mapping[str, str] = MappingProxyType({})
_NO_BOOKS: Mapping[str, Book] = MappingProxyType({})
_NO_HALTS: Mapping[str, Mapping[str, Halt]] = MappingProxyType({})
_NOTHING_PAID: Mapping[str, Paid] = MappingProxyType({})


@frozen
class Addressee:
    """A contact as the world knows them at this moment."""

    standing: Standing
    identities: tuple[Identity, ...] = ()
    """Latest added first."""
    consents: tuple[ConsentRecord, ...] = ()
    """In ledger order."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """By name, as templates see them."""
    known: Facts = field(default_factory=dict)
    """The `contact.` facts, where the rules ask for them."""
    coming: tuple[Rival, ...] = ()
    """To what their runs will come, where caps look ahead."""


class Sight:
    """All that views are made of: the gate's memory writes it, the stages see what is in a view.

    `look_up` says who a contact is whenever the gate looks.
    """

    def __init__(
        self, rules: GateRules, look_up: Callable[[str], Addressee | None], time: JourneyTime
    ) -> None:
        self.rules = rules
        self.time = time
        self.kill_reason: str | None = None
        self.reviewed: Reviews | None = None
        """None: every text counts as approved."""
        self.wishes = Wishes()
        self.breakers = Breakers()
        self.places = Places()
        self.budgets = Budgets()
        self._look_up = look_up
        self._suppressed: dict[tuple[str, str], str] = {}
        self._refused: dict[str, dict[str, str]] = {}

    def note_refusal(self, key: str, channel: str, code: str) -> None:
        """A provider refuses a message for good; its channel is out of the question for it."""
        self._refused.setdefault(key, {})[channel] = code

    def suppress(self, channel: str, address: str) -> None:
        """Let no message go to an address that will never work."""
        self._suppressed.setdefault((self.rules.platforms[channel], address), "hard_bounce")

    def close(self, platform: str, address: str, reason: str) -> None:
        """The same for what came back, with its reason; the first one stays."""
        self._suppressed.setdefault((platform, address), reason)

    def forget(self) -> None:
        """Let nothing have been wished or taken; rules, kill switch and breakers stay."""
        self.wishes.clear()
        self.places.clear()
        self.budgets.clear()
        self._refused.clear()
        self._suppressed.clear()

    def view(self, wish: Wish, at: datetime) -> View:
        """All that stages look at when they judge the wish at this delivery time."""
        person = self._look_up(wish.intent.contact_id)
        caps = caps_of(wish.intent, self.rules)
        is_paid_for = bool(budgets_of(wish.intent, self.rules))
        return View(
            rules=self.rules,
            standing=person.standing if person is not None else None,
            kill_reason=self.kill_reason,
            breakers=self.breakers.not_closed,
            identities=self._identities(person),
            consents=person.consents if person is not None else (),
            places=tuple(self.places.deciding(wish.intent.contact_id, caps, at)) if caps else (),
            refused_by=dict(self._refused[wish.intent.key]) if wish.intent.key in self._refused else _NONE,
            contact=person.facts if person is not None else {},
            facts=person.known if person is not None else {},
            rivals=self._rivals(wish, person, at),
            books=self.budgets.books if is_paid_for else _NO_BOOKS,
            paid=self.budgets.paid(wish.intent.key) if is_paid_for else _NOTHING_PAID,
            halts=self.halts(at) if is_paid_for else _NO_HALTS,
            reviewed=self.reviewed,
            time=self.time,
        )

    def halts(self, at: datetime) -> Mapping[str, Mapping[str, Halt]]:
        """By budget and share, what is halted at this delivery time."""
        return self.budgets.returned.halts(self.rules.budgets, self.time.at(at))

    def _rivals(self, wish: Wish, person: Addressee | None, at: datetime) -> tuple[Rival, ...]:
        if self.rules.look_ahead is None or person is None:
            return ()
        now = self.time.at(at)
        until = now + self.rules.look_ahead
        own = wish.intent
        waiting = self.wishes.rivals_of(own)
        coming = [rival for rival in person.coming if rival.name != own.run_id]
        return tuple(rival for rival in (*waiting, *coming) if now - GRACE < rival.due_at <= until)

    def _identities(self, person: Addressee | None) -> tuple[Identity, ...]:
        known = person.identities if person is not None else ()
        if not self._suppressed:
            return known
        return tuple(
            replace(each, suppressed=each.suppressed or self._suppressed.get((each.platform, each.address)))
            for each in known
        )
