"""Tasks over HTTP: listed, shown, decided once, and refused with who was first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from prometheus_client import generate_latest

from engine.clock import FixedClock
from engine.store.tables import OutboxRow, TaskRow
from tests.api.conftest import TOKEN, Site, opened, workspace

CARE = """\
    kind: journey
    id: care
    title: care
    owner: tests
    purpose: service
    priority: 80
    enter: {event: order_paid, reentry: always}
    steps:
      - ask: call
        queue: support
        question: Call them?
        choices: [{id: solved, title: Solved}, {id: open, title: Not yet}]
        deadline: 4h
    """


def files(folder: Path) -> Mapping[str, str]:
    given = workspace(folder)
    given["wayline.yaml"] += "queues: {support: {title: 客服}}\n"
    return {**given, "care.yaml": dedent(CARE)}


@pytest.fixture
async def caring(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(sqlite_url, tmp_path, files(tmp_path / "letters")) as site:
        yield site


async def give_task(site: Site, user: str = "u1") -> str:
    """The id of the task that this contact's order brought about."""
    order = {"order_id": f"o-{user}", "amount": 5, "email": "ann@example.com"}
    event = {"event": "order_paid", "userId": user, "properties": order, "messageId": f"m-{user}"}
    assert (await site.post("/v1/track", event)).status_code == 200
    await site.carried()
    tasks = (await site.ask("GET", "/v1/tasks", params={"contact": f"user:{user}"})).json()["tasks"]
    return str(tasks[0]["id"])


async def decide(site: Site, task: str, key: str | None = None, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Idempotency-Key": key} if key else {})
    return await site.client.post(f"/v1/tasks/{task}/decide", json=body, headers=headers)


async def test_a_task_is_listed_shown_and_decided(caring: Site) -> None:
    task = await give_task(caring)
    (listed,) = (await caring.ask("GET", "/v1/tasks", params={"queue": "support"})).json()["tasks"]
    assert (listed["queue_title"], listed["priority"], listed["state"]) == ("客服", 80, "open")
    shown = (await caring.ask("GET", f"/v1/tasks/{task}")).json()
    assert shown["choices"][0] == {"id": "solved", "title": "Solved"}
    assert shown["entered_by"]["properties"]["email"] == "a***@example.com"

    answer = (await decide(caring, task, choice="solved", note="called", by="ana")).json()
    assert (answer["choice"], answer["decided_by"], answer["repeated"]) == ("solved", "operator:ana", False)
    assert [row.kind for row in caring.all(OutboxRow)][-1] == "run.signal"
    assert (await caring.ask("GET", "/v1/tasks")).json() == {"tasks": [], "next": None}
    (done,) = (await caring.ask("GET", "/v1/tasks", params={"state": "decided"})).json()["tasks"]
    assert (done["choice"], done["decided_by"]) == ("solved", "operator:ana")


async def test_the_second_decision_is_refused_with_who_was_first(caring: Site) -> None:
    task = await give_task(caring)
    await decide(caring, task, choice="solved", by="ana")
    refused = await decide(caring, task, choice="open", by="ben")
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "task_decided")
    assert (problem["task"]["decided_by"], problem["task"]["choice"]) == ("operator:ana", "solved")


async def test_the_same_key_repeats_and_another_choice_under_it_is_refused(caring: Site) -> None:
    task = await give_task(caring)
    first = (await decide(caring, task, key="k1", choice="solved")).json()
    again = (await decide(caring, task, key="k1", choice="solved")).json()
    assert again == {**first, "repeated": True}
    other = await decide(caring, task, key="k1", choice="open")
    assert (other.status_code, other.json()["code"]) == (409, "task_key_taken")


async def test_what_comes_too_late_or_does_not_exist_is_refused(caring: Site) -> None:
    task = await give_task(caring)
    unknown = await decide(caring, task, choice="solvd")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "choice_unknown")
    assert "did you mean 'solved'" in unknown.json()["detail"]
    assert (await decide(caring, "nothing", choice="solved")).status_code == 404
    assert (await caring.ask("GET", "/v1/tasks/nothing")).status_code == 404
    assert (await caring.ask("GET", "/v1/tasks", params={"after": "nothing"})).status_code == 404
    assert (await caring.ask("GET", "/v1/tasks", params={"state": "done"})).status_code == 422
    clock = caring.services.clock
    assert isinstance(clock, FixedClock)
    clock.advance(timedelta(hours=4))
    late = await decide(caring, task, choice="solved")
    assert (late.status_code, late.json()["code"]) == (409, "task_expired")


async def test_a_timeline_goes_page_by_page_without_losing_what_has_one_moment(caring: Site) -> None:
    task = await give_task(caring)
    await decide(caring, task, choice="open")
    path, pages, before = "/v1/contacts/user:u1/timeline", [], None
    while True:
        params = {"limit": 1} | ({"before": before} if before else {})
        page = (await caring.ask("GET", path, params=params)).json()
        pages += page["timeline"]
        before = page["next"]
        if before is None:
            break
    whole = (await caring.ask("GET", path)).json()["timeline"]
    assert pages == whole
    assert [each["what"] for each in whole] == [
        "allow: task.decided",
        "allow: task.opened",
        "allow: entry.entered",
        "order_paid",
    ]
    assert (await caring.ask("GET", path, params={"before": "x"})).status_code == 409
    assert (await caring.ask("GET", "/v1/contacts/user:nobody/timeline")).status_code == 404


async def test_tasks_want_an_operators_token(caring: Site) -> None:
    task = await give_task(caring)
    for method, path in (
        ("GET", "/v1/tasks"),
        ("GET", f"/v1/tasks/{task}"),
        ("POST", f"/v1/tasks/{task}/decide"),
    ):
        assert (await caring.client.request(method, path)).status_code == 401
    assert {row.state for row in caring.all(TaskRow)} == {"open"}


async def test_a_list_goes_on_where_it_stopped(caring: Site) -> None:
    given = [await give_task(caring, f"u{number}") for number in range(3)]
    first = (await caring.ask("GET", "/v1/tasks", params={"limit": 2})).json()
    rest = (await caring.ask("GET", "/v1/tasks", params={"limit": 2, "after": first["next"]})).json()
    assert {each["id"] for each in (*first["tasks"], *rest["tasks"])} == set(given)
    assert rest["next"] is None


async def test_metrics_tell_how_many_tasks_wait_and_for_how_long(caring: Site) -> None:
    await give_task(caring)
    clock = caring.services.clock
    assert isinstance(clock, FixedClock)
    clock.advance(timedelta(minutes=10))
    await caring.services.tasks.measure()
    text = generate_latest().decode()
    assert 'wayline_tasks_open{queue="support"} 1.0' in text
    assert 'wayline_tasks_oldest_seconds{queue="support"} 600.0' in text
    (task,) = caring.all(TaskRow)
    await decide(caring, task.id, choice="open")
    clock.advance(timedelta(seconds=15))
    await caring.services.tasks.measure()
    assert 'wayline_tasks_open{queue="support"} 0.0' in generate_latest().decode()
