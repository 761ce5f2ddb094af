"""The content pipeline: locale, generator, every check that applies; fails closed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.authoring.bundle import Bundle, CheckConfig
from engine.authoring.personal import is_personal
from engine.contacts.unsubscribe import (
    Confirmation,
    confirmation_url,
    preferences_url,
    unsubscribe_url,
)
from engine.delivery.limits import Limits
from engine.gate.consent import may_be_personal
from engine.gate.judging import Way
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.stages import Stage
from engine.gate.state import View
from engine.plugin.calling import call_check, call_generator
from engine.plugin.contracts import (
    Check,
    CheckContext,
    ContentSpec,
    Draft,
    Finding,
    GenerateRequest,
    Generator,
    GeneratorFailed,
    Message,
    Severity,
)

FALLBACK = "template"
"""The generator that takes over when another one fails."""
MOST_FINDINGS = 5
"""How many findings one decision keeps, the gravest first."""


@dataclass(frozen=True)
class Made:
    """A message that passed every check, and the hash of its text."""

    message: Message
    content_hash: str
    findings: tuple[Mapping[str, Any], ...] = ()
    """What checks noted without blocking it."""


@dataclass(frozen=True)
class ContentPipeline:
    """Makes messages with the generators and checks at hand."""

    generators: Mapping[str, Generator]
    checks: Mapping[str, Check]
    public_url: str
    secret: str
    """Signs unsubscribe links."""
    limits: Limits

    def make(self, intent: Intent, view: View, way: Way, live: Bundle, pinned: Bundle) -> Made | Answer:
        """The message for one contact on one channel, or why there is none; waits for its plugins.

        Rules and checks are the live ones; a text that is no longer in the live bundle is taken from the one
        the intent was planned under.
        """
        texts = live.contents.get(intent.content) or pinned.contents.get(intent.content)
        if not texts:
            return _blocked("content.missing", way, "the ruleset has this content", content=intent.content)
        is_marketing = view.rules.purposes[intent.purpose].kind == "marketing"
        if is_marketing and not may_be_personal(view.consents, way.channel):
            # Another text, not silence: they agreed to the message, and refused only that it be about them.
            plain = live.plain_contents.get(intent.content) or pinned.plain_contents.get(intent.content)
            if not plain and is_personal(texts.values()):
                why = "the content has a variant with 'personal: false'"
                return _blocked("content.personal_only", way, why, content=intent.content)
            texts = plain or texts
        spec = choose_text(texts, view.contact.get("locale"), live.workspace.locales)
        try:
            links = self._links(intent, way)
            draft = self._draft(intent, view, way, spec, links)
        except GeneratorFailed as error:
            why = "its generator makes a text"
            return _blocked("content.not_generated", way, why, content=spec.id, because=str(error))
        locale = draft.locale or spec.locale
        noted: list[Finding] = []
        for config in live.checks:
            if _applies(config, intent.purpose, way.channel):
                found = self._examined(config, draft, intent, way, live, locale)
                if isinstance(found, Answer):
                    return found
                noted += found
        message = Message(
            to=way.address,
            body=draft.body,
            subject=draft.subject,
            call_to_action=draft.call_to_action,
            contact_id=intent.contact_id,
            purpose=intent.purpose,
            is_marketing=is_marketing,
            content=spec.id,
            locale=locale,
            unsubscribe_url=links["unsubscribe"] if is_marketing else None,
        )
        noted.sort(key=lambda finding: finding.severity is not Severity.WARN)
        return Made(message, hash_of(draft), tuple(_evidence(finding) for finding in noted[:MOST_FINDINGS]))

    def _links(self, intent: Intent, way: Way) -> dict[str, str]:
        whose = (self.public_url, self.secret, intent.contact_id, intent.purpose, way.channel)
        asked = Confirmation(intent.contact_id, way.channel, intent.created_at)
        return {
            "unsubscribe": unsubscribe_url(*whose),
            "preferences": preferences_url(*whose),
            "confirm": confirmation_url(self.public_url, self.secret, asked),
        }

    def _draft(
        self, intent: Intent, view: View, way: Way, spec: ContentSpec, links: Mapping[str, str]
    ) -> Draft:
        facts = {
            "links": links,
            "contact": view.contact,
            "event": intent.variables.get("event", {}),
            "journey": intent.variables.get("journey", {}),
        }
        request = GenerateRequest(spec, facts, way.channel, intent.purpose)
        try:
            return call_generator(self._generator(spec.generator), request, self.limits.generate)
        except GeneratorFailed:
            if spec.generator == FALLBACK:
                raise
            return call_generator(self._generator(FALLBACK), request, self.limits.generate)

    def _generator(self, name: str) -> Generator:
        found = self.generators.get(name)
        if found is None:
            raise GeneratorFailed(f"no plugin offers the generator {name!r}")
        return found

    def _examined(
        self, config: CheckConfig, draft: Draft, intent: Intent, way: Way, live: Bundle, locale: str
    ) -> Answer | list[Finding]:
        """What the check notes, or its objection to a message that must not go."""
        check = self.checks.get(config.plugin)
        lexicons = [live.lexicons[name] for name in config.lexicons if name in live.lexicons]
        if check is None or len(lexicons) < len(config.lexicons):
            missing = f"plugin {config.plugin}" if check is None else "a lexicon"
            return _blocked(
                "content.check_failed", way, "the check can work", check=config.id, missing=missing
            )
        context = CheckContext(way.channel, intent.purpose, locale, config.settings, lexicons)
        found = call_check(check, draft, context, self.limits.check)
        blocking = [finding for finding in found if finding.severity is Severity.BLOCK]
        if not blocking:
            return found
        failed = any(finding.code == "check.failed" for finding in blocking)
        return _blocked(
            "content.check_failed" if failed else "content.check_blocked",
            way,
            f"check {config.id} finds nothing that blocks",
            check=config.id,
            content=intent.content,
            findings=[_evidence(finding) for finding in blocking[:MOST_FINDINGS]],
        )


def choose_text(
    texts: Mapping[str, ContentSpec], wanted: str | None, locales: tuple[str, ...]
) -> ContentSpec:
    """The text in the contact's locale, in its language, or in the workspace's first locale that has one."""
    candidates = [*locales, *texts]
    if wanted is not None:
        language = wanted.replace("_", "-").split("-")[0]
        related = sorted(name for name in texts if name.split("-")[0] == language)
        candidates = [wanted, language, *related, *candidates]
    return next(texts[name] for name in candidates if name in texts)


def hash_of(draft: Draft) -> str:
    """The SHA-256 of what the recipient would read."""
    parts = [draft.subject, draft.body, draft.call_to_action]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def _applies(config: CheckConfig, purpose: str, channel: str) -> bool:
    return (not config.purposes or purpose in config.purposes) and (
        not config.channels or channel in config.channels
    )


def _evidence(finding: Finding) -> dict[str, Any]:
    # Not the message: a check may quote the text, which names the contact.
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "part": finding.part,
        "start": finding.start,
        "end": finding.end,
        "rule": finding.rule,
        "suggestion": finding.suggestion,
    }


def _blocked(reason: str, way: Way, would_pass_if: str, **evidence: Any) -> Answer:
    # A text that cannot be made fails on every channel alike; what a check objects to may differ by channel.
    everywhere = reason in {"content.missing", "content.not_generated", "content.personal_only"}
    return Answer(
        Verdict.BLOCK,
        Stage.CONTENT,
        reason,
        channel=way.channel,
        evidence=evidence,
        would_pass_if=would_pass_if,
        outcome=Outcome.BLOCKED if everywhere else None,
    )
