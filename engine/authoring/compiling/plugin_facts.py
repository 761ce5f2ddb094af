"""Which facts of plugins a workspace has: those that can be made of what it knows of contacts."""

from __future__ import annotations

from engine.authoring.bundle import DeclaredFact
from engine.authoring.definitions import Definitions
from engine.plugin.declaring import READABLE
from engine.rules.facts import Fact, FactType


def facts_of_plugins(found: Definitions) -> list[DeclaredFact]:
    """Those whose names the workspace does not use itself and whose sources it has, by name."""
    attributes = found.workspace.item.attributes if found.workspace is not None else {}
    taken = {*attributes, *found.counts, *found.scores, *found.classes}
    known = {*READABLE, *attributes}
    return [each for each in found.declared.facts if each.name not in taken and known.issuperset(each.reads)]


def fact_of(declared: DeclaredFact) -> Fact:
    """The fact as conditions see it."""
    path = f"contact.{declared.name}"
    return Fact(path, FactType(declared.type), declared.title, declared.choices, personal=declared.personal)
