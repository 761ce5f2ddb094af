"""Looks up the names that files use for things in other files, and reports those that lead nowhere."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from engine.authoring.built_in import BUILT_IN_EVENTS
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.rules.condition import YamlPath
from engine.rules.spelling import only_meant

# noun -> (code, the kind of file in which such things are defined)
_NOUNS = {
    "content": ("RS044", "content"),
    "script": ("RS172", "scripts"),
    "channel": ("RS045", "channels"),
    "action": ("RS119", "actions"),
    "purpose": ("RS046", "purposes"),
    "event type": ("RS047", "events"),
    "lexicon": ("RS048", "lexicon"),
    "journey": ("RS049", "journey"),
    "identity": ("RS051", "workspace"),
    "calendar": ("RS090", "calendar"),
    "audience": ("RS075", "audience"),
    "locale": ("RS052", "workspace"),
    "queue": ("RS082", "workspace"),
    "platform": ("RS170", "platforms"),
}


class References:
    """The names that may be referred to, by noun."""

    def __init__(self, found: Definitions) -> None:
        self._found = found
        workspace = found.workspace.item if found.workspace is not None else None
        self._known: dict[str, Collection[str]] = {
            "content": found.contents,
            "script": found.scripts,
            "channel": found.channels,
            "action": found.actions,
            "purpose": found.purposes,
            "event type": {*found.events, *BUILT_IN_EVENTS, *(each.id for each in found.declared.events)},
            "lexicon": found.lexicons,
            "platform": found.platforms,
            "calendar": found.calendars,
            "journey": found.journeys,
            "audience": found.audiences,
            "identity": workspace.identities if workspace is not None else (),
            "locale": workspace.locales if workspace is not None else (),
            "queue": workspace.queues if workspace is not None else (),
        }

    def check(self, noun: str, name: str, user: Defined[Any], at: YamlPath) -> list[Problem]:
        """No problem when the name is known, or when the files that could define it could not all be read."""
        code, kind = _NOUNS[noun]
        known = self._known[noun]
        if name in known or not self._found.is_complete(kind):
            return []
        if kind == "workspace" and self._found.workspace is None:
            return []  # that there is no workspace file is reported by itself
        if f"{noun} {name}" in self._found.disabled:
            hint = "it stands in a file with 'enabled: false'"
        else:
            hint = nearest(name, known) or known_list(known)
        meant = only_meant(name, known)
        swap = (name, meant) if meant is not None else ()
        article = "an" if noun[0] in "aeiou" else "a"
        message = f"'{name}' is not {article} {noun} of this workspace"
        return [replace(user.problem(code, message, hint, at=at), swap=swap)]
