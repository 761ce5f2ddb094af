"""Wishes to send messages in plain memory: what each has become, and which wait in the gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from engine.changing import frozen
from engine.delivery.intents import FREED_BY_RULES, IntentState, is_workable, let_go, move
from engine.delivery.rivals import rival_of
from engine.gate.arbitration import Rival
from engine.gate.model import Answer, Intent
from engine.gate.state import GateRules


@dataclass
class Wish:
    """One intent and what has become of it so far; fields as in `IntentRow`."""

    intent: Intent
    value: float
    state: str = IntentState.PLANNED.value
    outcome: str | None = None
    reason: str | None = None
    channel: str | None = None
    wake_at: datetime | None = None
    retry_at: datetime | None = None
    deadline_at: datetime | None = None
    expires_at: datetime | None = None
    hold_scope: str | None = None
    lease_owner: str | None = None
    lease_until: datetime | None = None
    handed_over_at: datetime | None = None
    attempts: int = 0

    @property
    def asks_at(self) -> datetime | None:
        """When a message that waits in the gate asks for its places; None for one on its way, or ended."""
        if self.state == IntentState.PLANNED:
            return self.intent.created_at
        return self.wake_at if self.state == IntentState.HELD else None

    def is_held_in(self, scope: str) -> bool:
        """Whether it is that which holds it, perhaps beside others."""
        return scope in (self.hold_scope or "").split()


@frozen
class Noted:
    """One decision: what was said of which intent, and when (journey time)."""

    key: str
    at: datetime
    answer: Answer


class Wishes:
    """All wishes by key; those that have not ended are at hand."""

    def __init__(self) -> None:
        self.by_key: dict[str, Wish] = {}
        self._open: dict[str, Wish] = {}
        self._of_contact: dict[str, dict[str, Wish]] = {}
        """Contact -> those of theirs that are open."""

    def plan(self, intent: Intent, rules: GateRules) -> None:
        """Write the wish down; nothing happens when its key is there already."""
        purpose = rules.purposes.get(intent.purpose)
        if intent.expires_at is None and purpose is not None:
            intent = replace(intent, expires_at=intent.created_at + purpose.max_hold)
        if intent.key not in self.by_key:
            value = float(intent.priority)
            wish = Wish(intent, value, deadline_at=intent.deadline_at, expires_at=intent.expires_at)
            self.by_key[intent.key] = self._open[intent.key] = wish
            self._of_contact.setdefault(intent.contact_id, {})[intent.key] = wish

    def close(self, wish: Wish) -> None:
        """Let go of one that has its outcome, if it has."""
        if wish.outcome is not None:
            self._open.pop(wish.intent.key, None)
            self._of_contact.get(wish.intent.contact_id, {}).pop(wish.intent.key, None)

    def move(self, gone: str, survivor: str) -> None:
        """Let what one contact wishes be another's."""
        for wish in self.by_key.values():
            if wish.intent.contact_id == gone:
                wish.intent = replace(wish.intent, contact_id=survivor)
        if gone in self._of_contact:
            both = self._of_contact.pop(gone) | self._of_contact.get(survivor, {})
            self._of_contact[survivor] = {key: wish for key, wish in self._open.items() if key in both}

    def due(self, at: datetime, journey_now: datetime) -> list[str]:
        """The keys of what can be claimed at this delivery time, most important first."""
        found = [wish for wish in self._open.values() if is_workable(wish, at, journey_now)]
        found.sort(key=lambda wish: (-wish.value, wish.intent.created_at, wish.intent.key))
        return [wish.intent.key for wish in found]

    def held_in(self, scope: str) -> list[Wish]:
        """What `scope` holds, in the order in which it was wished."""
        return [wish for wish in self._open.values() if wish.is_held_in(scope)]

    def freed_by_rules(self) -> list[Wish]:
        """What caps and quiet hours hold."""
        return [wish for wish in self._open.values() if (wish.reason or "").startswith(FREED_BY_RULES)]

    def held_for(self, reason: str) -> list[Wish]:
        """What is held for this reason."""
        return [
            wish for wish in self._open.values() if wish.state == IntentState.HELD and wish.reason == reason
        ]

    def rivals_of(self, own: Intent) -> Iterator[Rival]:
        """What else waits in the gate for the intent's contact."""
        for other in self._of_contact.get(own.contact_id, {}).values():
            if other.intent.key != own.key:
                due_at = other.asks_at
                if due_at is not None:
                    yield rival_of(other.intent, due_at)

    def clear(self) -> None:
        """Let nothing have been wished."""
        self.by_key.clear()
        self._open.clear()
        self._of_contact.clear()


def plan_again(wishes: Iterable[Wish]) -> int:
    """Let those of the wishes that are held be looked at again; how many."""
    woken = 0
    for wish in wishes:
        if wish.state == IntentState.HELD:
            move(wish, IntentState.PLANNED)
            let_go(wish)
            woken += 1
    return woken
