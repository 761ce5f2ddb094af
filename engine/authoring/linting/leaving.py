"""Reasons to leave that hold for everybody who comes in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.authoring.compiling.conditions import Written
from engine.authoring.models.journey import JourneyFile
from engine.errors import Problem
from engine.rules.condition import tests_of
from engine.rules.possibility import Space


def check_leaves(conditions: Sequence[Written]) -> Iterator[Problem]:
    """RS132 for every leave condition that follows from the condition to enter."""
    entries = {each.defined.source.file: each for each in conditions if each.shard.startswith("entry:")}
    for each in conditions:
        if not each.shard.startswith("leave:") or not isinstance(each.defined.item, JourneyFile):
            continue
        number = each.path[1]
        leave = each.defined.item.leave[number] if isinstance(number, int) else None
        entry = entries.get(each.defined.source.file)
        if leave is None or leave.event is not None or entry is None:
            continue
        if each.defined.item.enter.also:
            continue  # not everybody comes in by that condition
        # What the next event says is not what the entering one said; what is known of the contact stays.
        if not all(test.path.startswith("contact.") for test in tests_of(each.condition)):
            continue
        asked = {test.path for test in tests_of(entry.condition)}
        if asked.isdisjoint(test.path for test in tests_of(each.condition)):
            continue
        space = Space([entry.condition, each.condition], entry.catalogue.extended(each.catalogue))
        if space.can_be(space.holds(entry.condition)) is False:
            continue
        if space.can_be(space.holds(entry.condition), space.is_passed_over(each.condition)) is False:
            message = (
                f"everybody who enters leaves with the next event: enter.when (line {entry.line}) lets in "
                "only contacts for whom this is true already"
            )
            yield each.problem("RS132", message, "exclude them in enter.when, or ask for what changes later")
