"""What plugin authors declare beside what they do: facts about contacts, types of events, and metrics."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from engine.risk.metrics import BUILT_IN_METRICS, RECEIPTS, SCOPES, WITHIN

FactKind = Literal["number", "text", "boolean", "instant", "labels"]
FactKinds: tuple[str, ...] = get_args(FactKind)
Known = int | float | str | bool | datetime | frozenset[str]
"""A fact's value: numbers, texts, true and false, moments with their zone, sets of texts."""

READABLE = (
    "created_at",
    "timezone",
    "locale",
    "last_active_at",
    "first_order_at",
    "last_order_at",
    "order_count",
    "total_spent",
    "average_order_value",
)
"""Built-in facts that a plugin's may be made of: what somebody reported, and nothing that rules derive."""
DERIVED = ("id", "stage", "tags", "audiences", "last_send_at", "sends_since_active")
"""Built-in facts that hang on rules, on steps or on what was sent."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LONGEST_TITLE = 200
_LONGEST_WITHIN = timedelta(days=90)
RESERVED_METRICS = ("play_rate_3s", "cpm_over_baseline", "account_health", "spend")
"""Names that the language has for figures which nothing measures yet."""
_MOST_CHOICES = 1000


@dataclass(frozen=True)
class ContactFact:
    """One more thing that conditions may ask about a contact, as `contact.<name>`.

    `compute` is a pure function of the facts that it `reads`: the same values, the same answer, in every
    process and at any time. It asks no clock, file or network, and answers within a millisecond.
    """

    name: str
    type: FactKind
    title: str
    reads: tuple[str, ...]
    """Names of `READABLE` facts and of attributes that a workspace declares, without `contact.`."""
    compute: Callable[[Mapping[str, Known]], Known | None]
    """Gets what is known of `reads` by those names, what is missing left out; None: not known either."""
    choices: tuple[str, ...] = ()
    """Of a text: all there are."""
    personal: bool = False
    """It says something of a person that explanations must not repeat."""
    version: int = 1
    """Raise it when the same values have another answer now: contacts are then computed anew."""


@dataclass(frozen=True)
class EventKind:
    """A type of event, as a file of kind events declares one."""

    name: str
    title: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schema of the properties; events that do not fit become dead letters."""
    counts_as_activity: bool = True


@dataclass(frozen=True)
class Metric:
    """One more share that breakers can watch: of messages sent, or of events, those that are against.

    `counts` is a pure function: the same values, the same answer, in every process and at any time. It asks
    no clock, file or network, and answers within a millisecond.
    """

    name: str
    title: str
    receipts: tuple[str, ...] = ()
    """What it listens to of accepted, delivered, bounced, read and complained."""
    events: tuple[str, ...] = ()
    """Types of events that it listens to; each is about the latest message before it, or the one it names."""
    counts: Callable[[str, Mapping[str, Any]], bool | None] | None = None
    """Gets what a receipt says, or an event's type, and its properties. True: it counts against; False: it is
    a sample that does not; None: it does not count. Without it all of it counts against."""
    of: Literal["messages", "events"] = "messages"
    """What it is a share of: all messages that a provider took, of which each counts against once at most; or
    the events for which `counts` says True or False."""
    within: timedelta = WITHIN
    """How long after a message an event is still about it."""
    scopes: tuple[str, ...] = SCOPES
    """What a breaker may watch by it: workspace, channel, journey, content."""


def fault_of_metric(offer: object) -> str:
    """What is wrong with a metric, or nothing."""
    if not isinstance(offer, Metric):
        return f"{type(offer).__name__} is not a Metric"
    if fault := _fault_of_name(offer.name, offer.title):
        return fault
    whose = f"metric {offer.name!r}"
    if offer.name in (*BUILT_IN_METRICS, *RESERVED_METRICS):
        return f"{whose}: there is a built-in metric of that name"
    for name, known in (("receipts", RECEIPTS), ("scopes", SCOPES)):
        given = getattr(offer, name)
        if not isinstance(given, tuple) or any(each not in known for each in given):
            return f"{whose}: {name} must be a tuple of some of {', '.join(known)}"
    if not isinstance(offer.events, tuple) or not all(map(_is_name, offer.events)):
        return f"{whose}: events must be a tuple of types of events"
    if not offer.receipts and not offer.events:
        return f"{whose}: it listens to nothing; name receipts or events"
    if not offer.scopes:
        return f"{whose}: without a scope no breaker could watch it"
    if offer.counts is not None and (not callable(offer.counts) or inspect.iscoroutinefunction(offer.counts)):
        return f"{whose}: counts must be a plain function; it waits for nobody"
    if offer.of not in ("messages", "events"):
        return f"{whose}: of must be 'messages' or 'events'"
    if offer.of == "events" and (offer.receipts or offer.counts is None):
        return f"{whose}: a share of events needs `counts`, to say which are against, and no receipts"
    if not isinstance(offer.within, timedelta) or not timedelta(0) < offer.within <= _LONGEST_WITHIN:
        return f"{whose}: within must be a timedelta of at most {_LONGEST_WITHIN.days} days"
    return ""


def fault_of_fact(offer: object) -> str:
    """What is wrong with a fact, or nothing."""
    if not isinstance(offer, ContactFact):
        return f"{type(offer).__name__} is not a ContactFact"
    if fault := _fault_of_name(offer.name, offer.title):
        return fault
    if offer.name in (*READABLE, *DERIVED):
        return f"fact {offer.name!r}: contacts have a built-in fact of that name"
    if offer.type not in FactKinds:
        return f"fact {offer.name!r}: type must be one of {', '.join(FactKinds)}"
    if not isinstance(offer.reads, tuple) or not offer.reads or not all(map(_is_name, offer.reads)):
        return f"fact {offer.name!r}: reads must be a tuple of the names of facts it is made of"
    if derived := sorted({*offer.reads} & {*DERIVED}):
        return f"fact {offer.name!r}: {derived[0]!r} follows from rules, steps or sends, and cannot be read"
    if not callable(offer.compute) or inspect.iscoroutinefunction(offer.compute):
        return f"fact {offer.name!r}: compute must be a plain function; it waits for nobody"
    if not isinstance(offer.choices, tuple) or len(offer.choices) > _MOST_CHOICES:
        return f"fact {offer.name!r}: choices must be a tuple of at most {_MOST_CHOICES} texts"
    if not all(isinstance(each, str) and each for each in offer.choices):
        return f"fact {offer.name!r}: choices must be texts"
    if offer.choices and offer.type != "text":
        return f"fact {offer.name!r}: only a text has choices"
    if type(offer.version) is not int or offer.version < 1:
        return f"fact {offer.name!r}: version must be a whole number from 1 on"
    return ""


def fault_of_event_kind(offer: object) -> str:
    """What is wrong with a type of event, or nothing."""
    if not isinstance(offer, EventKind):
        return f"{type(offer).__name__} is not an EventKind"
    if fault := _fault_of_name(offer.name, offer.title):
        return fault
    given: object = offer.schema
    if not isinstance(given, Mapping):
        return f"event type {offer.name!r}: schema must be a mapping"
    try:
        schema = json.loads(json.dumps(dict(offer.schema), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return f"event type {offer.name!r}: schema is not JSON"
    # Only here: nearly nobody declares one, and the library takes its time to load.
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"event type {offer.name!r}: schema is no JSON Schema: {str(error.message)[:200]}"
    if schema.get("type", "object") != "object":
        return f"event type {offer.name!r}: schema must be of an object, the properties"
    return ""


def _fault_of_name(name: object, title: object) -> str:
    if not _is_name(name):
        return f"the name {name!r:.100} is not lower_snake text such as 'skin_age'"
    if not isinstance(title, str) or not 0 < len(title) <= _LONGEST_TITLE:
        return f"{name!r}: title must be a text of at most {_LONGEST_TITLE} characters"
    return ""


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
