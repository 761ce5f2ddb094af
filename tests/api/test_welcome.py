"""From WeCom's callback to its welcome: in one breath, once, and by another channel without a code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.clock import FixedClock
from engine.plugin.registry import load_registry
from engine.store.tables import AttemptRow, DecisionRow, EventRow, IntentRow
from plugins.channels import file as letters
from plugins.channels.wecom import welcome as wecom_welcome
from plugins.checks import lexicon
from plugins.generators import template
from tests.api.conftest import NOW, Site, opened, workspace
from tests.plugins.platform_server import serving
from tests.plugins.test_wecom import AES_KEY, CORP, SECRET, TOKEN, WeCom, coming, sealed


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
    """A shop that welcomes in WeCom, and by letter where that cannot be."""
    secrets = {"TEST_URL": url, "TEST_SECRET": SECRET, "TEST_TOKEN": TOKEN, "TEST_KEY": AES_KEY}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    files = workspace(tmp_path / "letters")
    files["wecom.yaml"] = f"""\
kind: channels
id: wecom
title: wecom
owner: tests
channels:
  - id: welcome
    plugin: wecom_welcome
    identity: app
    settings:
      corp_id: {CORP}
      secret: {{env: TEST_SECRET}}
      token: {{env: TEST_TOKEN}}
      encoding_aes_key: {{env: TEST_KEY}}
      base: {{env: TEST_URL}}
"""
    # Somebody of whom nothing is known yet but that they came.
    files["content.yaml"] = files["content.yaml"].replace("{{ contact.nickname }}", "")
    welcome = files["welcome.yaml"]
    files["welcome.yaml"] = welcome.replace("[letter]", "[welcome, letter], deadline: 20s").replace(
        "purpose: marketing", "purpose: service"
    )
    registry = load_registry(entry_points=False, extra=[letters, lexicon, template, wecom_welcome])
    async with opened(database_url, tmp_path, files, registry) as found:
        # The channel goes by its own clock, which in production is the machine's.
        bundle = found.services.callbacks._live()
        channel: Any = found.services.delivery.outlets.open(bundle, "welcome")
        channel.clock = platform.clock = found.services.clock
        yield found


async def tell(site: Site, code: str, whom: str = "wm_anna") -> httpx.Response:
    now = site.services.clock.now()
    body, query = sealed(coming(code, now, whom=whom), now)
    return await site.client.post("/callbacks/welcome", content=body, params=query)


async def test_who_comes_is_welcomed_in_the_same_breath_and_once(site: Site, platform: WeCom) -> None:
    code = platform.come("wm_anna")
    for _ in range(3):
        assert (await tell(site, code)).status_code == 200
        await site.carried()
    assert len(platform.welcomed) == 1
    assert [row.type for row in site.all(EventRow)] == ["contact_added"]
    assert [(row.outcome, row.channel) for row in site.all(IntentRow)] == [("sent", "welcome")]
    assert site.sent() == []


async def test_where_another_app_was_quicker_the_next_channel_is_taken_and_the_decision_says_why(
    site: Site, platform: WeCom
) -> None:
    await tell(site, "used-by-another")
    await site.carried()
    assert platform.welcomed == []
    assert [(row.outcome, row.channel) for row in site.all(IntentRow)] == [("sent", "letter")]
    (decision,) = [row for row in site.all(DecisionRow) if row.outcome == "sent"]
    assert decision.evidence["channels"] == {"welcome": "channel.rejected"}
    assert [(row.channel, row.code) for row in site.all(AttemptRow)] == [("welcome", "41051"), ("letter", "")]


async def test_a_process_that_did_not_hear_the_code_takes_the_next_channel(
    site: Site, platform: WeCom
) -> None:
    channel: Any = site.services.delivery.outlets.open(site.services.callbacks._live(), "welcome")
    code = platform.come("wm_ben")
    keep = channel._keep
    channel._keep = lambda *_: None
    await tell(site, code, "wm_ben")
    await site.carried()
    channel._keep = keep
    assert [(row.outcome, row.channel) for row in site.all(IntentRow)] == [("sent", "letter")]
    (decision,) = [row for row in site.all(DecisionRow) if row.outcome == "sent"]
    assert decision.evidence["channels"] == {"welcome": "channel.window_closed"}


async def test_the_code_of_a_welcome_is_kept_nowhere(site: Site, platform: WeCom) -> None:
    code = platform.come("wm_anna")
    await tell(site, code)
    await site.carried()
    assert code not in str([row.model_dump() for row in [*site.all(EventRow), *site.all(IntentRow)]])
    assert platform.clock.now() - NOW < timedelta(seconds=20)
