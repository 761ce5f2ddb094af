"""From WeCom's callback to a tag that members see: in the view of the member whom the customer added."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.plugin.registry import load_registry
from engine.store.tables import CallRow, RunRow
from plugins.channels import file as letters
from plugins.channels.wecom import tags as wecom_tags
from plugins.channels.wecom import welcome as wecom_welcome
from plugins.checks import lexicon
from plugins.generators import template
from tests.api.conftest import Site, opened, workspace
from tests.plugins.platform_server import serving
from tests.plugins.test_wecom import AES_KEY, TOKEN, coming, sealed
from tests.plugins.test_wecom_tags import CORP, SECRET, WeCom


@pytest.fixture
def platform() -> WeCom:
    return WeCom()


@pytest.fixture
def url(platform: WeCom) -> Iterator[str]:
    with serving(platform.answer) as found:
        yield found


@pytest.fixture
async def site(
    database_url: str, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    """A shop whose journey marks who comes."""
    for name, value in {"TEST_SECRET": SECRET, "TEST_TOKEN": TOKEN, "TEST_KEY": AES_KEY}.items():
        monkeypatch.setenv(name, value)
    head = "kind: {kind}\nid: {kind}_of_wecom\ntitle: wecom\nowner: tests\n{kind}:\n"
    app = f'corp_id: {CORP}, secret: {{env: TEST_SECRET}}, base: "{url}"'
    signed = "token: {env: TEST_TOKEN}, encoding_aes_key: {env: TEST_KEY}"
    files = workspace(tmp_path / "letters")
    files["wecom.yaml"] = head.format(kind="channels") + (
        f"  - {{id: wecom, plugin: wecom_welcome, identity: app, settings: {{{app}, {signed}}}}}\n"
    )
    files["tags.yaml"] = head.format(kind="actions") + (
        f"  - {{id: marks, plugin: wecom_tags, identity: app, settings: {{{app}}}}}\n"
    )
    files["welcome.yaml"] = """\
kind: journey
id: welcome
title: welcome
owner: tests
purpose: service
enter: {event: contact_added}
steps:
  - {tag: newcomer, add: [new]}
  - {call: mark, action: marks, values: {add: 新客}, results: {members: number}}
"""
    extra = [letters, lexicon, template, wecom_welcome, wecom_tags]
    async with opened(database_url, tmp_path, files, load_registry(entry_points=False, extra=extra)) as found:
        bundle = found.services.callbacks._live()
        channel: Any = found.services.delivery.outlets.open(bundle, "wecom")
        channel.clock = found.services.clock
        yield found


async def test_who_comes_is_marked_once_where_the_member_sees_it(site: Site, platform: WeCom) -> None:
    now = site.services.clock.now()
    body, query = sealed(coming("code", now), now)
    for _ in range(2):
        assert (await site.client.post("/callbacks/wecom", content=body, params=query)).status_code == 200
        await site.carried()
    assert platform.marked == {("zhang", "wm_anna"): {"新客"}}
    assert [(row.outcome, row.results) for row in site.all(CallRow)] == [("done", {"members": 1})]
    assert [row.status for row in site.all(RunRow)] == ["ended"]
