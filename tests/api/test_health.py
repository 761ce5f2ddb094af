"""Whether the process lives, whether it can work, what it counted; and the documentation."""

from __future__ import annotations

import re

from tests.api.conftest import Site


async def test_a_published_site_is_ready(site: Site) -> None:
    assert (await site.client.get("/healthz")).json() == {"status": "ok"}
    assert (await site.client.get("/readyz")).json() == {"status": "ready"}


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
