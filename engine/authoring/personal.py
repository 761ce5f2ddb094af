"""Which texts are about the person who reads them; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.plugin.contracts import ContentSpec

TEMPLATE = "template"
_FACT = re.compile(r"\{[{%][^{}]*?\b(contact|event|journey)\s*[.\[]")


def personal_fact(text: str) -> str | None:
    """Of what a template fills something in: `contact`, `event` or `journey`; None when it names none."""
    found = _FACT.search(text)
    return found[1] if found else None


def is_personal(texts: Iterable[ContentSpec]) -> bool:
    """Whether what is sent depends on who gets it, as far as anybody can tell.

    A generator with instructions is told the facts that the content names; another one may use all.
    """
    return any(
        (spec.generator != TEMPLATE and (spec.facts or not spec.instructions))
        or any(personal_fact(part) for part in (spec.subject, spec.body, spec.call_to_action))
        for spec in texts
    )
