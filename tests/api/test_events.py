"""Intake over HTTP: Segment's shape, clear answers to bad input, nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.store.tables import ContactRow, DeadLetterRow, EventRow
from tests.api.conftest import NOW, Site, as_sender

CONSENT = {"purpose": "marketing", "channel": "letter"}


def order(number: int, user: str = "u1") -> dict[str, Any]:
    return {
        "type": "track",
        "event": "order_paid",
        "userId": user,
        "messageId": f"m{number}",
        "properties": {"order_id": f"o{number}", "amount": 5},
    }


async def test_a_batch_is_answered_with_three_counts(site: Site) -> None:
    batch = {"batch": [order(1), order(1), order(2), {"type": "dance"}]}
    response = await site.post("/v1/batch", batch)
    assert response.status_code == 200
    counts = {name: response.json()[name] for name in ("success", "accepted", "duplicates", "dead")}
    assert counts == {"success": True, "accepted": 2, "duplicates": 1, "dead": 1}


async def test_the_same_batch_from_several_connections_at_once_counts_once(site: Site) -> None:
    batch = {"batch": [order(number, f"u{number % 3}") for number in range(20)]}
    answers = await asyncio.gather(*(site.post("/v1/batch", batch) for _ in range(4)))
    assert sum(answer.json()["accepted"] for answer in answers) == 20
    assert sum(answer.json()["duplicates"] for answer in answers) == 60
    assert (site.count(EventRow), site.count(ContactRow)) == (20, 3)


async def test_a_welcome_leaves_right_after_the_commit(site: Site) -> None:
    batch = [
        {"type": "identify", "userId": "u1", "traits": {"nickname": "سارة 😀", "app": "device-1"}},
        {"type": "track", "event": "consent_granted", "userId": "u1", "properties": CONSENT},
        {"type": "track", "event": "contact_added", "userId": "u1"},
    ]
    response = await site.post("/v1/batch", {"batch": batch})
    assert response.json()["accepted"] == 3
    await site.carried()
    (letter,) = site.sent()
    assert letter["body"] == "سارة 😀好"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/track", {k: v for k, v in order(1).items() if k != "type"}),
        ("/v1/identify", {"userId": "u1", "traits": {"nickname": "n"}}),
        ("/v1/page", {"userId": "u1", "name": "Home"}),
    ],
)
async def test_single_events_have_addresses_of_their_own(sqlite_site: Site, path: str, body: Any) -> None:
    response = await sqlite_site.post(path, body)
    assert response.json()["accepted"] == 1


@pytest.mark.parametrize(("path", "code"), [("/v1/screen", "EV005"), ("/v1/group", "EV005")])
async def test_what_the_workspace_does_not_take_is_kept_as_a_dead_letter(
    sqlite_site: Site, path: str, code: str
) -> None:
    response = await sqlite_site.post(path, {"userId": "u1", "groupId": "g", "previousId": "p"})
    assert (response.status_code, response.json()["dead"]) == (200, 1)
    assert [letter.code for letter in sqlite_site.all(DeadLetterRow)] == [code]


async def test_a_sender_hears_at_once_why_an_event_could_not_be_used(sqlite_site: Site) -> None:
    spoilt = {**order(2), "properties": {"order_id": "o2", "amount": "29.33 (zoe@example.com)"}}
    batch = [order(1), spoilt, {**order(3), "timestamp": "yesterday"}, {"type": "track", "event": "page"}]
    answer = (await sqlite_site.post("/v1/batch", {"batch": batch})).json()
    assert (answer["accepted"], answer["dead"]) == (1, 3)
    assert [(each["position"], each["code"]) for each in answer["reasons"]] == [
        (1, "EV006"),
        (2, "EV007"),
        (3, "EV004"),
    ]
    assert "amount" in answer["reasons"][0]["message"]
    assert "zoe@example.com" not in str(answer)


async def test_gzip_bodies_are_unpacked(sqlite_site: Site) -> None:
    packed = gzip.compress(json.dumps({"batch": [order(1)]}).encode())
    response = await sqlite_site.post("/v1/batch", packed, headers={"Content-Encoding": "gzip"})
    assert response.json()["accepted"] == 1


async def test_the_batchs_context_holds_for_each_event(sqlite_site: Site) -> None:
    body = {"batch": [order(1)], "context": {"timezone": "Asia/Tokyo", "locale": "en-GB"}}
    await sqlite_site.post("/v1/batch", body)
    (contact,) = sqlite_site.all(ContactRow)
    assert (contact.timezone, contact.locale) == ("Asia/Tokyo", "en")


async def test_notes_say_what_was_left_aside(sqlite_site: Site) -> None:
    body = {"batch": [{**order(1), "traits": {"email": "nobody"}, "context": {"timezone": "Moon"}}]}
    notes = (await sqlite_site.post("/v1/batch", body)).json()["notes"]
    assert [note["note"].split(" ")[0] for note in notes] == ["email", "context.timezone"]


TOO_LARGE = b"[" + b"1," * 60_000 + b"1]"


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b'{"batch": [', {}, 400, "json_broken"),
        (b"", {}, 400, "json_broken"),
        (b"\xff\xfe", {}, 400, "json_broken"),
        (b'{"batch": [NaN]}', {}, 400, "json_broken"),
        (b'{"batch": ["\\ud800", NaN]}', {}, 400, "json_broken"),
        (b"[" * 100_000, {}, 400, "json_broken"),
        (b'{"events": []}', {}, 400, "batch_wanted"),
        (b'"batch"', {}, 400, "batch_wanted"),
        (json.dumps({"batch": [1] * 51}).encode(), {}, 413, "batch_too_large"),
        (TOO_LARGE, {}, 413, "body_too_large"),
        (b" " * 10_000_000, {}, 413, "body_too_large"),
        (gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}, 413, "body_too_large"),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400, "gzip_broken"),
        (gzip.compress(b"[]", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400, "gzip_broken"),
        (b"[]", {"Content-Encoding": "br"}, 415, "encoding_unknown"),
    ],
)
async def test_a_body_that_cannot_be_used_gets_a_problem_document(
    sqlite_site: Site, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    response = await sqlite_site.post("/v1/batch", content, headers=headers)
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["status"], response.json()["code"]) == (
        status,
        status,
        code,
    )
    assert sqlite_site.count(EventRow) == sqlite_site.count(DeadLetterRow) == 0


async def test_several_gzip_members_are_one_body(sqlite_site: Site) -> None:
    text = json.dumps({"batch": [order(1)]}).encode()
    packed = gzip.compress(text[:20]) + gzip.compress(text[20:])
    response = await sqlite_site.post("/v1/batch", packed, headers={"Content-Encoding": "gzip"})
    assert response.json()["accepted"] == 1


async def test_half_a_surrogate_pair_spoils_one_event_and_not_its_batch(site: Site) -> None:
    text = json.dumps({"batch": [order(1), {**order(2), "anonymousId": "\ud83d"}, order(3)]})
    response = await site.post("/v1/batch", text.encode())
    assert (response.status_code, response.json()["accepted"], response.json()["dead"]) == (200, 2, 1)


async def test_the_character_nul_spoils_one_event_and_not_its_batch(site: Site) -> None:
    response = await site.post("/v1/batch", {"batch": [order(1), {**order(2), "anonymousId": "\x00"}]})
    assert (response.status_code, response.json()["accepted"], response.json()["dead"]) == (200, 1, 1)


@pytest.mark.parametrize("headers", [{"Authorization": ""}, as_sender("wrong"), {"Authorization": "Basic %"}])
async def test_without_the_write_key_nothing_is_taken_in(sqlite_site: Site, headers: dict[str, str]) -> None:
    response = await sqlite_site.post("/v1/batch", {"batch": [order(1)]}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic")
    assert response.json()["code"] == "write_key_wanted"
    assert sqlite_site.count(EventRow) == 0


async def test_before_anything_is_published_senders_are_asked_to_come_again(empty_site: Site) -> None:
    response = await empty_site.post("/v1/batch", {"batch": [order(1)]})
    assert (response.status_code, response.headers["retry-after"]) == (503, "30")
    assert response.json()["code"] == "not_set_up"
    assert empty_site.count(DeadLetterRow) == 0


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ALMOST = st.fixed_dictionaries(
    {"type": st.just("track"), "event": st.sampled_from(["order_paid", "page"]) | ANY},
    optional={
        "userId": ANY,
        "messageId": ANY,
        "properties": st.fixed_dictionaries({"order_id": ANY, "amount": ANY}) | ANY,
        "traits": st.dictionaries(st.sampled_from(["nickname", "email", "app", "tags", "timezone"]), ANY)
        | ANY,
        "timestamp": st.just(NOW.isoformat()) | ANY,
        "context": st.dictionaries(st.sampled_from(["timezone", "locale", "traits", "externalIds"]), ANY)
        | ANY,
    },
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batch=st.lists(ANY | ALMOST, max_size=6))
async def test_any_batch_is_answered_and_its_counts_add_up(sqlite_site: Site, batch: list[Any]) -> None:
    response = await sqlite_site.post("/v1/batch", {"batch": batch})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["accepted"] + answer["duplicates"] + answer["dead"] == len(batch)
