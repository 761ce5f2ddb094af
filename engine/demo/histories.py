"""Purchase histories of the CDNOW sample as events; what the data lacks is made up from a fixed seed.

See `data/cdnow/README.md` for where the data comes from.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

FIRST_PURCHASE = date(1997, 1, 1)
"""The first day on which anyone bought."""
LONGEST_LEAD = timedelta(days=9)
"""The data begins with first purchases; people are added up to this long before theirs."""
FIRST_DAY = FIRST_PURCHASE - LONGEST_LEAD

ZONES = (
    "Asia/Shanghai",
    "Asia/Shanghai",
    "Asia/Urumqi",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
)


@dataclass(frozen=True)
class Purchase:
    """One line of the file."""

    row: int
    """Line number, from 1; the event's messageId is made of it."""
    customer: str
    day: date
    pieces: int
    amount: float


def read_purchases(file: Path) -> Iterator[Purchase]:
    """Every purchase of the sample, in file order (by customer, then by day)."""
    with gzip.open(file, "rt", encoding="ascii") as lines:
        for row, line in enumerate(lines, start=1):
            _, customer, day, pieces, amount = line.split()
            yield Purchase(
                row,
                customer,
                datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date(),
                int(pieces),
                float(amount),
            )


@dataclass(frozen=True)
class Person:
    """What the data does not hold: made up, the same in every run."""

    customer: str
    timezone: str
    locale: str
    email: str
    app: str
    consents: tuple[str, ...]
    """Channels this person agreed to hear marketing on."""
    has_old_copy: bool
    """Belongs to the small group whose content still makes a claim that the law forbids."""
    lead: timedelta
    """How long before their first purchase they were added."""


def make_person(customer: str, seed: int) -> Person:
    """The person behind a customer number; a pure function of both arguments."""
    dice = random.Random(f"{seed}/{customer}")
    draw = dice.random()
    consents = ("email", "app", "letter") if draw < 0.8 else ("email",) if draw < 0.92 else ()
    return Person(
        customer=customer,
        timezone=dice.choice(ZONES),
        locale="zh" if dice.random() < 0.7 else "en",
        email=f"customer{customer}@example.com",
        app=f"device-{customer}",
        consents=consents,
        has_old_copy=dice.random() < 0.1,
        lead=timedelta(minutes=dice.randrange(60, int(LONGEST_LEAD / timedelta(minutes=1)) - 24 * 60)),
    )


@dataclass(frozen=True)
class Happening:
    """One call of the intake: the journey moment it is due at and its Segment-shaped messages."""

    at: datetime
    messages: tuple[Mapping[str, Any], ...]


def replay(purchases: list[Purchase], *, contacts: int, days: int, seed: int) -> list[Happening]:
    """What happens from `FIRST_DAY` on, in order of time: everyone is added, and then buys what they bought.

    `contacts` customers are drawn from those whose first purchase falls in the first third of the `days`.
    """
    until = FIRST_DAY + timedelta(days=days)
    by_customer: dict[str, list[Purchase]] = {}
    for purchase in purchases:
        if purchase.day < until:
            by_customer.setdefault(purchase.customer, []).append(purchase)
    early = FIRST_DAY + timedelta(days=days // 3)
    candidates = sorted(customer for customer, bought in by_customer.items() if bought[0].day < early)
    chosen = random.Random(seed).sample(candidates, min(contacts, len(candidates)))
    happenings: list[Happening] = []
    for customer in chosen:
        person = make_person(customer, seed)
        moments = [_hour_of(purchase, person, seed) for purchase in by_customer[customer]]
        arrival = moments[0] - person.lead
        happenings.append(Happening(arrival, tuple(_arrival(person, arrival))))
        happenings.extend(
            Happening(moment, (_order(purchase, moment),))
            for purchase, moment in zip(by_customer[customer], moments, strict=True)
        )
    return sorted(happenings, key=lambda happening: happening.at)


def _hour_of(purchase: Purchase, person: Person, seed: int) -> datetime:
    """A waking hour of the purchase's day in the person's zone, in UTC."""
    dice = random.Random(f"{seed}/{purchase.row}")
    local = datetime.combine(purchase.day, time(dice.randrange(8, 22), dice.randrange(60)))
    return local.replace(tzinfo=ZoneInfo(person.timezone)).astimezone(UTC)


def _arrival(person: Person, at: datetime) -> Iterator[Mapping[str, Any]]:
    traits: dict[str, Any] = {
        "email": person.email,
        "app": person.app,
        "timezone": person.timezone,
        "locale": person.locale,
    }
    if person.has_old_copy:
        traits["tags"] = ["legacy_copy"]
    yield {
        "type": "identify",
        "messageId": f"cdnow-identify-{person.customer}",
        "userId": person.customer,
        "timestamp": at.isoformat(),
        "traits": traits,
    }
    for channel in person.consents:
        yield {
            "type": "track",
            "event": "consent_granted",
            "userId": person.customer,
            "messageId": f"cdnow-consent-{person.customer}-{channel}",
            "timestamp": at.isoformat(),
            "properties": {"purpose": "marketing", "channel": channel, "mechanism": "checkbox"},
        }
    yield {
        "type": "track",
        "event": "contact_added",
        "messageId": f"cdnow-added-{person.customer}",
        "userId": person.customer,
        "timestamp": at.isoformat(),
        "properties": {"origin": "cdnow"},
    }


def _order(purchase: Purchase, at: datetime) -> Mapping[str, Any]:
    return {
        "type": "track",
        "event": "order_paid",
        "messageId": f"cdnow-row-{purchase.row}",
        "userId": purchase.customer,
        "timestamp": at.isoformat(),
        "properties": {
            "order_id": f"cdnow-{purchase.row}",
            "amount": purchase.amount,
            "pieces": purchase.pieces,
        },
    }
