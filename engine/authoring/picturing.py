"""A journey of a bundle as a picture, with what its messages say and what its branches ask."""

from __future__ import annotations

from collections.abc import Mapping

from engine.authoring.bundle import Bundle
from engine.journeys.drawing import Counts, to_svg
from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Test
from engine.rules.explaining import wanted_by

_SIGNS = {Op.EQ: "=", Op.NE: "≠", Op.GT: ">", Op.GTE: "≥", Op.LT: "<", Op.LTE: "≤"}
_SHOWN = 40
"""Letters of a body that stand for a content without a subject."""


def picture(bundle: Bundle, journey: str, counts: Counts | None = None) -> str:
    """The journey as an SVG document that stands alone. KeyError when the bundle has no such journey."""
    return to_svg(
        bundle.programs[journey], contents=_contents(bundle), conditions=_conditions(bundle), counts=counts
    )


def in_words(condition: Condition) -> str:
    """A condition in one line, nearly as it is written: `total_spent ≥ 300 and tags has vip`."""
    match condition:
        case Test():
            return _test(condition)
        case All():
            return " and ".join(_part(part) for part in condition.parts)
        case Any():
            return " or ".join(_part(part) for part in condition.parts)
        case None_():
            return f"none of ({', '.join(map(in_words, condition.parts))})"


def _part(condition: Condition) -> str:
    text = in_words(condition)
    return f"({text})" if isinstance(condition, All | Any) and len(condition.parts) > 1 else text


def _test(test: Test) -> str:
    name = test.path.removeprefix("contact.")
    sign = _SIGNS.get(test.op)
    wanted = wanted_by(test)
    if sign is None:
        return f"{name} {wanted}"
    value = wanted.removeprefix(f"{test.op.value} ")
    return f"{name} {sign} {value.removeprefix('contact.') if isinstance(test.wanted, FactRef) else value}"


def _contents(bundle: Bundle) -> Mapping[str, str]:
    found = {}
    for content, texts in bundle.contents.items():
        text = texts.get(bundle.workspace.locales[0]) or next(iter(texts.values()))
        body = " ".join(text.body.split())
        found[content] = text.subject or (body if len(body) <= _SHOWN else f"{body[:_SHOWN]}…")
    return found


def _conditions(bundle: Bundle) -> Mapping[str, str]:
    return {
        rule.id: in_words(rule.when) for rule in bundle.rules if rule.id.startswith(("branch:", "leave:"))
    }
