"""What people are to be given and could not be: a link to confirm by, a text that is not personal."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.built_in import CONSENT_PENDING
from engine.authoring.bundle import Bundle
from engine.authoring.definitions import Definitions
from engine.authoring.personal import TEMPLATE, is_personal
from engine.errors import Problem
from engine.gate.model import DoubleOptIn
from engine.journeys.program import Send

_LINK = "links.confirm"


def check_confirming(found: Definitions, bundle: Bundle) -> Iterator[Problem]:
    """RW160 for purposes whose consents wait for a confirmation that no journey asks for."""
    for name, defined in found.purposes.items():
        purpose = bundle.purposes.get(name)
        if purpose is not None and purpose.double_opt_in is not None:
            if _is_asked(bundle, purpose.double_opt_in):
                continue
            yield defined.problem(
                "RW160",
                f"a consent to '{name}' waits to be confirmed, and no journey sends the link for it",
                "write a journey with 'enter: {event: consent_pending}' that sends a content with "
                "{{ links.confirm }} for a transactional purpose",
                at=("consent", "double_opt_in"),
            )


def check_personal(found: Definitions, bundle: Bundle) -> Iterator[Problem]:
    """RW161 for marketing made for each person, without a text for those who refused that."""
    sent = {
        step.content
        for program in bundle.programs.values()
        for step in program.steps.values()
        if isinstance(step, Send)
        and (purpose := bundle.purposes.get(step.purpose)) is not None
        and purpose.kind == "marketing"
    }
    for name, defined in found.contents.items():
        if name in sent and name not in bundle.plain_contents and is_personal(bundle.contents[name].values()):
            yield defined.problem(
                "RW161",
                f"contacts who refused personalisation get nothing in place of '{name}'",
                "add 'variants: [{personal: false, locales: {…}}]' with a text that suits everybody",
                at=("id",),
            )


def _is_asked(bundle: Bundle, asked: DoubleOptIn) -> bool:
    return any(
        _can_be_sent(step, bundle, asked)
        for program in bundle.programs.values()
        if CONSENT_PENDING in program.entry.events
        for step in program.steps.values()
        if isinstance(step, Send)
    )


def _can_be_sent(step: Send, bundle: Bundle, asked: DoubleOptIn) -> bool:
    purpose = bundle.purposes.get(step.purpose)
    if purpose is None or purpose.needs_consent or not any(map(asked.concerns, step.channels)):
        return False  # marketing itself waits for the consent that it would ask for
    texts = bundle.contents.get(step.content, {}).values()
    return any(
        text.generator != TEMPLATE or _LINK in f"{text.subject} {text.body} {text.call_to_action}"
        for text in texts
    )
