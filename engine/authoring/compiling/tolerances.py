"""What the caps files say of tolerance: whose limits are scaled, and when silence pauses marketing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.definitions import Definitions
from engine.authoring.models.limits import CapsFile
from engine.gate.model import Scale, Silence
from engine.rules.condition import YamlPath


@dataclass(frozen=True)
class Tolerances:
    """The tolerance of every caps file."""

    scales: Mapping[str, tuple[Scale, ...]] = field(default_factory=dict)
    """File -> whose limits are scaled in it."""
    silence: Silence | None = None


def compile_tolerances(found: Definitions, catalogues: Catalogues, rulebook: Rulebook) -> Tolerances:
    """The tolerances; what is wrong with their conditions is noted in the rulebook."""
    scales: dict[str, tuple[Scale, ...]] = {}
    silence: Silence | None = None
    for policy in found.policies:
        if not isinstance(policy.item, CapsFile) or policy.item.tolerance is None:
            continue
        tolerance, read = policy.item.tolerance, []
        for number, entry in enumerate(tolerance.scale):
            at: YamlPath = ("tolerance", "scale", number, "when")
            condition = rulebook.read(policy, at, entry.when, catalogues.contact)
            if condition is not None:
                # Three answers are asked of it, which the matcher does not give: it is no rule.
                rulebook.note(policy, at, condition, catalogues.contact, "tolerance")
                place = policy.place("tolerance", "scale", number)
                read.append(Scale(condition, entry.factor, place.file, place.line))
        scales[policy.source.file] = tuple(read)
        pause = tolerance.pause_after_silence
        if pause is not None and silence is None:
            place = policy.place("tolerance", "pause_after_silence")
            silence = Silence(pause.after, pause.for_, place.file, place.line)
    return Tolerances(scales, silence)
