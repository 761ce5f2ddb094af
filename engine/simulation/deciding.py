"""Decisions as a simulation writes them down: of runs, of tasks, and of those who were not let in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.journeys.matching import Refusal
from engine.journeys.run import RunState
from engine.journeys.tasking import TaskNote
from engine.simulation.records import Decided


class Decisions:
    """Writes to one list, in the order in which things happen."""

    def __init__(self, written: list[Decided]) -> None:
        self._written = written

    def of_run(
        self,
        at: datetime,
        kind: str,
        state: RunState,
        verdict: str,
        reason: str,
        evidence: dict[str, Any] | None = None,
        step: str | None = None,
        *,
        would_pass_if: str = "",
    ) -> None:
        """What was decided of a run."""
        self._written.append(
            Decided(
                at,
                kind,
                state.contact_id,
                state.journey,
                kind,
                verdict,
                reason,
                step,
                evidence=evidence or {},
                would_pass_if=would_pass_if,
            )
        )

    def of_task(self, now: datetime, run: RunState, note: TaskNote) -> None:
        """What has become of a task that a run gave to people."""
        evidence = dict(note.evidence)
        self.of_run(
            now, "task", run, note.verdict, note.reason, evidence, note.step, would_pass_if=note.would_pass_if
        )

    def refused(self, refusal: Refusal, contact_id: str, now: datetime, because: Mapping[str, Any]) -> None:
        """That somebody was not let in; `because` is what is to be known beside the refusal."""
        self._written.append(
            Decided(
                at=now,
                kind="entry",
                contact_id=contact_id,
                journey=refusal.journey,
                stage="entry",
                verdict="skip",
                reason=refusal.reason,
                evidence={**refusal.evidence, **because},
                would_pass_if=refusal.would_pass_if,
            )
        )
