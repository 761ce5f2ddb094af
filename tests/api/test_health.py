"""Whether the process lives, whether it can work, what it counted; and the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from tests.api.conftest import Site, opened, workspace
from tests.plugin.strangers import Strangers


async def test_a_published_site_is_ready(site: Site) -> None:
    assert (await site.client.get("/healthz")).json() == {"status": "ok"}
    assert (await site.client.get("/readyz")).json() == {"status": "ready"}


async def test_a_broken_plugin_is_named_and_events_are_still_taken_in(
    sqlite_url: str, tmp_path: Path, strangers: Strangers
) -> None:
    strangers.install("bad", "raise RuntimeError('s3cr3t')")
    async with opened(sqlite_url, tmp_path, workspace(tmp_path / "letters")) as site:
        answer = await site.client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready", "broken_plugins": ["bad"]})
        assert "wayline_plugins_broken 1.0" in (await site.client.get("/metrics")).text


async def test_before_anything_is_published_it_is_healthy_but_not_ready(empty_site: Site) -> None:
    assert (await empty_site.client.get("/healthz")).status_code == 200
    response = await empty_site.client.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    assert "wayline publish" in response.json()["detail"]


async def test_metrics_count_events(sqlite_site: Site) -> None:
    await sqlite_site.post("/v1/track", {"event": "nothing", "userId": "u1"})
    text = (await sqlite_site.client.get("/metrics")).text
    assert 'wayline_events_total{result="dead"}' in text
    assert "wayline_outbox_lag_seconds" in text


async def test_the_api_documents_itself(sqlite_site: Site) -> None:
    page = await sqlite_site.client.get("/docs")
    assert page.status_code == 200
    for told in ("/v1/batch", "needs the write key", "needs the operator token", "order_paid", "before"):
        assert told in page.text
    assert not re.search("<script|https?://", page.text)
    paths = (await sqlite_site.client.get("/openapi.json")).json()["paths"]
    assert {"/v1/batch", "/v1/track", "/v1/contacts/{contact}", "/u/{token}"} <= paths.keys()


async def test_metrics_count_decisions_and_what_providers_answered(sqlite_site: Site) -> None:
    traits = {"nickname": "n", "app": "device"}
    granted = {"purpose": "marketing"}
    events = [
        {"type": "identify", "userId": "u1", "traits": traits},
        {"type": "track", "event": "consent_granted", "userId": "u1", "properties": granted},
        {"type": "track", "event": "contact_added", "userId": "u1"},
        {"type": "track", "event": "contact_added", "userId": "u2"},
    ]
    await sqlite_site.post("/v1/batch", {"batch": events})
    await sqlite_site.carried()
    text = (await sqlite_site.client.get("/metrics")).text
    for counted in (
        'wayline_attempts_total{channel="letter",result="accepted"}',
        'wayline_decisions_total{channel="letter",reason="sent.accepted",verdict="allow"}',
        'verdict="skip"',
    ):
        assert counted in text, counted
