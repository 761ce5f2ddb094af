"""The story of an intent, and decisions by themselves, as text that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.delivery.authorship import author_lines
from engine.delivery.story import Story, Told
from engine.gate.stages import Stage

PASSED: Mapping[Stage, str] = {
    Stage.HALT: "kill switch and breakers of workspace, journey and content",
    Stage.STANDING: "the contact may be reached, and it is in time",
    Stage.BREAKER: "breaker of the channel",
    Stage.IDENTITY: "an address in use",
    Stage.CONSENT: "consent",
    Stage.QUIET: "no quiet hours",
    Stage.CAPS: "frequency caps",
    Stage.BUDGET: "something left of its budgets",
    Stage.HOLD_OUT: "not held out of it",
    Stage.CONTENT: "content and checks",
    Stage.RATE: "the provider takes one more",
    Stage.RESERVE: "a place in every cap",
    Stage.HAND_OVER: "handed over to the provider",
}


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
    for receipt in story.receipts:
        code = f" ({receipt.code})" if receipt.code else ""
        mark = "-" if receipt.said in {"bounced", "complained"} else "+"
        lines.append(f"  {mark} a receipt said {receipt.said}{code}  {_moment(receipt.at)}")
    return "\n".join(lines) + "\n"


def render_decisions(decisions: Sequence[Told]) -> str:
    """Decisions as text, one after another."""
    lines: list[str] = []
    for decision in decisions:
        what = decision.intent or decision.journey or ""
        lines.append(f"{_moment(decision.at)}  {decision.kind} {what}".rstrip())
        lines += _decision_lines(decision)
    return "\n".join(lines) + "\n" if lines else ""


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
        elif name == "text" and isinstance(value, dict):
            lines += [f"      {line}" for line in author_lines(value)]
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
