"""A text before it becomes a message: what every check of a bundle would find, and a score by dimension.

The gate asks the same checks when a message leaves (`content`); here nothing is sent and nothing is decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from engine.authoring.bundle import Bundle, CheckConfig
from engine.content.adapting import adapt
from engine.content.fitting import misfits
from engine.plugin.calling import call_check, call_score
from engine.plugin.contracts import Check, CheckContext, Draft, Finding, Severity

DIMENSIONS = ("compliance", "professionalism", "sentiment", "readability")
"""What a text is scored by, in the order in which it is told; a check of a stranger's may add its own."""
DIMENSION = DIMENSIONS[0]
"""What a check that says nothing else looks at."""
PLATFORM = "platform"
"""What finds that a text is against the rule book; no check of a ruleset."""
COSTS: Mapping[Severity, int] = {Severity.BLOCK: 50, Severity.WARN: 15, Severity.INFO: 0}
"""Points that one finding takes off the hundred of its dimension."""

_GRAVITY = tuple(COSTS)


@dataclass(frozen=True)
class Found:
    """A finding, and the check of the ruleset that it comes from."""

    check: str
    finding: Finding


@dataclass(frozen=True)
class Examination:
    """What the checks say of one text."""

    checks: tuple[str, ...]
    """Those that looked at it."""
    found: tuple[Found, ...]
    """In the order of the text, part by part."""
    scores: Mapping[str, int]
    """0 to 100 for each dimension that a check looked at."""
    draft: Draft
    """The text as its channel's platform shows it; the places of what was found are in it."""
    adapted: tuple[str, ...] = ()
    """What was changed for that."""

    @property
    def unscored(self) -> tuple[str, ...]:
        """The dimensions that no check looked at: that is no praise."""
        return tuple(each for each in DIMENSIONS if each not in self.scores)

    @property
    def passes(self) -> bool:
        return not any(each.finding.severity is Severity.BLOCK for each in self.found)

    def as_data(self) -> dict[str, Any]:
        """As `wayline check --format json` and `POST /v1/checks` tell it."""
        return {
            "passes": self.passes,
            "checks": list(self.checks),
            "scores": dict(self.scores),
            "text": {
                "subject": self.draft.subject,
                "body": self.draft.body,
                "call_to_action": self.draft.call_to_action,
            },
            "adapted": list(self.adapted),
            "findings": [
                {
                    "check": each.check,
                    "code": each.finding.code,
                    "severity": each.finding.severity.value,
                    "part": each.finding.part,
                    "start": each.finding.start,
                    "end": each.finding.end,
                    "rule": each.finding.rule,
                    "message": each.finding.message,
                    "suggestion": each.finding.suggestion,
                }
                for each in self.found
            ],
        }


def examine(
    draft: Draft,
    bundle: Bundle,
    checks: Mapping[str, Check],
    *,
    channel: str,
    purpose: str,
    timeout: timedelta,
    now: datetime,
    content: str = "",
) -> Examination:
    """Asks every check of the bundle that looks at such messages; an empty channel or purpose means any.

    `now` is journey time; `content` is whose text it is, where it is that of one of the bundle. A check that
    cannot work is a finding that blocks, as it blocks the message at the gate. What the rules of the
    channel's platform are against is found as well, by `platform`.
    """
    today = day_of(bundle, now)
    rules = bundle.platform_of(channel)
    adapted = adapt(draft, rules, purpose)
    draft = adapted.draft
    against = list(misfits(draft, rules))
    asked = [each for each in bundle.checks if applies(each, purpose, channel)]
    found: list[Found] = []
    costs: Counter[str] = Counter()
    own: dict[str, int] = {}
    """What checks said of a dimension by themselves, the lowest."""
    for config in asked:
        check = checks.get(config.plugin)
        dimension = getattr(check, "dimension", DIMENSION)
        context = context_of(config, bundle, channel, purpose, draft.locale, today, content)
        findings = list(_found(config, check, draft, context, timeout))
        for each in findings:
            _tell_once(found, Found(config.id, each), {a.id for a in asked if a.plugin == config.plugin})
        failed = any(each.code == "check.failed" for each in findings)
        score = None if failed or not check or not context else call_score(check, draft, context, timeout)
        if score is not None:
            own[dimension] = min(score, own.get(dimension, 100))
        if failed or not hasattr(check, "score"):
            costs[dimension] += sum(COSTS[each.severity] for each in findings)
    names = [each.id for each in asked]
    if rules is not None:
        names.insert(0, PLATFORM)
        found += [Found(PLATFORM, each) for each in against]
        costs[DIMENSION] += sum(COSTS[each.severity] for each in against)
    scores = {
        name: max(0, min(100 - costs[name], own.get(name, 100)))
        for name in sorted({*costs, *own}, key=lambda name: (_place(name), name))
    }
    parts = ("subject", "body", "call_to_action")
    found.sort(key=lambda each: (parts.index(each.finding.part), each.finding.start, each.finding.end))
    return Examination(tuple(names), tuple(found), scores, draft, adapted.done)


def _tell_once(found: list[Found], more: Found, entries: set[str]) -> None:
    """Add a finding; what two `entries` of one plugin find alike is told by the graver of the two."""
    twin = next((each for each in found if each.check in entries and _what(each) == _what(more)), None)
    if twin is None:
        found.append(more)
    elif _GRAVITY.index(more.finding.severity) < _GRAVITY.index(twin.finding.severity):
        found[found.index(twin)] = more


def _what(found: Found) -> tuple[object, ...]:
    finding = found.finding
    return finding.code, finding.part, finding.start, finding.end, finding.message


def _place(dimension: str) -> int:
    return DIMENSIONS.index(dimension) if dimension in DIMENSIONS else len(DIMENSIONS)


def _found(
    config: CheckConfig,
    check: Check | None,
    draft: Draft,
    context: CheckContext | None,
    timeout: timedelta,
) -> Iterator[Finding]:
    if check is None or context is None:
        missing = f"plugin {config.plugin}" if check is None else "a word list"
        message = f"check {config.id!r} cannot work: it lacks {missing}"
        yield Finding("check.failed", Severity.BLOCK, 0, 0, message, rule=f"check {config.id}")
    else:
        yield from call_check(check, draft, context, timeout)


def applies(config: CheckConfig, purpose: str, channel: str) -> bool:
    """Whether a check looks at messages of this purpose on this channel; empty for any."""
    return (not config.purposes or not purpose or purpose in config.purposes) and (
        not config.channels or not channel or channel in config.channels
    )


def context_of(
    config: CheckConfig,
    bundle: Bundle,
    channel: str,
    purpose: str,
    locale: str,
    today: date,
    content: str = "",
) -> CheckContext | None:
    """What the check is told beside the draft; None when one of its word lists is missing."""
    lexicons = [bundle.lexicons[name] for name in config.lexicons if name in bundle.lexicons]
    if len(lexicons) < len(config.lexicons):
        return None
    return CheckContext(
        channel, purpose, locale, config.settings, lexicons, bundle.brand, today, content, bundle.texts
    )


def day_of(bundle: Bundle, now: datetime) -> date:
    """The day of a moment of journey time in the workspace's zone."""
    return now.astimezone(ZoneInfo(bundle.workspace.timezone)).date()
