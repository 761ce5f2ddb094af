"""Why a message was sent, held or not sent: read from the store in one look-up, told in text or as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.delivery.reasoning import Reasons, reasons
from engine.errors import NotFound
from engine.gate.reasons import describe
from engine.gate.stages import Stage
from engine.store.bundles import BundleShelf
from engine.store.tables import AttemptRow, DecisionRow, IntentRow

PASSED: Mapping[Stage, str] = {
    Stage.HALT: "kill switch and breakers of workspace, journey and content",
    Stage.STANDING: "the contact may be reached, and it is in time",
    Stage.BREAKER: "breaker of the channel",
    Stage.IDENTITY: "an address in use",
    Stage.CONSENT: "consent",
    Stage.QUIET: "no quiet hours",
    Stage.CAPS: "frequency caps",
    Stage.HOLD_OUT: "not held out of it",
    Stage.CONTENT: "content and checks",
    Stage.RATE: "the provider takes one more",
    Stage.RESERVE: "a place in every cap",
    Stage.HAND_OVER: "handed over to the provider",
}


_AT_BRANCHES = ("run.branched", "experiment.exposed", "run.repeated", "run.repeat_over")
_AT_TASKS = ("task.decided", "task.expired")


@dataclass(frozen=True)
class Told:
    """One decision, ready to be shown."""

    at: datetime
    kind: str
    journey: str | None
    intent: str | None
    stage: str
    channel: str | None
    verdict: str
    reason: str
    sentence: str
    changed_by: str
    """Who can change what the reason says."""
    would_pass_if: str
    hold_until: datetime | None
    evidence: Mapping[str, Any]
    bundle: str
    place: str
    """`file:line` of the rule behind it, where one is known."""
    reasons: Sequence[Reasons] = ()
    """The conditions behind it, where conditions decided; those of a branch in their order."""
    plans: Sequence[str] = ()
    """Plans that were on."""


@dataclass(frozen=True)
class Tried:
    """One call to a provider."""

    at: datetime
    """Delivery time."""
    channel: str
    result: str
    code: str
    probe: bool


@dataclass(frozen=True)
class Story:
    """Everything that is known of one intent, in the order it happened."""

    intent: str
    contact_id: str
    purpose: str
    content: str
    channels: Sequence[str]
    journey: str | None
    step: str
    state: str
    outcome: str | None
    reason: str | None
    created_at: datetime
    handed_over_at: datetime | None
    content_hash: str | None
    entry: Told | None
    branches: Sequence[Told]
    """Those that its run passed before it, experiments and repeats with a condition among them; of each step
    the latest."""
    tasks: Sequence[Told]
    """What people decided, or did not in time, on its run's way to it."""
    decisions: Sequence[Told]
    attempts: Sequence[Tried]


def explain_intent(session: Session, shelf: BundleShelf, key: str) -> Story:
    """The story of an intent; NotFound when there is none with this key."""
    row = session.get(IntentRow, key)
    if row is None:
        raise NotFound(f"no intent {key!r}")
    query = select(DecisionRow).where(col(DecisionRow.intent_key) == key).order_by(col(DecisionRow.id))
    rows = list(session.scalars(query))
    before = rows[0].id if rows else None
    tried = select(AttemptRow).where(col(AttemptRow.intent_key) == key).order_by(col(AttemptRow.id))
    return Story(
        intent=row.key,
        contact_id=row.contact_id,
        purpose=row.purpose,
        content=row.content,
        channels=list(row.channels),
        journey=row.journey,
        step=row.step_id,
        state=row.state,
        outcome=row.outcome,
        reason=row.reason,
        created_at=row.created_at,
        handed_over_at=row.handed_over_at,
        content_hash=row.content_hash,
        entry=_entry(session, shelf, row),
        branches=_passed_by_run(session, shelf, row, _AT_BRANCHES, before),
        tasks=_passed_by_run(session, shelf, row, _AT_TASKS, before),
        decisions=[_told(decision, session, shelf) for decision in rows],
        attempts=[
            Tried(each.at, each.channel, each.result, each.code, each.probe)
            for each in session.scalars(tried)
        ],
    )


def explain_call(session: Session, shelf: BundleShelf, key: str) -> list[Told]:
    """The decisions about a call of an action, oldest first; NotFound when there is none with this key."""
    query = select(DecisionRow).where(col(DecisionRow.intent_key) == key, col(DecisionRow.kind) == "call")
    rows = list(session.scalars(query.order_by(col(DecisionRow.id))))
    if not rows:
        raise NotFound(f"no intent and no call {key!r}")
    return [_told(row, session, shelf) for row in rows]


def explain_contact(
    session: Session, shelf: BundleShelf, contact_id: str, *, journey: str | None = None, limit: int = 50
) -> list[Told]:
    """The contact's latest decisions, of one journey or of all, oldest first."""
    query = select(DecisionRow).where(col(DecisionRow.contact_id) == contact_id)
    if journey is not None:
        query = query.where(col(DecisionRow.journey) == journey)
    rows = list(
        session.scalars(query.order_by(col(DecisionRow.at).desc(), col(DecisionRow.id).desc()).limit(limit))
    )
    return [_told(row, session, shelf) for row in reversed(rows)]


def render(story: Story) -> str:
    """The story as text, the answer first."""
    lines = [_headline(story)]
    wish = f"{story.content} for contact {story.contact_id} ({story.purpose})"
    if story.journey is not None:
        wish += f", wished by {story.journey} at {story.step}"
    lines.append(f"  {wish}, {_moment(story.created_at)}")
    if story.entry is not None:
        lines.append(f"  + {story.journey} enter  {_moment(story.entry.at)}{_placed(story.entry)}")
        lines += _reason_lines(story.entry)
    for passed in sorted((*story.branches, *story.tasks), key=lambda each: each.at):
        lines.append(f"  {_way_line(passed)}  {_moment(passed.at)}")
        lines += _reason_lines(passed)
    for decision in story.decisions[:-1]:
        lines += _decision_lines(decision)
    if story.decisions:
        last = story.decisions[-1]
        lines += [f"  + {name}" for name in _passed(last)]
        lines += _decision_lines(last, is_told=True)
    for attempt in story.attempts:
        mark = {"accepted": "+", "unknown": "?"}.get(attempt.result, "-")
        probe = ", as a probe" if attempt.probe else ""
        code = f" ({attempt.code})" if attempt.code else ""
        lines.append(
            f"  {mark} {attempt.channel} answered {attempt.result}{code}{probe}  {_moment(attempt.at)}"
        )
    return "\n".join(lines) + "\n"


def render_decisions(decisions: Sequence[Told]) -> str:
    """Decisions as text, one after another."""
    lines: list[str] = []
    for decision in decisions:
        what = decision.intent or decision.journey or ""
        lines.append(f"{_moment(decision.at)}  {decision.kind} {what}".rstrip())
        lines += _decision_lines(decision)
    return "\n".join(lines) + "\n" if lines else ""


def as_data(told: Story | Told) -> dict[str, Any]:
    """The same as plain values."""
    return asdict(told)


def _headline(story: Story) -> str:
    if not story.decisions:
        return f"{story.state.upper()}, not decided yet"
    last = story.decisions[-1]
    word = story.outcome.upper() if story.outcome is not None else story.state.upper()
    where = f" on {last.channel}" if last.channel else ""
    return f"{word}{where} because {last.reason}: {last.sentence}"


def _decision_lines(decision: Told, *, is_told: bool = False) -> list[str]:
    """A decision and what it rests on; `is_told` says that its reason stands in words above already."""
    mark = {"allow": "+", "hold": "~"}.get(decision.verdict, "-")
    if decision.reason.endswith(".unknown") or decision.reason.startswith("unknown."):
        mark = "?"
    channel = f" on {decision.channel}" if decision.channel else ""
    until = f" until {_moment(decision.hold_until)}" if decision.hold_until is not None else ""
    head = f"  {mark} {decision.verdict}{channel}: {decision.reason}{until}  {_moment(decision.at)}"
    lines = [head + _placed(decision)]
    if decision.sentence and not is_told:
        lines.append(f"      {decision.sentence}")
    if decision.kind == "experiment" and "by" in decision.evidence:
        step, arm = decision.evidence["step"], decision.evidence["arm"]
        return [*lines, f"      step {step}, arm {arm}: {why_this_arm(decision.evidence)}"]
    for name, value in decision.evidence.items():
        if name == "findings" and isinstance(value, list):
            lines += [line for finding in value for line in _finding_lines(finding)]
        elif name == "by" and decision.reason == "run.left":
            lines.append(
                f"      left by: number {_shown(value)} of those that the journey lists under 'leave'"
            )
        elif _is_told(value):
            lines.append(f"      {name}: {_shown(value)}")
    if decision.plans:
        lines.append(f"      plans on: {', '.join(decision.plans)}")
    lines += _reason_lines(decision)
    if decision.would_pass_if:
        lines.append(f"      would pass if {decision.would_pass_if}")
    if decision.verdict != "allow":
        lines.append(f"      can be changed by {decision.changed_by}")
    return lines


def _reason_lines(decision: Told) -> list[str]:
    """The tree of conditions that decided, and the smallest change that would have turned it."""
    lines: list[str] = []
    for each in decision.reasons:
        lines += each.tree.lines("      ")
        if each.turned_by:
            first, *more = each.turned_by
            lines.append(f"      it would have come out otherwise if {first}")
            lines += [f"        and {wish}" for wish in more]
    return lines


def _way_line(passed: Told) -> str:
    """How the run went on from a branch, an experiment, a repeat or a task."""
    told = passed.evidence
    match passed.reason:
        case "task.decided":
            return f"+ task {told['step']} was answered {told['choice']} ({told['title']}) by {told['by']}"
        case "task.expired":
            return f"- task {told['step']} was answered by nobody in time"
        case "experiment.exposed":
            return f"+ experiment {told['step']} gave {told['arm']}: {why_this_arm(told)}"
        case "run.repeated":
            return f"+ repeat {told['step']} began {told['taken']} of {told['at_most']} at most"
        case "run.repeat_over":
            rounds = told["rounds"]
            return f"+ repeat {told['step']} was over after {rounds} {'round' if rounds == 1 else 'rounds'}"
        case _:
            return f"+ branch {told['step']} went to {_way(passed)}"


def _way(passed: Told) -> str:
    taken = passed.evidence["taken"]
    return "else" if taken == "else" else f"case {taken}"


def why_this_arm(evidence: Mapping[str, Any]) -> str:
    """What decided about the arm of an experiment, as a decision keeps it, in a line."""
    gone = f", as {evidence['instead_of']} is no arm any more" if evidence.get("instead_of") else ""
    match evidence["by"]:
        case "hash":
            first, last = evidence["range"]
            where = f"{evidence['hash']:.4f} lies in [{first:.4f}, {last:.4f})"
            return f"hash under the seed '{evidence['seed']}': {where}{gone}"
        case "block":
            values = [
                f"{path} {'not known' if value is None else value}"
                for path, value in evidence["stratum"].items()
            ]
            return f"place {evidence['place_in_stratum']} of the stratum {', '.join(values)}{gone}"
        case _:
            since = evidence.get("since")
            return "kept from before" + (f", since {since[:10]}" if since else "")


def _finding_lines(finding: Mapping[str, Any]) -> list[str]:
    """What a check objects to, where it stands in the text, and what to write instead."""
    part = str(finding.get("part", "body")).replace("_", " ")
    first, last = int(finding.get("start", 0)) + 1, int(finding.get("end", 0))
    where = "" if last < first else f", characters {first}-{last}" if last > first else f", character {first}"
    grave = "" if finding.get("severity") in (None, "block") else f"{finding['severity']}: "
    lines = [
        f"      {grave}finding in the {part}{where}: {finding.get('rule') or '-'} ({finding.get('code')})"
    ]
    if finding.get("suggestion"):
        lines.append(f"        suggestion: {finding['suggestion']}")
    return lines


def _passed(last: Told) -> list[str]:
    """What the deciding pass had behind it when it was decided."""
    stages = list(Stage)
    if last.stage not in {stage.value for stage in stages}:
        return []
    # The contact's standing is asked before the halt; see the order in `engine.gate.judging`.
    order = [Stage.STANDING, Stage.HALT, *stages[2:]]
    return [PASSED[stage] for stage in order[: order.index(Stage(last.stage))]]


def _entry(session: Session, shelf: BundleShelf, row: IntentRow) -> Told | None:
    if row.run_id is None:
        return None
    query = select(DecisionRow).where(
        col(DecisionRow.run_id) == row.run_id,
        col(DecisionRow.kind) == "entry",
        col(DecisionRow.verdict) == "allow",
    )
    entry = session.scalars(query.order_by(col(DecisionRow.id)).limit(1)).first()
    return _told(entry, session, shelf) if entry is not None else None


def _passed_by_run(
    session: Session, shelf: BundleShelf, row: IntentRow, reasons: Sequence[str], before: int | None
) -> list[Told]:
    """The decisions of these reasons that the intent's run had behind it, of each step the latest.

    `before` is the first decision about the message itself, if there is one yet.
    """
    if row.run_id is None:
        return []
    query = select(DecisionRow).where(
        col(DecisionRow.contact_id) == row.contact_id,
        col(DecisionRow.run_id) == row.run_id,
        col(DecisionRow.reason).in_(reasons),
        col(DecisionRow.at) <= row.created_at,
    )
    if before is not None:
        query = query.where(col(DecisionRow.id) < before)
    latest: dict[str, DecisionRow] = {}
    for each in session.scalars(query.order_by(col(DecisionRow.id))):
        # What a step decided in an earlier round did not lead to this message.
        latest.pop(str(each.evidence.get("step")), None)
        latest[str(each.evidence.get("step"))] = each
    return [_told(each, session, shelf) for each in latest.values()]


def _told(row: DecisionRow, session: Session, shelf: BundleShelf) -> Told:
    try:
        reason = describe(row.reason)
        sentence, changed_by = reason.sentence, reason.changed_by
    except KeyError:
        # Written by a version that knew more reasons than this one.
        sentence, changed_by = "", ""
    evidence = dict(row.evidence)
    place, why = str(evidence.pop("place", "")), []
    asked = evidence.get("cases") or ([evidence] if "rule" in evidence else [])
    bundle = _bundle_of(row, session, shelf)
    if asked and bundle is not None:
        found = bundle.rule_places.get(asked[0]["rule"])
        place = f"{found.file}:{found.line}" if found is not None else place
        told = [reasons(bundle, each["rule"], each.get("tests", []), row.at) for each in asked]
        why = [each for each in told if each is not None]
        if len(why) == len(told):  # the trees tell it all
            for name in ("rule", "tests", "cases"):
                evidence.pop(name, None)
    return Told(
        at=row.at,
        kind=row.kind,
        journey=row.journey,
        intent=row.intent_key,
        stage=row.stage,
        channel=row.channel,
        verdict=row.verdict,
        reason=row.reason,
        sentence=sentence,
        changed_by=changed_by,
        would_pass_if=row.would_pass_if,
        hold_until=row.hold_until,
        evidence=evidence,
        bundle=row.bundle_hash,
        place=place,
        reasons=why,
        plans=bundle.plans_on if bundle is not None else (),
    )


def _bundle_of(row: DecisionRow, session: Session, shelf: BundleShelf) -> Bundle | None:
    try:
        return shelf.get(session, row.bundle_hash)
    except NotFound:
        return None


def _placed(told: Told) -> str:
    return f"  {told.place}" if told.place else ""


def _is_told(value: object) -> bool:
    return value not in (None, "", [], {})


def _shown(value: object) -> str:
    match value:
        case list():
            return ", ".join(_shown(item) for item in value)
        case dict():
            return "; ".join(
                f"{name} {_shown(item)}" for name, item in value.items() if item not in ("", None)
            )
        case _:
            return str(value)


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
