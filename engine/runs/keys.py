"""Stable ids of runs, intents and tasks, made from what they are about: a repeated step finds the same."""

from __future__ import annotations

from hashlib import sha256

from engine.journeys.program import StepId
from engine.journeys.run import RunState, WaitKind


def run_id_of(workspace: str, journey: str, contact_id: str, entry_key: str) -> str:
    """The id of the run of this contact through this journey under this entry key."""
    return _hash(workspace, journey, contact_id, entry_key)


def intent_key_of(run_id: str, step: StepId, visit: int) -> str:
    """The key of what a run wishes at a step, message or call; who does it sees it as its idempotency key.

    A step is one or the other, so the keys of both never meet.
    """
    return _hash(run_id, step, str(visit))


def task_id_of(run_id: str, step: StepId, visit: int) -> str:
    """The id of the task that a run gives to people at a step."""
    return _hash("task", run_id, step, str(visit))


def asked_by(run: RunState) -> str | None:
    """The id of the task whose answer the run waits for; None when it waits for something else."""
    waiting = run.waiting
    if waiting is None or waiting.kind is not WaitKind.TASK:
        return None
    return task_id_of(run.run_id, waiting.step, run.visits.get(waiting.step, 1))


def wished_by(run: RunState) -> str | None:
    """The key of the message whose outcome the run waits for; None when it waits for something else."""
    waiting = run.waiting
    if waiting is None or waiting.kind is not WaitKind.OUTCOME:
        return None
    return intent_key_of(run.run_id, waiting.step, run.visits.get(waiting.step, 1))


def called_by(run: RunState) -> str | None:
    """The key of the call whose end the run waits for; None when it waits for something else."""
    waiting = run.waiting
    if waiting is None or waiting.kind is not WaitKind.CALL:
        return None
    return intent_key_of(run.run_id, waiting.step, run.visits.get(waiting.step, 1))


def _hash(*parts: str) -> str:
    return sha256("|".join(parts).encode()).hexdigest()[:32]
