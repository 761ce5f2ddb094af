"""Stage 6: quiet hours by law, by a platform's rules, by the contact's wish and by courtesy; all are kept.

Where it is not known in which zone or in which country somebody lives, the rules of all candidates hold. What
is held leaves at the first moment that none of them keeps quiet, a little spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.gate.concerning import quiet_on
from engine.gate.hours import Hours, Opening, QuietRule, WhenQuiet, Window, holds_in, opening, read_wish
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.stages import Stage, allowed, share_of
from engine.gate.state import GateRules, Moment, Standing, View
from engine.journeys.localtime import zone_of

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class _Unreadable:
    """A rule by the contact's wish, and a wish that cannot be read."""

    rule: QuietRule


def check_quiet(intent: Intent, view: View, now: Moment, channel: str) -> Answer:
    """6: whether a rule about such messages keeps this moment quiet for the contact."""
    rules = view.rules
    if not rules.quiet:
        return allowed(Stage.QUIET, channel)
    standing = view.standing
    assert standing is not None, "stage 2 stops intents without a contact"
    lives_in, known_by = rules.residence.of(standing.attributes, standing.countries)
    concerned = [rule for rule in quiet_on(intent, rules, channel) if holds_in(rule.countries, lives_in)]
    windows: list[Window] = []
    for rule in concerned:
        found = list(_windows(rule, standing, rules))
        for each in found:
            if isinstance(each, _Unreadable):
                return _unreadable(rule, channel)
            windows.append(each)
    # What is spread at most is looked for with the opening, so that nobody is spread into the next quiet.
    spread = max((rule.spread for rule in concerned), default=timedelta(0))
    opens = opening(windows, now.journey, open_for=spread)
    if opens is None:
        return allowed(Stage.QUIET, channel)
    return _quiet(intent, view, opens, channel, lives_in, known_by)


def _windows(rule: QuietRule, standing: Standing, rules: GateRules) -> Iterator[Window | _Unreadable]:
    hours: tuple[Hours, ...] = (rule.hours,) if rule.hours is not None else ()
    if rule.wish is not None:
        stated = standing.attributes.get(rule.wish)
        wished = read_wish(stated) if isinstance(stated, str) else ()
        if wished is None:
            yield _Unreadable(rule)
            return
        hours = wished
    for each in hours:
        for zone, known_by in _zones(rule, standing, rules):
            yield Window(rule, each, zone_of(zone, rules.timezone), known_by)


def _zones(rule: QuietRule, standing: Standing, rules: GateRules) -> Sequence[tuple[str, str]]:
    if rule.timezone == "workspace":
        return ((rules.timezone, "workspace"),)
    if rule.timezone != "contact":
        return ((rule.timezone, "named"),)
    if standing.timezone is not None:
        return ((standing.timezone, "contact"),)
    if standing.timezone_candidates:
        return tuple((zone, "candidate") for zone in standing.timezone_candidates)
    return ((rules.timezone, "workspace"),)


def _quiet(
    intent: Intent, view: View, opens: Opening, channel: str, lives_in: Sequence[str], known_by: str
) -> Answer:
    """The answer of a quiet moment: held until it is over, or a no where that cannot be or is not meant."""
    wish = _strictest(opens.quiet_now)
    evidence = _evidence(opens, wish, lives_in, known_by)
    if opens.at is None:
        return _no(Verdict.BLOCK, "quiet.always", channel, evidence, "a rule left a time of the week", True)
    evidence["allowed_at"] = opens.at.isoformat()
    would = f"it is tried at {opens.at.isoformat()}, when {opens.binding.rule.id} is over"
    if wish is WhenQuiet.SKIP:
        return _no(Verdict.SKIP, "quiet.skipped", channel, evidence, would, True)
    latest = _latest(intent, view)
    if latest is not None and opens.at >= latest:
        evidence["would_wait_until_at_most"] = latest.isoformat()
        would = f"it may wait until {opens.at.isoformat()}, when {opens.binding.rule.id} is over"
        ends = wish is WhenQuiet.DEFER
        return _no(Verdict.SKIP, "quiet.too_late", channel, evidence, would, ends, Outcome.EXPIRED)
    return Answer(
        Verdict.HOLD,
        Stage.QUIET,
        "quiet.hours",
        channel=channel,
        evidence=evidence,
        would_pass_if=would,
        hold_until=opens.at + _spread(intent, opens, latest),
        keeps_channel=wish is WhenQuiet.DEFER,
    )


def _strictest(windows: Sequence[Window]) -> WhenQuiet:
    wishes = {window.rule.when_quiet for window in windows}
    for strictest in (WhenQuiet.SKIP, WhenQuiet.NEXT_CHANNEL):
        if strictest in wishes:
            return strictest
    return WhenQuiet.DEFER


def _spread(intent: Intent, opens: Opening, latest: datetime | None) -> timedelta:
    """How long after the opening the intent leaves: its own share of what its rules spread by.

    It never comes to lie in the next quiet, nor past the intent's own end.
    """
    assert opens.at is not None and opens.closes is not None, "only openings are spread from"
    ends = [opens.at + max(window.rule.spread for window in opens.quiet_now), opens.closes]
    if latest is not None:
        ends.append(latest)
    room = min(ends) - opens.at
    # Not by the key, which another event id changes: a simulation then tells the very moment.
    named = f"{intent.contact_id}/{intent.journey}/{intent.step_id}/{intent.visit}"
    return share_of(named) * room // _SECOND * _SECOND


def _latest(intent: Intent, view: View) -> datetime | None:
    """The moment (journey time) at which the intent is no longer worth sending."""
    ends = [] if intent.expires_at is None else [intent.expires_at]
    if intent.deadline_at is not None:
        ends.append(view.time.at(intent.deadline_at))
    return min(ends, default=None)


def _evidence(opens: Opening, wish: WhenQuiet, lives_in: Sequence[str], known_by: str) -> dict[str, Any]:
    binding = opens.binding
    rule = binding.rule
    evidence: dict[str, Any] = {
        "rule": rule.id,
        "because": rule.because,
        "hours": binding.hours.text,
        "zone": binding.zone.key,
        "zone_known_by": binding.known_by,
        "when_quiet": wish.value,
        "quiet": sorted({window.rule.id for window in opens.quiet_now}),
        "place": f"{rule.file}:{rule.line}" if rule.file else "",
    }
    if rule.source:
        evidence |= {"source": rule.source, "as_of": rule.as_of}
    if rule.countries:
        evidence |= {
            "countries": list(rule.countries),
            "lives_in": list(lives_in),
            "country_known_by": known_by,
        }
    return evidence


def _no(
    verdict: Verdict,
    reason: str,
    channel: str,
    evidence: dict[str, Any],
    would_pass_if: str,
    ends: bool,
    outcome: Outcome = Outcome.BLOCKED,
) -> Answer:
    return Answer(
        verdict,
        Stage.QUIET,
        reason,
        channel=channel,
        evidence=evidence,
        would_pass_if=would_pass_if,
        outcome=outcome if ends else None,
    )


def _unreadable(rule: QuietRule, channel: str) -> Answer:
    """What protects a person and cannot be read blocks."""
    evidence = {
        "rule": rule.id,
        "attribute": rule.wish,
        "place": f"{rule.file}:{rule.line}" if rule.file else "",
    }
    would = f"the contact's {rule.wish} read like 22:00-08:00"
    return _no(Verdict.BLOCK, "quiet.unreadable_wish", channel, evidence, would, False)
