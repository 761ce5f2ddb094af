"""Histories recorded from real runs replay under today's workflows; offline, and never deleted."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.common import RawValue
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.workflow import NondeterminismError

from tests.workflows.conftest import SANDBOX
from workflows.breaker import Breaker
from workflows.journey import Journey

HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))
KINDS = {
    "breaker_idle_ended",
    "breaker_tripped_open",
    "journey_cancelled",
    "journey_continued_as_new",
    "journey_goal_ended",
    "journey_sleeping_open",
    "journey_trouble_ended",
}


@workflow.defn(dynamic=True)
class ChangedJourney:
    """A journey workflow as a careless edit might leave it: it naps before it looks."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        await workflow.sleep(timedelta(seconds=1))


def history(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text(encoding="utf-8"))


def test_every_kind_of_history_is_kept() -> None:
    assert {file.name.partition(".")[0] for file in HISTORIES} >= KINDS


def test_histories_name_no_machine() -> None:
    assert not [file.name for file in HISTORIES if socket.gethostname() in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("runner", [SANDBOX, UnsandboxedWorkflowRunner()], ids=["sandbox", "production"])
@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_recorded_runs_replay(file: Path, runner: WorkflowRunner) -> None:
    replayer = Replayer(workflows=[Journey, Breaker], workflow_runner=runner)
    await replayer.replay_workflow(history(file))


async def test_a_changed_workflow_does_not_replay() -> None:
    replayer = Replayer(workflows=[ChangedJourney], workflow_runner=UnsandboxedWorkflowRunner())
    sleeping = next(file for file in HISTORIES if file.name.startswith("journey_sleeping_open"))
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(history(sleeping))
