"""Why a journey has decided nothing about a contact: how one gets in, and what is missing by now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.delivery.reasoning import Reasons, reasons
from engine.errors import NotFound
from engine.journeys.program import Program
from engine.rules.condition import All, Condition, Op, Test
from engine.rules.evaluator import evaluate
from engine.rules.explaining import answers
from engine.rules.facts import FactValue
from engine.rules.truth import Truth
from engine.store.tables import ContactRow

_AUDIENCE = {"event.audience", "contact.audiences"}


def undecided(session: Session, bundle: Bundle, contact_id: str, journey: str, now: datetime) -> list[str]:
    """The way into the journey, and the conditions that stand in it as of `now` (journey time), as lines.

    NotFound when there is no such contact; KeyError when the bundle has no such journey.
    """
    row = session.get(ContactRow, contact_id)
    if row is None:
        raise NotFound("there is no such contact")
    program = bundle.programs[journey]
    way = program.entry.words or f"on {' or '.join(program.entry.events)}"
    place = bundle.rule_places.get(program.entry.rule or "")
    where = f"  {place.file}:{place.line}" if place is not None else ""
    lines = [f"{journey} has decided nothing about this contact yet", f"  way in: {way}{where}"]
    if journey in bundle.paused_journeys:
        lines.append(f"  lets nobody in: the plan {bundle.paused_journeys[journey]} is on")
    facts = contact_facts(profile_of(row), bundle, now)
    for audience in _audiences(bundle, program):
        lines += _standing(bundle, audience, facts, now)
    return lines


def _audiences(bundle: Bundle, program: Program) -> Iterator[str]:
    """The audiences that its way in is about."""
    if program.entry.rule is None:
        return
    condition = bundle.condition(f"{program.entry.rule}#{program.entry.events[0]}")
    for test in _tests_of_the_way(condition):
        if test.path in _AUDIENCE and test.op in {Op.EQ, Op.HAS} and isinstance(test.wanted, str):
            yield test.wanted


def _tests_of_the_way(condition: Condition) -> Iterator[Test]:
    if isinstance(condition, Test):
        yield condition
    elif isinstance(condition, All):
        for part in condition.parts:
            yield from _tests_of_the_way(part)


def _standing(
    bundle: Bundle, audience: str, facts: dict[str, FactValue | None], now: datetime
) -> Iterator[str]:
    """Whether the contact is in the audience by now, and the conditions that say so."""
    found = next((each for each in bundle.profile.audiences if each.id == audience), None)
    if found is None:
        return
    condition = bundle.condition(found.rule)
    inside = evaluate(condition, facts, now) is Truth.TRUE
    mark, where = ("+", "in") if inside else ("-", "not in")
    yield f"  {mark} the contact is {where} the audience {audience} now"
    told = answers(condition, facts, now, personal=bundle.catalogue.personal)
    why: Reasons | None = reasons(bundle, found.rule, told, now)
    if why is None:
        return
    yield from why.tree.lines("      ")
    if why.turned_by:
        yield f"      it would come out otherwise if {', and '.join(why.turned_by)}"
