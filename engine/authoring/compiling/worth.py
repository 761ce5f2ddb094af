"""Compiles what the workspace says contacts are worth."""

from __future__ import annotations

from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.definitions import Definitions
from engine.gate.worth import EVERYBODY_THE_SAME, ContactValue, Worth
from engine.rules.condition import YamlPath


def compile_contact_value(found: Definitions, catalogues: Catalogues, rulebook: Rulebook) -> ContactValue:
    """The value of contacts; the rulebook notes what is wrong with its conditions."""
    assert found.workspace is not None, "a bundle has a workspace"
    entry = found.workspace.item.contact_value
    if entry is None:
        return EVERYBODY_THE_SAME
    cases = []
    for number, case in enumerate(entry.cases):
        at: YamlPath = ("contact_value", "cases", number, "when")
        condition = rulebook.read(found.workspace, at, case.when, catalogues.contact)
        if condition is not None:
            # Three answers are asked of it, which the matcher does not give: it is no rule.
            rulebook.note(found.workspace, at, condition, catalogues.contact, "contact_value")
            place = found.workspace.place("contact_value", "cases", number)
            cases.append(Worth(condition, case.value, place.file, place.line))
    return ContactValue(tuple(cases), entry.otherwise)
