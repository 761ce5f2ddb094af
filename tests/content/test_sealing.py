"""What an approval is of: the same text has one hash everywhere, and any change makes it another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.content.sealing import seal
from engine.plugin.contracts import ContentSpec, Draft

SPEC = ContentSpec("hello", "en", "Good morning {{ contact.id }}", "Hello", "Look")
SHOWN = Draft("Hello\nGood morning {{ contact.id }}")


def test_the_same_text_shown_alike_has_one_hash() -> None:
    assert seal(SPEC, SHOWN) == seal(replace(SPEC), replace(SHOWN, locale="en"))


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        (replace(SPEC, id="other"), SHOWN),
        (replace(SPEC, locale="de"), SHOWN),
        (replace(SPEC, body="other"), SHOWN),
        (replace(SPEC, subject="other"), SHOWN),
        (replace(SPEC, call_to_action="other"), SHOWN),
        (replace(SPEC, generator="llm"), SHOWN),
        (replace(SPEC, instructions="be brief"), SHOWN),
        (replace(SPEC, facts=("contact.city",)), SHOWN),
        (SPEC, replace(SHOWN, body="other")),
        (SPEC, replace(SHOWN, subject="other")),
        (SPEC, replace(SHOWN, call_to_action="other")),
        (replace(SPEC, subject="Hello Look", call_to_action=""), SHOWN),
    ],
)
def test_whatever_changes_makes_it_another_text(spec: ContentSpec, shown: Draft) -> None:
    assert seal(spec, shown) != seal(SPEC, SHOWN)
