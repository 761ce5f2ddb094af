"""A contact who is made up for a simulation, held against the bundle: what of them could mean nothing there.

Tests of rulesets refuse the same with the place in their file (RS088).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from engine.authoring.bundle import Bundle
from engine.authoring.reading.validating import known_list, nearest
from engine.contacts.profile import Profile
from engine.contacts.updating import apply_traits
from engine.gate.consent import OF_EVERY_WORKSPACE
from engine.simulation.people import Person


def faults_of(person: Person, bundle: Bundle, now: datetime) -> list[str]:
    """What is stated of somebody and would change nothing, each with a way out; never a value of theirs."""
    workspace = bundle.workspace
    found = [
        *_unknown("consents", "purpose", person.consents, {*bundle.purposes, *OF_EVERY_WORKSPACE}),
        *_unknown("identities", "platform", person.identities, workspace.identities),
        *_unknown("attributes", "attribute", person.attributes, workspace.attributes),
    ]
    derived = person.tags & {tag.tag for tag in bundle.tags}
    found += [f"tags: '{tag}' follows from a rule and is not set by hand" for tag in sorted(derived)]
    own = {name: value for name, value in person.attributes.items() if name in workspace.attributes}
    faults = apply_traits(Profile(person.id, created_at=now), own, workspace, now)
    return [*found, *(f"attributes.{fault.name}: {fault.message}" for fault in faults)]


def _unknown(key: str, kind: str, names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    words = sorted(known)
    for name in names:
        if name not in words:
            yield f"{key}: there is no {kind} {name!r}: {nearest(name, words) or known_list(words)}"
