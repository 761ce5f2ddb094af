"""`GET /v1/plugins`: what is installed and how it has been doing."""

from __future__ import annotations

from pathlib import Path

from tests.api.conftest import Site, opened, workspace
from tests.plugin.strangers import Strangers

DECLARING = """
    from engine.plugin import ContactFact, EventKind, Metric, hookimpl

    @hookimpl
    def register_facts():
        return [ContactFact("age", "text", "age group", ("locale",), lambda known: None)]

    @hookimpl
    def register_event_types():
        return [EventKind("came_in", "a visit", {"properties": {"minutes": {"type": "number"}}})]

    @hookimpl
    def register_metrics():
        return [
            Metric("sorrow", "bad days", events=("came_in",), of="events", counts=lambda told, said: True)
        ]
    """


async def test_plugins_are_told_with_their_schemas_and_what_became_of_messages(site: Site) -> None:
    batch = [
        {"type": "identify", "userId": "u1", "traits": {"nickname": "n", "app": "device"}},
        {
            "type": "track",
            "event": "consent_granted",
            "userId": "u1",
            "properties": {"purpose": "marketing"},
        },
        {"type": "track", "event": "contact_added", "userId": "u1"},
    ]
    await site.post("/v1/batch", {"batch": batch})
    await site.carried()
    answer = await site.ask("GET", "/v1/plugins")
    assert answer.status_code == 200
    found = {each["name"]: each for each in answer.json()["plugins"]}
    assert found["file"]["state"] == "active"
    assert found["file"]["distribution"] == "wayline"
    (letter,) = found["file"]["offers"]
    assert letter["used_by"][0]["id"] == "letter"
    assert letter["used_by"][0]["last_hour"] == {"accepted": 1}
    assert letter["used_by"][0]["left_alone_until"] is None
    assert letter["in_this_process"]["calls"] >= 1
    (email,) = found["email"]["offers"]
    assert email["used_by"] == []
    (llm,) = found["llm"]["offers"]
    assert {"base_url", "api_key", "model"} <= set(llm["settings"]["properties"])
    assert any(each.get("writeOnly") for each in email["settings"]["properties"]["password"]["anyOf"])


async def test_before_a_publish_nobody_knows_how_they_have_been_doing(empty_site: Site) -> None:
    found = (await empty_site.ask("GET", "/v1/plugins")).json()["plugins"]
    assert {offer["used_by"] for each in found for offer in each["offers"] if offer["kind"] == "channel"} == {
        None
    }


async def test_only_operators_are_told(sqlite_site: Site) -> None:
    assert (await sqlite_site.client.get("/v1/plugins")).status_code == 401


async def test_a_broken_plugin_is_told_without_its_words(
    sqlite_url: str, tmp_path: Path, strangers: Strangers
) -> None:
    strangers.install("bad", "raise RuntimeError('s3cr3t')")
    async with opened(sqlite_url, tmp_path, workspace(tmp_path / "letters")) as site:
        answer = await site.ask("GET", "/v1/plugins")
    found = {each["name"]: each for each in answer.json()["plugins"]}
    assert (found["bad"]["state"], found["bad"]["offers"]) == ("broken", [])
    assert "PL001" in found["bad"]["faults"][0]
    assert "s3cr3t" not in answer.text


async def test_facts_types_of_events_and_metrics_of_plugins_are_told_with_the_rest(
    sqlite_url: str, tmp_path: Path, strangers: Strangers
) -> None:
    strangers.install("declaring", DECLARING)
    async with opened(sqlite_url, tmp_path, workspace(tmp_path / "letters")) as site:
        answer = await site.ask("GET", "/v1/plugins")
    assert answer.status_code == 200
    (found,) = [each for each in answer.json()["plugins"] if each["name"] == "declaring"]
    told = {
        offer["kind"]: {name: value for name, value in offer.items() if value} for offer in found["offers"]
    }
    assert told == {
        "fact": {"kind": "fact", "name": "age", "title": "age group", "type": "text", "reads": ["locale"]},
        "event type": {
            "kind": "event type",
            "name": "came_in",
            "title": "a visit",
            "schema": {"properties": {"minutes": {"type": "number"}}},
        },
        "metric": {
            "kind": "metric",
            "name": "sorrow",
            "title": "bad days",
            "of": "events",
            "events": ["came_in"],
            "scopes": told["metric"]["scopes"],
        },
    }
    assert told["metric"]["scopes"]
