"""What runs write beside themselves: decisions about entries and ends, and errands for the durable side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.gate.decision import SCHEMA
from engine.journeys.matching import Refusal
from engine.journeys.migrating import Destination
from engine.journeys.run import Branched, Ended, Exposed, Repeated, RunOutcome
from engine.journeys.tasking import TaskNote
from engine.masking import mask_text
from engine.rules.explaining import answers
from engine.rules.facts import Facts
from engine.runs.states import RunRecord
from engine.store.bulk import insert_rows
from engine.store.tables import DecisionRow, OutboxRow

NUDGE_LASTS = timedelta(minutes=10)
"""Delivery time for which a nudge that was not followed yet stands for those that come after it.

Then another one is sent, should that one have been lost together with Temporal's database. A server takes so
many signals of one workflow and no more, and a worker that comes back reads all of them at once.
"""

_MOST_TESTS = 50
"""Of a longer condition the first ones are kept."""

_VERDICTS = {
    RunOutcome.COMPLETED: "allow",
    RunOutcome.GOAL: "allow",
    RunOutcome.STOPPED: "allow",
    RunOutcome.LEFT: "skip",
    RunOutcome.CANCELLED: "block",
    RunOutcome.FAILED: "fail",
}


def reasoned(bundle: Bundle, rule: str, facts: Facts, now: datetime) -> dict[str, Any]:
    """The rule that decided and what its tests said, kept so that the decision can be explained later."""
    told = answers(bundle.condition(rule), facts, now, personal=bundle.catalogue.personal)
    return {"rule": rule, "tests": told[:_MOST_TESTS]}


def verdict_of(outcome: RunOutcome) -> str:
    """How a decision about a run's end is marked."""
    return _VERDICTS[outcome]


def repeat_reason(passed: Repeated) -> str:
    """Why a repeat went on, or not."""
    return "run.repeat_over" if passed.round is None else "run.repeated"


def repeat_evidence(passed: Repeated) -> dict[str, Any]:
    """What a decision at a repeat keeps, the answers of its condition aside."""
    return {
        "step": passed.step,
        "taken": "over" if passed.round is None else f"round {passed.round}",
        "rounds": passed.rounds,
        "at_most": passed.at_most,
    }


def ended_evidence(ended: Ended) -> dict[str, Any]:
    """What a decision about a run's end keeps, whoever ended it."""
    by = {"by": ended.detail} if ended.detail else {}
    return {"outcome": ended.outcome.value, **by, **ended.evidence}


def moved_wait(step: str | None, was: datetime | None, until: datetime | None) -> dict[str, Any]:
    """What is told of a wait whose end has moved."""
    return {
        "step": step,
        "was": was.isoformat() if was is not None else None,
        "until": until.isoformat() if until is not None else None,
    }


@dataclass(frozen=True)
class Stand:
    """Where a run stands, in which version."""

    version: str
    bundle: str
    step: str | None
    due_at: datetime | None


def taken_over(where: Destination, was: Stand, now_at: Stand) -> dict[str, Any]:
    """What is told of a run that another version of its journey has taken over."""
    evidence: dict[str, Any] = {
        "from_version": was.version,
        "to_version": now_at.version,
        "from_bundle": was.bundle,
        "to_bundle": now_at.bundle,
        "from_step": was.step,
        "to_step": now_at.step,
        "how": where.how.value,
        "because": where.because,
    }
    if now_at.due_at != was.due_at:
        evidence["due_was"] = was.due_at.isoformat() if was.due_at is not None else None
        evidence["due_is"] = now_at.due_at.isoformat() if now_at.due_at is not None else None
    return evidence


@dataclass
class Notes:
    """Decisions and errands of one transaction, kept as plain rows and written together at its end.

    A batch of events makes hundreds; as mapped objects they would cost more than all the rest of intake.
    """

    decisions: list[dict[str, Any]] = field(default_factory=list)
    errands: list[dict[str, Any]] = field(default_factory=list)

    def tell_driver(self, kind: str, run: RunRecord, real_now: datetime, **more: Any) -> None:
        """One errand about the run (`run.start`, `run.signal`, `run.cancel`), done after the commit."""
        payload = {
            "journey": run.journey,
            "contact_id": run.contact_id,
            "entry_key": run.entry_key,
            "version": run.version,
            **more,
        }
        self.errands.append({"kind": kind, "key": run.id, "payload": payload, "created_at": real_now})

    def nudge(self, run: RunRecord, real_now: datetime, **why: Any) -> None:
        """Have the run's workflow look at its row, unless it was asked to and has not looked since.

        That look comes after this transaction, which holds the run, and sees what has changed now. Whoever
        calls this writes `nudged_at`; the look clears it.
        """
        if run.nudged_at is not None and run.nudged_at <= real_now < run.nudged_at + NUDGE_LASTS:
            return
        run.nudged_at = real_now
        self.tell_driver("run.signal", run, real_now, **why)

    def entered(self, run: RunRecord, event_id: str, now: datetime, because: Mapping[str, Any]) -> None:
        """The decision that the contact was taken into the journey."""
        # What an event said may be an address; decisions are read by many.
        evidence = {"event_id": event_id, "entry_key": mask_text(run.entry_key), **because}
        self._of_run(run, "entry", "allow", "entry.entered", evidence, now)

    def refused(
        self,
        refusal: Refusal,
        contact_id: str,
        event_id: str,
        bundle_hash: str,
        now: datetime,
        because: Mapping[str, Any],
    ) -> None:
        """The decision that a journey listened to the event and did not take the contact in."""
        self._decide(
            at=now,
            kind="entry",
            contact_id=contact_id,
            journey=refusal.journey,
            run_id=None,
            verdict="skip",
            reason=refusal.reason,
            evidence={"event_id": event_id, **refusal.evidence, **because},
            would_pass_if=refusal.would_pass_if,
            bundle_hash=bundle_hash,
        )

    def not_asked(
        self,
        refusal: Refusal,
        contact_id: str,
        bundle_hash: str,
        now: datetime,
        asked_by: Mapping[str, Any],
    ) -> None:
        """The decision that a journey which another one wanted to start could not even be asked."""
        self._decide(
            at=now,
            kind="entry",
            contact_id=contact_id,
            journey=refusal.journey,
            run_id=None,
            verdict="skip",
            reason=refusal.reason,
            evidence={**refusal.evidence, "started_by": dict(asked_by)},
            would_pass_if=refusal.would_pass_if,
            bundle_hash=bundle_hash,
        )

    def branched(
        self, run: RunRecord, passed: Branched, cases: Sequence[Mapping[str, Any]], now: datetime
    ) -> None:
        """The decision at a branch; `cases` are the rules that decided it, with what their tests said."""
        evidence = {"step": passed.step, "taken": passed.case or "else", "cases": list(cases)}
        self._of_run(run, "branch", "allow", "run.branched", evidence, now)

    def exposed(self, run: RunRecord, exposed: Exposed, now: datetime) -> None:
        """The decision at an experiment: the arm whose way the run goes, and why this one."""
        evidence = {"step": exposed.step, **exposed.assignment.evidence(exposed.design)}
        self._of_run(run, "experiment", "allow", "experiment.exposed", evidence, now)

    def task(self, run: RunRecord, note: TaskNote, now: datetime) -> None:
        """What became of a task of the run."""
        self._of_run(
            run, "task", note.verdict, note.reason, note.evidence, now, would_pass_if=note.would_pass_if
        )

    def repeated(
        self, run: RunRecord, passed: Repeated, cases: Sequence[Mapping[str, Any]], now: datetime
    ) -> None:
        """The decision at a repeat with a condition; `cases` holds what the tests of that one rule said."""
        evidence = {**repeat_evidence(passed), "cases": list(cases)}
        self._of_run(run, "branch", "allow", repeat_reason(passed), evidence, now)

    def moved(self, run: RunRecord, evidence: Mapping[str, Any], now: datetime) -> None:
        """The decision that took the run, which stands there by now, to another version of its journey."""
        self._of_run(run, "run", "allow", "run.moved", evidence, now)

    def retimed(self, run: RunRecord, was: datetime | None, event_id: str, now: datetime) -> None:
        """The decision that the present wait ends at another moment, for what it hangs on has changed."""
        evidence = {"event_id": event_id, **moved_wait(run.position, was, run.due_at)}
        self._of_run(run, "wait", "allow", "run.retimed", evidence, now)

    def ended(self, run: RunRecord, ended: Ended, now: datetime, **evidence: Any) -> None:
        """The decision by which the run ended."""
        kept = {**ended_evidence(ended), **evidence}
        verdict = verdict_of(ended.outcome)
        self._of_run(run, "run", verdict, ended.reason, kept, now, would_pass_if=ended.would_pass_if)

    def write(self, session: Session) -> None:
        """Write everything down and start anew."""
        insert_rows(session, DecisionRow, self.decisions)
        insert_rows(session, OutboxRow, self.errands)
        self.decisions, self.errands = [], []

    def _of_run(
        self,
        run: RunRecord,
        kind: str,
        verdict: str,
        reason: str,
        evidence: Mapping[str, Any],
        now: datetime,
        *,
        would_pass_if: str = "",
    ) -> None:
        self._decide(
            at=now,
            kind=kind,
            contact_id=run.contact_id,
            journey=run.journey,
            run_id=run.id,
            verdict=verdict,
            reason=reason,
            evidence=dict(evidence),
            would_pass_if=would_pass_if,
            bundle_hash=run.bundle_hash,
        )

    def _decide(self, *, kind: str, **values: Any) -> None:
        self.decisions.append({"kind": kind, "stage": kind, "schema_version": SCHEMA, **values})
