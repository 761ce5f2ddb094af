"""From what a person does on WeChat or Douyin to the answer, as often as the platform lets."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from engine.clock import FixedClock
from engine.plugin.registry import load_registry
from engine.store.tables import DecisionRow, IntentRow
from plugins.channels import file as letters
from plugins.channels.douyin import messages as douyin
from plugins.channels.tencent.crypto import encrypted, key_of, signature
from plugins.channels.wechat import account as wechat
from plugins.checks import lexicon
from plugins.generators import template
from tests.api.conftest import NOW, Site, opened, workspace
from tests.plugins.platform_server import serving
from tests.plugins.test_douyin import ANNA, DAY, KEY, OURS, Douyin, Talk, wrote
from tests.plugins.test_douyin import SECRET as DOUYIN_SECRET
from tests.plugins.wechat_platform import AES_KEY, APP, SECRET, SENT, TOKEN, WeChat, event, xml

FIVE = 5


@asynccontextmanager
async def talking(
    url: str, folder: Path, settings: Mapping[str, Any], plugin: Any, platform: WeChat | Douyin, body: str
) -> AsyncIterator[Site]:
    """A shop that answers whoever writes, by its letters where the channel does not let it."""
    files = workspace(folder / "letters")
    told = json.dumps({**settings, "events": "wechat_menu_pressed"} if plugin is wechat else settings)
    files["talks.yaml"] = (
        "kind: channels\nid: talks\ntitle: talks\nowner: tests\nchannels:\n"
        f"  - {{id: talks, plugin: {plugin.__name__.split('.')[2]}, identity: app, settings: {told}}}\n"
    )
    files["events.yaml"] += "  - {id: wechat_menu_pressed, title: pressed, schema: {type: object}}\n"
    files["content.yaml"] = files["content.yaml"].replace("{{ contact.nickname }}好", body)
    head = "kind: journey\ntitle: talk\nowner: tests\npurpose: service\n"
    steps = "steps: [{send: hello, content: hello, channels: [talks, letter]}]\n"
    files["welcome.yaml"] = f"{head}id: answer\nenter: {{event: message_received, reentry: always}}\n{steps}"
    if plugin is wechat:
        enter = "enter: {event: wechat_menu_pressed, reentry: always}\n"
        files["menu.yaml"] = f"{head}id: menu\n{enter}{steps}"
    files["order.yaml"] = f"{head}id: order\nenter: {{event: order_paid, reentry: always}}\n{steps}"
    registry = load_registry(entry_points=False, extra=[letters, lexicon, template, plugin])
    async with opened(url, folder, files, registry) as found:
        channel: Any = found.services.delivery.outlets.open(found.services.callbacks._live(), "talks")
        channel.clock = platform.clock = found.services.clock
        yield found


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def wechat_settings(url: str, **others: str) -> dict[str, Any]:
    keys = {"secret": SECRET, "token": TOKEN, "encoding_aes_key": AES_KEY}
    return {"app_id": APP, "base": url, **keys, **others}


async def post_wechat(site: Site, text: str) -> None:
    stamp = str(int(site.services.clock.now().timestamp()))
    locked = encrypted(key_of(AES_KEY), text.encode(), APP, b"0123456789abcdef")
    query = {"msg_signature": signature(TOKEN, stamp, "n", locked), "timestamp": stamp, "nonce": "n"}
    body = f"<xml><Encrypt>{locked}</Encrypt></xml>"
    said = await site.client.post("/callbacks/talks", content=body.encode(), params=query)
    assert said.status_code == 200
    await site.carried()


def went(site: Site) -> list[tuple[str | None, str | None]]:
    rows = sorted(site.all(IntentRow), key=lambda row: row.created_at)
    return [(row.outcome, row.channel) for row in rows]


def why_not(site: Site) -> list[str]:
    """Why the channel did not take those that went by letter."""
    rows = [row for row in site.all(DecisionRow) if row.outcome == "sent" and row.channel == "letter"]
    return [row.evidence["channels"]["talks"] for row in sorted(rows, key=lambda row: row.at)]


def later(site: Site, by: timedelta) -> None:
    assert isinstance(site.services.clock, FixedClock)
    site.services.clock.advance(by)


async def order(site: Site, number: int) -> None:
    who = {"context": {"externalIds": [{"type": "app", "id": "oAnna"}]}}
    paid = {"order_id": f"o{number}", "amount": 1}
    said = await site.post("/v1/track", {"event": "order_paid", "properties": paid, "userId": "u1", **who})
    assert said.status_code == 200
    await site.carried()


async def test_wechat_is_answered_five_times_for_what_somebody_wrote_and_then_by_another_channel(
    sqlite_url: str, tmp_path: Path, servers: ExitStack
) -> None:
    platform = WeChat()
    settings = wechat_settings(servers.enter_context(serving(platform.answer)))
    async with talking(sqlite_url, tmp_path, settings, wechat, platform, "您好") as site:
        await order(site, 0)
        assert (went(site), why_not(site)) == ([("sent", "letter")], ["channel.window_closed"])
        platform.write("oAnna")
        text = xml("text", "<Content>多少钱</Content><MsgId>1</MsgId>", at=NOW)
        for _ in range(2):
            await post_wechat(site, text)
        assert platform.texts == ["您好"], "in the same breath, and once"
        for number in range(1, FIVE + 1):
            later(site, timedelta(minutes=10))
            await order(site, number)
        assert len(platform.texts) == FIVE
        assert went(site)[-1] == ("sent", "letter")
        assert why_not(site)[-1] == "channel.window_spent", "the platform was not asked"


async def test_pressing_the_menu_lets_texts_through_for_a_minute(
    sqlite_url: str, tmp_path: Path, servers: ExitStack
) -> None:
    platform = WeChat()
    url = servers.enter_context(serving(platform.answer))
    async with talking(sqlite_url, tmp_path, wechat_settings(url), wechat, platform, "您好") as site:
        platform.act("oAnna", "CLICK")
        await post_wechat(site, event("CLICK", "<EventKey>help</EventKey>", NOW))
        assert platform.texts == ["您好"]
        later(site, timedelta(minutes=1))
        await order(site, 1)
        assert why_not(site) == ["channel.window_closed"]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_somebody_does_the_platform_never_has_to_refuse_a_text(
    sqlite_url: str, tmp_path: Path, servers: ExitStack, seed: int
) -> None:
    chance, platform = random.Random(seed), WeChat()
    settings = wechat_settings(servers.enter_context(serving(platform.answer)))
    async with talking(sqlite_url, tmp_path, settings, wechat, platform, "您好") as site:
        for number in range(40):
            now = site.services.clock.now()
            match chance.choice(["write", "press", "order", "order", "order", "pass"]):
                case "write":
                    platform.write("oAnna")
                    said = f"<Content>在吗</Content><MsgId>{number}</MsgId>"
                    await post_wechat(site, xml("text", said, at=now))
                case "press":
                    platform.act("oAnna", "CLICK")
                    await post_wechat(site, event("CLICK", f"<EventKey>{number}</EventKey>", now))
                case "order":
                    await order(site, number)
                case "pass":
                    later(site, timedelta(seconds=chance.choice([10, 30, 60, 48 * 3600])))
            later(site, timedelta(seconds=1))
        assert platform.refused == [], "the gate knows before it asks"
        assert set(why_not(site)) <= {"channel.window_closed", "channel.window_spent"}
        assert platform.texts


async def test_a_template_goes_to_whoever_has_not_been_heard(
    sqlite_url: str, tmp_path: Path, servers: ExitStack
) -> None:
    platform = WeChat()
    url = servers.enter_context(serving(platform.answer))
    settings = wechat_settings(url, templates=f"{SENT}: 订单号：{{{{character_string1.DATA}}}}")
    async with talking(sqlite_url, tmp_path, settings, wechat, platform, "订单号：A-1") as site:
        await order(site, 1)
        assert went(site) == [("sent", "talks")]
        assert platform.notices[0]["data"] == {"character_string1": {"value": "A-1"}}


async def test_douyin_is_answered_in_the_conversation_by_whoever_heard_it(
    sqlite_url: str, tmp_path: Path, servers: ExitStack
) -> None:
    platform = Douyin()
    url = servers.enter_context(serving(platform.answer))
    settings = {"client_key": KEY, "client_secret": DOUYIN_SECRET, "open_id": OURS, "base": url}
    async with talking(sqlite_url, tmp_path, settings, douyin, platform, "您好") as site:
        platform.talks["@s1"] = Talk(NOW, DAY, 6)
        body = json.dumps(wrote(at=NOW)).encode()
        signed = sha1(DOUYIN_SECRET.encode() + body).hexdigest()
        for _ in range(2):
            said = await site.client.post(
                "/callbacks/talks", content=body, headers={"X-Douyin-Signature": signed, "Msg-Id": "1"}
            )
            assert said.status_code == 200
            await site.carried()
        assert [each["scene"] for each in platform.taken] == ["im_reply_msg"]
        assert platform.taken[0]["to_user_id"] == ANNA
        assert went(site) == [("sent", "talks")]
