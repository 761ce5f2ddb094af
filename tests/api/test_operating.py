"""What operators look up and change over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.store.tables import BreakerRow, BundleRow, ControlRow, DeadLetterRow, ReceiptRow, RunRow
from tests.api.conftest import TOKEN, Site, workspace

ROOT = Path(__file__).parents[2]
GRANT = {"purpose": "marketing", "channel": "letter"}


async def welcome(site: Site, user: str = "u1") -> dict[str, Any]:
    """Add a contact who may be written to; their record."""
    traits = {"nickname": "n", "email": "nn@example.com", "app": f"device-{user}"}
    await site.post(
        "/v1/batch",
        {
            "batch": [
                {"type": "identify", "userId": user, "traits": traits},
                {"type": "track", "event": "consent_granted", "userId": user, "properties": GRANT},
                {"type": "track", "event": "contact_added", "userId": user},
            ]
        },
    )
    record: dict[str, Any] = (await site.ask("GET", f"/v1/contacts/user:{user}")).json()
    return record


async def test_a_contact_is_shown_with_masked_addresses(site: Site) -> None:
    record = await welcome(site)
    addresses = {item["platform"]: item["address"] for item in record["identities"]}
    assert addresses["email"] == "n***@example.com"
    assert [item["decision"] for item in record["consents"]] == ["granted"]
    assert [run["journey"] for run in record["runs"]] == ["welcome"]
    assert (await site.ask("GET", f"/v1/contacts/{record['id']}")).json()["id"] == record["id"]


async def test_runs_and_decisions_can_be_filtered(site: Site) -> None:
    record = await welcome(site)
    await welcome(site, "u2")
    mine = (await site.ask("GET", "/v1/runs", params={"contact": "user:u1"})).json()["runs"]
    assert [run["contact_id"] for run in mine] == [record["id"]]
    (run,) = mine
    shown = (await site.ask("GET", f"/v1/runs/{run['id']}")).json()
    assert {"waits", "intents", "decisions"} <= shown.keys()
    decisions = (await site.ask("GET", "/v1/decisions", params={"run": run["id"]})).json()["decisions"]
    assert decisions
    assert {decision["contact_id"] for decision in decisions} == {record["id"]}


async def test_a_run_is_cancelled_once_with_who_did_it_and_why(site: Site, tmp_path: Path) -> None:
    files = workspace(tmp_path / "letters")
    files["welcome.yaml"] += "  - {wait: a_day, for: 1d}\n"
    await site.ask("POST", "/v1/bundles", json={"files": files})
    record = await welcome(site)
    await site.carried()
    path = f"/v1/runs/{record['runs'][0]['id']}/cancel"
    first = await site.ask("POST", path, json={"reason": "asked by phone"})
    assert (first.status_code, first.json()["changed"]) == (200, True)
    assert (await site.ask("POST", path, json={})).json()["changed"] is False
    (run,) = (await site.ask("GET", "/v1/runs")).json()["runs"]
    assert (run["status"], run["outcome"]) == ("ended", "cancelled")
    asked = {"run": run["id"], "reason": "run.cancelled"}
    (decision,) = (await site.ask("GET", "/v1/decisions", params=asked)).json()["decisions"]
    assert decision["evidence"] == {"outcome": "cancelled", "by": "operator", "why": "asked by phone"}
    assert (await site.ask("POST", "/v1/runs/none/cancel", json={})).status_code == 404


async def test_decisions_are_records_that_fit_their_published_schema_page_by_page(site: Site) -> None:
    await welcome(site)
    await welcome(site, "u2")
    schema = json.loads((ROOT / "schemas" / "decision.v1.json").read_text("utf-8"))
    told: list[dict[str, Any]] = []
    before: dict[str, str] = {}
    while True:
        page = (await site.ask("GET", "/v1/decisions", params={"limit": "1", **before})).json()
        told += page["decisions"]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert len(told) > 1
    for record in told:
        Draft202012Validator(schema).validate(record)
    entered = {"kind": "entry", "from": "2020-01-01T00:00:00Z", "reason": "entry", "contact": "user:u2"}
    found = (await site.ask("GET", "/v1/decisions", params=entered)).json()["decisions"]
    assert found
    assert all(each in told for each in found)
    nothing = (await site.ask("GET", "/v1/decisions", params={"to": "2020-01-01T00:00:00Z"})).json()
    assert nothing == {"decisions": [], "next": None}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("reason=caps.full", "unknown_family"),
        ("reason=cap.%E2%9C%93", "request_invalid"),
        ("outcome=lost", "request_invalid"),
        ("from=2026-01-01", "request_invalid"),
        ("from=yesterday", "request_invalid"),
        ("before=12", "request_invalid"),
        ("before=999999999999999999.1", "refused"),
        ("kind=weather", "request_invalid"),
    ],
)
async def test_a_question_about_decisions_that_makes_no_sense_is_a_problem_document(
    sqlite_site: Site, wrong: str, code: str
) -> None:
    response = await sqlite_site.ask("GET", f"/v1/decisions?{wrong}")
    assert response.status_code in {409, 422}
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


@pytest.mark.parametrize("path", ["/v1/contacts/nobody", "/v1/runs/none", "/v1/intents/none", "/nowhere"])
async def test_what_is_not_there_is_a_problem_document(sqlite_site: Site, path: str) -> None:
    response = await sqlite_site.ask("GET", path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/intents/%00",
        "/v1/contacts/user:%00",
        "/v1/runs?journey=%00",
        "/v1/decisions?before=99999999999999999999",
        "/v1/deadletters?limit=0",
    ],
)
async def test_a_value_no_database_can_hold_is_the_askers_fault(site: Site, path: str) -> None:
    response = await site.ask("GET", path)
    assert response.status_code in {200, 400, 404, 422}
    if response.status_code != 200:
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_number_too_large_for_the_database_is_the_askers_fault(site: Site) -> None:
    rollback = await site.ask("POST", "/v1/bundles/99999999999999999999/rollback")
    retry = await site.ask("POST", "/v1/deadletters/retry", json={"ids": [2**70]})
    assert (rollback.status_code, retry.status_code) == (422, 422)


async def test_a_wrong_method_or_parameter_is_a_problem_document(sqlite_site: Site) -> None:
    wrong_method = await sqlite_site.ask("DELETE", "/v1/runs")
    assert (wrong_method.status_code, wrong_method.json()["code"]) == (405, "method_not_allowed")
    wrong_value = await sqlite_site.ask("GET", "/v1/runs", params={"limit": "many@example.com"})
    assert (wrong_value.status_code, wrong_value.json()["code"]) == (422, "request_invalid")
    assert "many@example.com" not in wrong_value.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/contacts/user:u1"),
        ("GET", "/v1/deadletters"),
        ("POST", "/v1/bundles"),
        ("POST", "/v1/kill"),
        ("POST", "/v1/breakers/send_failure/trip"),
        ("GET", "/v1/plans"),
        ("POST", "/v1/plans/crisis/on"),
        ("POST", "/v1/plans/crisis/off"),
    ],
)
async def test_only_operators_look_and_change(sqlite_site: Site, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = await sqlite_site.client.request(method, path, headers=headers, json={})
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_bundle_is_published_and_rolled_back(site: Site, tmp_path: Path) -> None:
    files = workspace(tmp_path / "letters")
    files["wayline.yaml"] = files["wayline.yaml"].replace("title: small", "title: larger")
    published = await site.ask("POST", "/v1/bundles", json={"files": files})
    assert (published.status_code, published.json()["number"]) == (201, 2)
    back = await site.ask("POST", "/v1/bundles/1/rollback")
    assert back.json()["number"] == 3
    bundles = (await site.ask("GET", "/v1/bundles")).json()["bundles"]
    assert [bundle["number"] for bundle in bundles] == [3, 2, 1]
    assert bundles[0]["hash"] == bundles[2]["hash"] == back.json()["hash"]


async def test_a_broken_bundle_is_refused_with_every_problem_in_its_place(
    sqlite_site: Site, tmp_path: Path
) -> None:
    files = workspace(tmp_path / "letters") | {"extra.yaml": "kind: journey\nid: x\n  bad\n"}
    refused = await sqlite_site.ask("POST", "/v1/bundles", json={"files": files})
    assert refused.status_code == 422
    assert {problem["file"] for problem in refused.json()["problems"]} == {"extra.yaml"}
    assert len((await sqlite_site.ask("GET", "/v1/bundles")).json()["bundles"]) == 1


async def test_the_kill_switch_holds_messages_and_lets_them_go_again(site: Site) -> None:
    on = await site.ask("POST", "/v1/kill", json={"state": "on", "reason": "drill"})
    assert on.json() == {"state": "on", "changed": True, "woken": 0}
    (row,) = site.all(ControlRow)
    assert (row.kill_reason, row.killed_by) == ("drill", "operator")
    await welcome(site)
    await site.carried()
    assert site.sent() == []
    off = await site.ask("POST", "/v1/kill", json={"state": "off"})
    assert off.json() == {"state": "off", "changed": True, "woken": 1}
    await site.services.delivery.deliver_due(10)
    assert len(site.sent()) == 1


async def test_a_breaker_is_tripped_and_reset_by_hand(site: Site) -> None:
    scope = {"scope": "channel:letter", "reason": "drill"}
    tripped = await site.ask("POST", "/v1/breakers/send_failure/trip", json=scope)
    assert tripped.json()["state"] == "open"
    listed = (await site.ask("GET", "/v1/breakers")).json()["breakers"]
    assert [(breaker["scope"], breaker["state"]) for breaker in listed] == [("channel:letter", "open")]
    reset = await site.ask("POST", "/v1/breakers/send_failure/reset", json=scope)
    assert reset.json()["state"] == "closed"
    assert site.all(BreakerRow)[0].state == "closed"


async def test_a_breaker_that_does_not_exist_is_refused(sqlite_site: Site) -> None:
    refused = await sqlite_site.ask("POST", "/v1/breakers/nothing/trip", json={"scope": "channel:letter"})
    assert (refused.status_code, refused.json()["code"]) == (409, "refused")


async def test_dead_letters_are_listed_masked_and_retried(site: Site, tmp_path: Path) -> None:
    rental = {
        "type": "track",
        "event": "rental_begun",
        "userId": "u1",
        "traits": {"email": "zoe@example.com"},
    }
    await site.post("/v1/batch", {"batch": [rental]})
    listed = await site.ask("GET", "/v1/deadletters")
    (letter,) = listed.json()["dead_letters"]
    assert letter["code"] == "EV005"
    assert "zoe@example.com" not in listed.text
    files = workspace(tmp_path / "letters")
    files["more.yaml"] = (
        "kind: events\nid: more\ntitle: more\nowner: tests\n"
        "events: [{id: rental_begun, title: rental, schema: {type: object}}]\n"
    )
    await site.ask("POST", "/v1/bundles", json={"files": files})
    retried = await site.ask("POST", "/v1/deadletters/retry", json={})
    assert retried.json() == {"resolved": [letter["id"]], "still_dead": []}
    assert site.all(DeadLetterRow)[0].resolved_at is not None


async def test_a_message_is_explained(site: Site) -> None:
    await welcome(site)
    await site.carried()
    (run,) = site.all(RunRow)
    shown = (await site.ask("GET", f"/v1/runs/{run.id}")).json()
    key = shown["intents"][0]["key"]
    explained = await site.ask("GET", f"/v1/intents/{key}")
    assert explained.status_code == 200
    assert "sent" in explained.text


async def test_a_bundle_whose_plugins_are_not_installed_is_refused(sqlite_site: Site, tmp_path: Path) -> None:
    files = workspace(tmp_path)
    files["channels.yaml"] = files["channels.yaml"].replace("plugin: file", "plugin: pigeon")
    refused = await sqlite_site.ask("POST", "/v1/bundles", json={"files": files})
    assert (refused.status_code, refused.json()["problems"][0]["code"]) == (422, "RS060")


async def test_broken_json_gets_the_same_answer_everywhere(sqlite_site: Site) -> None:
    for path in ("/v1/bundles", "/v1/kill", "/v1/deadletters/retry"):
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        refused = await sqlite_site.client.post(path, content=b"{bad", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "json_broken")


async def test_a_breaker_nobody_touched_says_neither_who_nor_when(sqlite_site: Site) -> None:
    (listed,) = (await sqlite_site.ask("GET", "/v1/breakers")).json()["breakers"]
    assert (listed["breaker"], listed["state"], listed["since"], listed["by"]) == (
        "send_failure",
        "closed",
        None,
        None,
    )
    await sqlite_site.ask("POST", "/v1/breakers/send_failure/trip", json={"scope": "channel:letter"})
    await sqlite_site.ask("POST", "/v1/breakers/send_failure/reset", json={"scope": "channel:letter"})
    (listed,) = (await sqlite_site.ask("GET", "/v1/breakers")).json()["breakers"]
    assert (listed["state"], listed["by"]) == ("closed", "operator")


async def test_one_breaker_cannot_be_tripped_as_if_it_stopped_everything(sqlite_site: Site) -> None:
    wanted = {"scope": "channel:letter", "level": "black"}
    assert (await sqlite_site.ask("POST", "/v1/breakers/send_failure/trip", json=wanted)).status_code == 422


async def test_a_bundle_is_compared_with_the_one_in_force_before_it_is_put_there(site: Site) -> None:
    (row,) = site.all(BundleRow)
    waiting = {**row.files, "welcome.yaml": row.files["welcome.yaml"] + "  - {wait: overnight, for: 1d}\n"}
    assert (await site.ask("POST", "/v1/bundles", json={"files": waiting})).status_code == 201
    await welcome(site)
    await site.carried()
    text = waiting["welcome.yaml"].replace("wait: overnight", "wait: first_night")
    files = {**waiting, "welcome.yaml": text}
    refused = await site.ask("POST", "/v1/bundles", json={"files": files, "policies": {"welcome": "migrate"}})
    assert refused.status_code == 422
    assert [each["code"] for each in refused.json()["problems"]] == ["RS128"]
    published = await site.ask("POST", "/v1/bundles", json={"files": files})
    (told,) = (each for each in published.json()["people"] if each["journey"] == "welcome")
    assert (told["policy"], told["people"], told["stranded"]) == ("pin", 1, 0)
    back = "/v1/bundles/2/diff"
    compared = (await site.ask("GET", back, params={"policy": "welcome=migrate"})).json()
    (journey,) = compared["journeys"]
    assert (journey["journey"], journey["change"], compared["stranded"]) == ("welcome", "changed", 0)
    assert {step["step"]: step["change"] for step in journey["steps"]} == {
        "overnight": "added",
        "first_night": "removed",
    }
    assert (await site.ask("GET", back, params={"policy": "welcome"})).status_code == 409
    assert (await site.ask("GET", "/v1/bundles/9/diff")).status_code == 404
    wrong = await site.ask("POST", "/v1/bundles/1/rollback", json={"policies": {"welcome": "keep"}})
    assert wrong.status_code == 409


async def test_receipts_move_a_message_on_and_are_told_with_it(site: Site) -> None:
    record = await welcome(site)
    await site.carried()
    run = (await site.ask("GET", f"/v1/runs/{record['runs'][0]['id']}")).json()
    key = run["intents"][0]["key"]
    told = [{"intent": key, "said": said} for said in ("read", "delivered", "read")]
    answer = await site.ask(
        "POST", "/v1/receipts", json={"receipts": [*told, {"intent": "no", "said": "read"}]}
    )
    assert answer.json() == {"became": ["forward", "noted", "repeated", "unknown"]}
    story = (await site.ask("GET", f"/v1/intents/{key}")).json()
    assert (story["state"], story["outcome"]) == ("read", "sent")
    assert [each["said"] for each in story["receipts"]] == ["read", "delivered"]
    timeline = (await site.ask("GET", f"/v1/contacts/{record['id']}/timeline")).json()["timeline"]
    titles = [each["title"]["zh"] for each in timeline if each["kind"] == "receipt"]
    assert titles == ["回执：已送达", "回执：已阅读"]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"receipts": []}, {"receipts": [{"said": "read"}]}, {"receipts": [{"intent": "k", "said": "seen"}]}],
)
async def test_receipts_that_make_no_sense_are_refused_and_none_is_kept(
    sqlite_site: Site, wrong: dict[str, Any]
) -> None:
    answer = await sqlite_site.ask("POST", "/v1/receipts", json=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert sqlite_site.count(ReceiptRow) == 0
