"""Histories recorded from real runs replay under today's workflows; offline, and never deleted."""

from __future__ import annotations

import inspect
import json
import socket
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.common import RawValue
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.workflow import NondeterminismError

from tests.workflows.conftest import SANDBOX
from tests.workflows.record_histories import record
from workflows import breaker, journey
from workflows.breaker import Breaker
from workflows.journey import Journey

HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))
NEVER_REPLAYED = {"check_force", "state", "_must_be_for_us"}
"""A validator and a query run beside the history; what refuses an input leaves none."""


@workflow.defn(dynamic=True)
class ChangedJourney:
    """A journey workflow as a careless edit might leave it: it naps before it looks."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        await workflow.sleep(timedelta(seconds=1))


def history(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text(encoding="utf-8"))


def replayer(runner: WorkflowRunner) -> Replayer:
    return Replayer(workflows=[Journey, Breaker], workflow_runner=runner)


def test_histories_name_no_machine() -> None:
    assert not [file.name for file in HISTORIES if socket.gethostname() in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("runner", [SANDBOX, UnsandboxedWorkflowRunner()], ids=["sandbox", "production"])
@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_recorded_runs_replay(file: Path, runner: WorkflowRunner) -> None:
    await replayer(runner).replay_workflow(history(file))


async def test_recorded_runs_reach_every_line_of_the_workflows() -> None:
    """A line without a history may be changed later and nobody would notice: record one that needs it."""
    modules = {str(Path(module.__file__ or "")): module for module in (journey, breaker)}
    reached: set[tuple[str, int]] = set()

    def follow(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in modules:
            return None
        reached.add((frame.f_code.co_filename, frame.f_lineno))
        return follow

    before = threading.gettrace()
    threading.settrace(follow)  # workflows run in threads of their own
    try:
        for file in HISTORIES:
            await replayer(UnsandboxedWorkflowRunner()).replay_workflow(history(file))
    finally:
        threading.settrace(before)
    missed = {
        f"{Path(name).name}:{line}"
        for name in modules
        for line in lines_of(compile(inspect.getsource(modules[name]), name, "exec"))
        if (name, line) not in reached
    }
    assert missed == set()


def lines_of(code: CodeType) -> set[int]:
    """The lines of every function below this code, without those that define one."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    found = {line for each in inner for line in lines_of(each) if each.co_name not in NEVER_REPLAYED}
    if code.co_flags & inspect.CO_OPTIMIZED and code.co_name not in NEVER_REPLAYED:
        found |= {line for *_, line in code.co_lines() if line not in (None, code.co_firstlineno)}
    return found


@pytest.mark.temporal
async def test_the_workflows_still_do_what_was_recorded_of_them_last() -> None:
    """Replay compares kinds of commands only. Here all is recorded anew, and lengths and labels count."""
    for name, text in (await record()).items():
        latest = max((file for file in HISTORIES if file.name.startswith(f"{name}.")), key=version_of)
        assert commands(WorkflowHistory.from_json(name, text)) == commands(history(latest)), (
            f"{name} has changed since {latest.name} was recorded. If running workflows may follow: "
            "record again as the next version; if not: a new form or a patch first (engine/adr, 17)"
        )


def version_of(file: Path) -> int:
    return int(file.name.split(".")[1].removeprefix("v"))


def commands(of: WorkflowHistory) -> list[tuple[object, ...]]:
    """What the workflow asked of the service and was told, without ids, moments and how tasks were cut."""
    found: list[tuple[object, ...]] = []
    for event in of.events:
        kind = EventType.Name(event.event_type)
        match kind.removeprefix("EVENT_TYPE_"):
            case "WORKFLOW_TASK_SCHEDULED" | "WORKFLOW_TASK_STARTED" | "WORKFLOW_TASK_COMPLETED":
                continue
            case "WORKFLOW_TASK_TIMED_OUT" | "WORKFLOW_TASK_FAILED":
                continue
            case "TIMER_STARTED":
                length = event.timer_started_event_attributes.start_to_fire_timeout.seconds
                # To the minute: how long a start took is taken off the wait that it was given.
                about = length if length < 60 else round(length / 60) * 60
                found.append((kind, about, said(event.user_metadata.summary)))
            case "MARKER_RECORDED":
                marker = event.marker_recorded_event_attributes
                done = json.loads(marker.details["data"].payloads[0].data)
                found.append((kind, done["activity_type"], said(event.user_metadata.summary)))
            case "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES":
                given = event.upsert_workflow_search_attributes_event_attributes.search_attributes
                shown = {name: said(value) for name, value in given.indexed_fields.items()}
                found.append((kind, tuple(sorted(shown.items()))))
            case "WORKFLOW_EXECUTION_CONTINUED_AS_NEW":
                renewed = event.workflow_execution_continued_as_new_event_attributes
                found.append((kind, renewed.task_queue.name, said(renewed.input.payloads[0])))
            case _:
                found.append((kind,))
    return found


def said(payload: Payload) -> str:
    return payload.data.decode()


async def test_a_changed_workflow_does_not_replay() -> None:
    changed = Replayer(workflows=[ChangedJourney], workflow_runner=UnsandboxedWorkflowRunner())
    sleeping = next(file for file in HISTORIES if file.name.startswith("journey_sleeping_open"))
    with pytest.raises(NondeterminismError):
        await changed.replay_workflow(history(sleeping))
