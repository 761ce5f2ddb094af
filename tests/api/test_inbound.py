"""`POST /v1/inbound`: what people write, from whoever reads it outside of Wayline."""

from __future__ import annotations

from engine.store.tables import ConsentRow, EventRow
from tests.api.conftest import Site

SAID = {"channel": "letter", "address": "d-1", "id": "in-1", "text": "hello"}


async def test_messages_are_taken_once_and_told_in_their_order(site: Site) -> None:
    other = {**SAID, "id": "in-2", "properties": {"mood": "good"}}
    answer = await site.ask("POST", "/v1/inbound", json={"messages": [SAID, SAID, other]})
    assert answer.json() == {"heard": ["taken", "repeated", "taken"]}
    again = await site.ask("POST", "/v1/inbound", json={"messages": [SAID]})
    assert again.json() == {"heard": ["repeated"]}
    await site.carried()
    assert [row.properties for row in site.all(EventRow)] == [
        {"channel": "letter", "text": "hello"},
        {"channel": "letter", "text": "hello", "mood": "good"},
    ]
    assert {row.source for row in site.all(EventRow)} == {"api:operator"}
    assert not site.count(ConsentRow), "no list of words, no withdrawal"


async def test_a_channel_that_is_none_is_a_problem(sqlite_site: Site) -> None:
    answer = await sqlite_site.ask("POST", "/v1/inbound", json={"messages": [{**SAID, "channel": "sms"}]})
    assert answer.status_code == 422
    assert answer.json()["code"] == "unknown_channel"
    assert "there are: letter" in answer.json()["detail"]


async def test_who_has_no_token_is_not_let_in(sqlite_site: Site) -> None:
    answer = await sqlite_site.client.post("/v1/inbound", json={"messages": [SAID]})
    assert answer.status_code == 401
