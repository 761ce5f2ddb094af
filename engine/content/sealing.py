"""The hash by which people approve a text: of exactly what is sent, before anything personal is filled in."""

from __future__ import annotations

import hashlib
import json

from engine.plugin.contracts import ContentSpec, Draft


def seal(spec: ContentSpec, adapted: Draft) -> str:
    """The SHA-256 of a text as it is written and as its platform shows it, and of what makes it.

    Whatever changes in any of them is another text. Two channels that show it alike have one hash.
    """
    parts: list[object] = [
        spec.id,
        spec.locale,
        spec.generator,
        [spec.instructions, list(spec.facts)],
        [spec.subject, spec.body, spec.call_to_action],
        [adapted.subject, adapted.body, adapted.call_to_action],
    ]
    if spec.instructions:
        parts.append([spec.instructions, *spec.facts])
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
