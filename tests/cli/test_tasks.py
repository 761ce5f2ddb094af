"""`wayline task`: list, show, decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import update

from engine.settings import Settings
from engine.store.database import open_store
from engine.store.tables import TaskRow
from tests.cli.conftest import Command

CARE = """\
kind: journey
id: care
title: 回电
owner: tests
purpose: service
enter: {event: feedback_received, reentry: always}
steps:
  - ask: call
    queue: callers
    question: 请回电了解原因
    choices: [{id: solved, title: 已解决}, {id: open, title: 未解决}]
    deadline: 4h
"""


@pytest.fixture
def asked(published: Command, tmp_path: Path) -> Command:
    """With one task that waits."""
    folder = tmp_path / "rulesets"
    (folder / "care.yaml").write_text(CARE, encoding="utf-8")
    workspace = folder / "wayline.yaml"
    text = workspace.read_text(encoding="utf-8")
    queue = "callers: {title: 回电组}"
    text = (
        text.replace("queues:\n", f"queues:\n  {queue}\n")
        if "queues:\n" in text
        else f"{text}queues: {{{queue}}}\n"
    )
    workspace.write_text(text, encoding="utf-8")
    assert published("publish", folder).status == 0
    events = tmp_path / "events.jsonl"
    event = {
        "type": "track",
        "event": "feedback_received",
        "userId": "42",
        "messageId": "m1",
        "properties": {"sentiment": "neutral", "topic": "13800001234"},
    }
    events.write_text(json.dumps(event) + "\n", encoding="utf-8")
    assert published("ingest", events).status == 0
    return published


def only_task(wayline: Command) -> str:
    (task,) = wayline("task", "list", "--queue", "callers", "--format", "json").json["tasks"]
    return str(task["id"])


def test_a_task_is_listed_shown_and_decided(asked: Command) -> None:
    task = only_task(asked)
    listed = asked("task", "list", "--contact", "user:42")
    assert "回电组" in listed.out and "请回电了解原因" in listed.out
    shown = asked("task", "show", task)
    assert "已解决" in shown.out and "entry.entered" in shown.out
    assert "138****1234" in shown.out and "13800001234" not in shown.out
    decided = asked("task", "decide", task, "solved", "--note", "好了", "--key", "k")
    assert (decided.status, decided.out) == (0, "decided: solved (已解决)\n")
    assert (
        asked("task", "decide", task, "solved", "--key", "k").out == "decided, as before: solved (已解决)\n"
    )
    assert asked("task", "list", "--queue", "callers").out == "no open tasks\n"
    mistyped = asked("task", "list", "--queue", "caller")
    assert mistyped.status == 2 and "no queue 'caller': did you mean 'callers'?" in mistyped.err
    done = asked("task", "list", "--state", "decided", "--journey", "care", "--format", "json").json
    assert [(each["choice"], each["state"]) for each in done["tasks"]] == [("solved", "decided")]
    assert asked("task", "show", task, "--format", "json").json["note"] == "好了"


def test_what_cannot_be_decided_says_why(asked: Command) -> None:
    task = only_task(asked)
    unknown = asked("task", "decide", task, "solvd")
    assert unknown.status == 2 and "did you mean 'solved'" in unknown.err
    assert asked("task", "decide", "nothing", "solved").status == 2
    assert asked("task", "show", "nothing").status == 2
    assert asked("task", "decide", task, "open").status == 0
    second = asked("task", "decide", task, "solved")
    assert second.status == 2 and "decided this task before: 'open' (未解决)" in second.err


def test_what_is_known_of_a_contact_and_a_run_tells_of_tasks(asked: Command) -> None:
    task = only_task(asked)
    contact = asked("contact", "show", "user:42")
    assert "tasks" in contact.out and task in contact.out
    (run,) = asked("run", "list", "--journey", "care", "--format", "json").json
    assert task in asked("run", "show", run["id"]).out
    assert "allow: task.opened" in asked("explain", "--contact", "user:42").out


def test_a_run_that_is_cancelled_ends_once_and_nobody_can_answer_its_task_any_more(asked: Command) -> None:
    task = only_task(asked)
    (run,) = asked("run", "list", "--journey", "care", "--format", "json").json
    cancelled = asked("run", "cancel", run["id"], "--why", "asked by phone, +8613800001234")
    assert (cancelled.status, cancelled.out) == (0, f"run {run['id']} is cancelled\n")
    again = asked("run", "cancel", run["id"], "--format", "json")
    assert (again.status, again.json) == (0, {"run": run["id"], "changed": False})
    shown = asked("run", "show", run["id"], "--format", "json").json
    assert (shown["status"], shown["outcome"]) == ("ended", "cancelled")
    (decision,) = (each for each in shown["decisions"] if each["reason"] == "run.cancelled")
    assert decision["evidence"]["why"] == "asked by phone, +86****1234" and decision["evidence"]["by"]
    assert asked("task", "decide", task, "solved").status == 2
    unknown = asked("run", "cancel", "nothing")
    assert unknown.status == 2 and "no run nothing" in unknown.err


def test_a_timeline_tells_of_events_decisions_and_tasks_in_one_list(asked: Command) -> None:
    asked("task", "decide", only_task(asked), "solved")
    told = asked("contact", "timeline", "user:42", "--format", "json").json
    happened = [each for each in told["timeline"] if each["what"] != "skip: entry.no_match"]
    assert [(each["kind"], each["what"]) for each in happened] == [
        ("task", "allow: task.decided"),
        ("task", "allow: task.opened"),
        ("entry", "allow: entry.entered"),
        ("event", "feedback_received"),
    ]
    assert told["timeline"][0]["detail"].startswith("call: solved (已解决) by ")
    assert told["timeline"][-1]["more"]["topic"] == "138****1234"
    first = asked("contact", "timeline", "user:42", "--limit", "3", "--format", "json").json
    rest = asked("contact", "timeline", "user:42", "--before", first["next"], "--format", "json").json
    assert first["timeline"] + rest["timeline"] == told["timeline"]
    assert rest["next"] is None
    assert "call on callers" in asked("contact", "timeline", "user:42").out
    assert asked("contact", "timeline", "user:42", "--before", "yesterday").status == 2


def test_what_is_to_be_brought_by_hand_is_shown_as_it_is_to_be_copied(asked: Command) -> None:
    task = only_task(asked)
    message = {"channel": "notes", "platform": "app", "to": "zoe_88", "link": "", "text": "您好\n\n到货啦"}
    store = open_store(Settings().database)
    with store.begin() as session:
        session.execute(update(TaskRow).values(message=message))
    store.close()
    shown = asked("task", "show", task).out
    assert shown.endswith("\ntext to copy\n您好\n\n到货啦\n")
    assert "zoe_88" in shown and "platform" not in shown
    assert "zoe_88" not in asked("task", "list").out
