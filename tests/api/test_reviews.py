"""Reviews over HTTP: texts listed and shown, approved once by somebody else than their author."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.api.conftest import Site, opened, workspace

REVIEW = """\
    kind: review
    id: review
    title: review
    owner: tests
    stages: [{id: legal}]
    policies: [{id: all_texts, stages: [legal]}]
    """


@pytest.fixture
async def reviewing(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    files = {**workspace(tmp_path / "letters"), "review.yaml": dedent(REVIEW)}
    async with opened(sqlite_url, tmp_path, files) as site:
        yield site


async def decide(site: Site, review: str, **body: Any) -> Any:
    return await site.ask("POST", f"/v1/reviews/{review}/decide", json=body)


async def test_a_text_is_listed_shown_and_approved(reviewing: Site) -> None:
    listed = (await reviewing.ask("GET", "/v1/reviews")).json()["reviews"]
    review = listed[0]["id"]
    assert {each["state"] for each in listed} == {"pending"} and listed[0]["missing"] == ["legal"]

    answer = (await decide(reviewing, review, decision="approve", why="read", by="lea")).json()

    assert (answer["id"], answer["state"], answer["missing"], answer["woken"]) == (review, "approved", [], 0)
    shown = (await reviewing.ask("GET", f"/v1/reviews/{review[:10]}")).json()
    assert [(each["by"], each["why"]) for each in shown["decisions"]] == [("operator:lea", "read")]
    again = await decide(reviewing, review, decision="approve")
    assert (again.status_code, again.json()["code"]) == (409, "review_nothing_to_approve")
    rest = (await reviewing.ask("GET", "/v1/reviews", params={"state": "pending"})).json()["reviews"]
    assert review not in {each["id"] for each in rest}


async def test_what_cannot_be_said_is_refused(reviewing: Site) -> None:
    review = (await reviewing.ask("GET", "/v1/reviews")).json()["reviews"][0]["id"]

    for body, status in (
        ({"decision": "withdraw"}, 409),
        ({"decision": "approve", "stage": "brand"}, 409),
        ({"decision": "perhaps"}, 422),
    ):
        assert (await decide(reviewing, review, **body)).status_code == status
    assert (await decide(reviewing, "0" * 64, decision="approve")).status_code == 404
    assert (await reviewing.client.get("/v1/reviews")).status_code == 401
