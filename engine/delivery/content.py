"""The content pipeline: locale, generator, every check that applies; fails closed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from engine.authoring.bundle import Bundle, CheckConfig, GeneratorConfig
from engine.authoring.variants import plain_texts_on, texts_on
from engine.changing import frozen
from engine.clock import Clock, SystemClock
from engine.contacts.unsubscribe import (
    Confirmation,
    confirmation_url,
    preferences_url,
    unsubscribe_url,
)
from engine.content.adapting import adapt
from engine.content.fitting import misfits
from engine.content.platforms import Platform
from engine.content.sealing import seal
from engine.delivery.examining import applies, context_of, day_of
from engine.delivery.limits import Limits
from engine.delivery.writing import Writers, Written, code_of, told_of
from engine.gate.consent import may_be_personal
from engine.gate.judging import Way
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.reviewing import Sealed, check_review, policy_for
from engine.gate.stages import Stage
from engine.gate.state import View
from engine.gate.telling import Telling, telling
from engine.plugin.calling import call_check, call_generator, is_immediate
from engine.plugin.contracts import (
    Check,
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
LONGEST_AT_ONCE = 10_000
"""Characters of a message; checks of a longer one may take their time, outside of transactions."""
MOST_FINDINGS = 5
"""How many findings one decision keeps, the gravest first."""


@frozen
class Made:
    """A message that passed every check, and the hash of its text."""

    message: Message
    content_hash: str
    findings: tuple[Mapping[str, Any], ...] = ()
    """What checks noted without blocking it."""
    adapted: tuple[str, ...] = ()
    """What was changed so that it suits the channel's platform."""
    sealed: Sealed | None = None
    """The text that people had to approve, and have; None where no policy asks."""
    text: Mapping[str, Any] = field(default_factory=dict)
    """Who wrote it, where that was not a template as it stands."""


def answering(made: Made, names: Mapping[str, Mapping[str, str]]) -> Made:
    """The message with what an answer has to name, which is no part of its text."""
    return replace(made, message=replace(made.message, reply_to=names)) if names else made


@dataclass(frozen=True)
class ContentPipeline:
    """Makes messages with the generators and checks at hand."""

    generators: Mapping[str, Generator]
    checks: Mapping[str, Check]
    public_url: str
    secret: str
    """Signs unsubscribe links."""
    limits: Limits
    clock: Clock = field(default_factory=SystemClock)
    """Delivery time."""
    writers: Writers | None = None
    """Who asks somebody else for texts; None in virtual time, where the contents' own texts are taken."""

    def make(self, intent: Intent, view: View, way: Way, live: Bundle, pinned: Bundle) -> Made | Answer:
        """The message for one contact on one channel, or why there is none; waits for its plugins.

        Rules and checks are the live ones; a text that is no longer in the live bundle is taken from the one
        the intent was planned under.
        """
        return self._made(intent, view, way, live, pinned, at_once=False)

    def make_at_once(self, intent: Intent, view: View, way: Way, live: Bundle) -> Made | Answer | None:
        """`make` where nobody has to be waited for; None where somebody has to be, or the text is long."""
        try:
            return self._made(intent, view, way, live, live, at_once=True)
        except _TakesTimeError:
            return None

    def _made(
        self, intent: Intent, view: View, way: Way, live: Bundle, pinned: Bundle, *, at_once: bool
    ) -> Made | Answer:
        source = live if live.contents.get(intent.content) else pinned
        texts = texts_on(source, intent.content, way.channel)
        if not texts:
            return _blocked("content.missing", way, "the ruleset has this content", content=intent.content)
        is_marketing = view.rules.purposes[intent.purpose].kind == "marketing"
        if is_marketing and not may_be_personal(view.consents, way.channel):
            # Another text, not silence: they agreed to the message, and refused only that it be about them.
            texts = plain_texts_on(source, intent.content, way.channel)
            if not texts:
                why = "the content has a variant with 'personal: false'"
                return _blocked("content.personal_only", way, why, content=intent.content)
        spec = choose_text(texts, view.contact.get("locale"), live.workspace.locales)
        if at_once and not self._is_made_at_once(spec):
            raise _TakesTimeError
        today = day_of(live, view.time.at(self.clock.now()))
        config = live.generators.get(spec.generator) or pinned.generators.get(spec.generator)
        try:
            links = self._links(intent, way)
            facts = _facts(intent, view, links)
            request = GenerateRequest(spec, facts, way.channel, intent.purpose, live.brand, today)
            draft, text = self._draft(intent.key, view, request, config, live)
        except GeneratorFailed as error:
            why = "its generator makes a text"
            return _blocked("content.not_generated", way, why, content=spec.id, because=str(error))
        if at_once and len(draft.body) + len(draft.subject) + len(draft.call_to_action) > LONGEST_AT_ONCE:
            raise _TakesTimeError
        locale = draft.locale or spec.locale
        platform = live.platform_of(way.channel)
        adapted = adapt(draft, platform, intent.purpose)
        draft = adapted.draft
        noted = list(misfits(draft, platform))
        if any(finding.severity is Severity.BLOCK for finding in noted):
            found = _blocked(
                "content.does_not_fit",
                way,
                f"a text that fits is written for the channel {way.channel}",
                content=spec.id,
                locale=locale,
                findings=[_evidence(each) for each in noted if each.severity is Severity.BLOCK][
                    :MOST_FINDINGS
                ],
            )
            return _with_writer(found, text)
        for check in live.checks:
            if applies(check, intent.purpose, way.channel):
                examined = self._examined(check, draft, intent, way, live, locale, today, at_once=at_once)
                if isinstance(examined, Answer):
                    return _with_writer(examined, text)
                noted += examined
        sealed = _sealed(intent, view, way, spec, platform)
        if sealed is not None:
            unapproved = check_review(sealed, view.reviewed, intent.content, way.channel, Stage.CONTENT)
            if unapproved is not None:
                return unapproved
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
        findings = tuple(_evidence(finding) for finding in noted[:MOST_FINDINGS])
        return Made(message, hash_of(draft), findings, adapted.done, sealed, text)

    def _links(self, intent: Intent, way: Way) -> dict[str, str]:
        unsubscribe = unsubscribe_url(
            self.public_url, self.secret, intent.contact_id, intent.purpose, way.channel
        )
        asked = Confirmation(intent.contact_id, way.channel, intent.created_at)
        return {
            "unsubscribe": unsubscribe,
            "preferences": preferences_url(unsubscribe),
            "confirm": confirmation_url(self.public_url, self.secret, asked),
        }

    def _draft(
        self,
        intent_key: str,
        view: View,
        request: GenerateRequest,
        config: GeneratorConfig | None,
        live: Bundle,
    ) -> tuple[Draft, dict[str, Any]]:
        """The text, and what is told of who wrote it; GeneratorFailed when there is not even a template's."""
        spec = request.content
        because = ""
        if spec.generator == FALLBACK:
            return call_generator(self._generator(FALLBACK), request, self.limits.generate), {}
        abroad: Mapping[str, str] = {}
        if config is not None:
            written, told = self._written(intent_key, view, request, config, live)
            abroad = told.abroad
            if written.draft is not None:
                text = _told(spec.generator, written.draft) | _paid(config, written.draft)
                return written.draft, text | ({"abroad": dict(abroad)} if abroad else {})
            because = written.because
        else:
            try:
                draft = call_generator(self._generator(spec.generator), request, self.limits.generate)
                return draft, _told(spec.generator, draft)
            except GeneratorFailed as error:
                because = code_of(error)
        draft = call_generator(self._generator(FALLBACK), request, self.limits.generate)
        told_why: dict[str, Any] = {"generator": spec.generator, "instead": FALLBACK, "because": because}
        return draft, told_why | ({"abroad": dict(abroad)} if abroad else {})

    def _written(
        self, intent_key: str, view: View, request: GenerateRequest, config: GeneratorConfig, live: Bundle
    ) -> tuple[Written, Telling]:
        """What a generator that asks somebody else has, and on what it may be told of the contact; it is told
        what the content names and no more."""
        if self.writers is None:
            return Written(None, "virtual_time"), Telling()
        named, told = request.content.facts, Telling()
        if named:
            now = view.time.at(self.clock.now())
            told = telling(
                config.residents,
                config.located,
                config.grounds,
                view.standing,
                view.rules.residence,
                view.consents,
                request.channel,
                now,
            )
        if told.because:
            return Written(None, told.because), told
        facts = {**told_of(request.facts, named), "links": request.facts["links"]}
        day = day_of(live, self.clock.now())
        return self.writers.write(config, intent_key, replace(request, facts=facts), day), told

    def _generator(self, name: str) -> Generator:
        found = self.generators.get(name)
        if found is None:
            raise GeneratorFailed(f"no plugin offers the generator {name!r}", code="unavailable")
        return found

    def _is_made_at_once(self, spec: ContentSpec) -> bool:
        return all(is_immediate(self.generators.get(name), spec) for name in {spec.generator, FALLBACK})

    def _examined(
        self,
        config: CheckConfig,
        draft: Draft,
        intent: Intent,
        way: Way,
        live: Bundle,
        locale: str,
        today: date,
        *,
        at_once: bool,
    ) -> Answer | list[Finding]:
        """What the check notes, or its objection to a message that must not go."""
        check = self.checks.get(config.plugin)
        context = context_of(config, live, way.channel, intent.purpose, locale, today, intent.content)
        if check is None or context is None:
            missing = f"plugin {config.plugin}" if check is None else "a lexicon"
            return _blocked(
                "content.check_failed", way, "the check can work", check=config.id, missing=missing
            )
        if at_once and not is_immediate(check, context):
            raise _TakesTimeError
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


class _TakesTimeError(Exception):
    """Somebody would have to be waited for by a caller who cannot."""


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


def _sealed(
    intent: Intent, view: View, way: Way, spec: ContentSpec, platform: Platform | None
) -> Sealed | None:
    """The text as people approve it, if the rules ask anybody."""
    policy = policy_for(view.rules.reviews, intent.content, intent.purpose, way.channel)
    if policy is None:
        return None
    written = Draft(spec.body, spec.subject, spec.call_to_action, spec.locale)
    return Sealed(seal(spec, adapt(written, platform, intent.purpose).draft), spec.locale, policy)


def hash_of(draft: Draft) -> str:
    """The SHA-256 of what the recipient would read."""
    parts = [draft.subject, draft.body, draft.call_to_action]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def _facts(intent: Intent, view: View, links: Mapping[str, str]) -> dict[str, Any]:
    return {
        "links": links,
        "contact": view.contact,
        "event": intent.variables.get("event", {}),
        "journey": intent.variables.get("journey", {}),
    }


def _with_writer(answer: Answer, text: Mapping[str, Any]) -> Answer:
    """The answer, with who wrote what it is about."""
    return replace(answer, evidence={**answer.evidence, "text": text}) if text else answer


def _told(generator: str, draft: Draft) -> dict[str, Any]:
    """Who wrote the text, as decisions keep it."""
    told: dict[str, Any] = {"generator": generator}
    source = draft.provenance
    if source.ai_generated:
        told |= {"ai_generated": True, "model": source.model, "prompt_hash": source.prompt_hash}
    if source.tokens is not None:
        told["tokens"] = source.tokens
    return told


def _paid(config: GeneratorConfig, draft: Draft) -> dict[str, Any]:
    """What the text cost, where the ruleset says what tokens cost and the generator how many it took."""
    price, source = config.price, draft.provenance
    if price is None or source.tokens is None:
        return {}
    cost = Decimal(price.of(source.tokens, source.answered)).scaleb(-6)
    return {"cost": {"amount": f"{cost:f}", "currency": price.currency, "as_of": price.as_of}}


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
