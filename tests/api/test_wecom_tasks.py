"""A mass-send task through the gate: accepted is not delivered, and what a member did is heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.clock import FixedClock
from engine.intake.incoming import IncomingEvent
from engine.plugin.registry import load_registry
from engine.store.tables import IdentityRow, IntentRow, ReceiptRow, SuppressionRow
from plugins.channels import file as letters
from plugins.channels.wecom import mass_sends as wecom
from plugins.checks import lexicon
from plugins.generators import template
from tests.api.conftest import NOW, Site, opened, workspace
from tests.plugins.platform_server import serving
from tests.plugins.test_wecom import CORP, SECRET, WeCom

EVERY = timedelta(minutes=5)


@pytest.fixture
def platform() -> WeCom:
    return WeCom(FixedClock(NOW))


@pytest.fixture
def url(platform: WeCom) -> Iterator[str]:
    with serving(platform.answer) as found:
        yield found


@pytest.fixture
async def site(
    database_url: str, tmp_path: Path, url: str, platform: WeCom, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    """A shop that writes to its customers through their members."""
    monkeypatch.setenv("TEST_SECRET", SECRET)
    files = workspace(tmp_path / "letters")
    files["wecom.yaml"] = f"""\
kind: channels
id: wecom
title: wecom
owner: tests
channels:
  - id: wecom
    plugin: wecom
    identity: app
    settings: {{corp_id: {CORP}, secret: {{env: TEST_SECRET}}, base: "{url}"}}
"""
    journey = files["welcome.yaml"].replace("[letter]", "[wecom]").replace("marketing", "service")
    files["welcome.yaml"] = journey
    registry = load_registry(entry_points=False, extra=[letters, lexicon, template, wecom])
    async with opened(database_url, tmp_path, files, registry) as found:
        # The channel goes by its own clock, which in production is the machine's.
        channel: Any = found.services.delivery.outlets.open(found.services.callbacks._live(), "wecom")
        channel.clock = platform.clock = found.services.clock
        yield found


async def come(site: Site, who: str, address: str) -> None:
    await site.post("/v1/identify", {"userId": who, "traits": {"nickname": "n", "app": address}})
    await site.post("/v1/track", {"event": "contact_added", "userId": who})
    await site.carried()


async def test_what_a_member_did_with_tasks_is_heard_by_whoever_dispatches(
    site: Site, platform: WeCom
) -> None:
    clock = site.services.clock
    assert isinstance(clock, FixedClock)
    await come(site, "u1", "wm_anna")
    await come(site, "u2", "wm_ben")
    polling = site.services.polling
    assert await polling.ask_due() == 1
    assert {row.state for row in site.all(IntentRow)} == {"accepted"}
    platform.confirm("msg-1")
    platform.friends.discard("wm_ben")
    platform.confirm("msg-2")
    assert await polling.ask_due() == 0, "it was asked just now"
    clock.advance(EVERY)
    assert await polling.ask_due() == 1
    states = {row.provider_id: row.state for row in site.all(IntentRow)}
    assert states == {"msg-1": "delivered", "msg-2": "bounced"}
    assert {(row.said, row.code) for row in site.all(ReceiptRow)} == {
        ("delivered", ""),
        ("bounced", "not_friend"),
    }
    closed = {row.address: row.suppressed for row in site.all(IdentityRow) if row.platform == "app"}
    assert closed == {"wm_anna": None, "wm_ben": "hard_bounce"}, "who ended the relation is not written to"
    clock.advance(EVERY)
    assert await polling.ask_due() == 1
    assert site.count(ReceiptRow) == 2
    # Who comes again, as the channel's callback tells, can be written to again.
    came = IncomingEvent("again", "contact_added", (("app", "wm_ben"),))
    site.services.intake.accept([came], source="callback:wecom")
    assert {row.suppressed for row in site.all(IdentityRow)} == {None}
    assert site.count(SuppressionRow) == 0
