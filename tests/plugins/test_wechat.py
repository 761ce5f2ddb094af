"""WeChat service accounts against a platform that counts what windows and subscriptions let through."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from engine.plugin import (
    Accepted,
    Rejected,
    Retry,
    SystemClock,
    Unknown,
)
from engine.plugin.testing import FixedClock, check_channel
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.platforms.templates import templates_in
from plugins.channels.wechat.account import WeChatChannel, WeChatSettings
from tests.plugins.platform_server import Reply
from tests.plugins.wechat_platform import ARRIVED, HELLO, LENGTHS, SHIPPED, WeChat, channel_at, settings_at
from tests.ports import free_port


@pytest.fixture
def platform() -> WeChat:
    return WeChat()


def test_it_passes_the_contract_tests(platform: WeChat, url: str) -> None:
    platform.clock = SystemClock()
    platform.write("oAnna", texts=100)
    check_channel(WeChatChannel(), message=HELLO, settings=settings_at(url))


async def test_five_texts_go_out_within_two_days_of_what_the_person_wrote(platform: WeChat, url: str) -> None:
    channel = channel_at(url, platform.clock)
    platform.write("oAnna")
    assert [await channel.send(HELLO, str(n)) for n in range(5)] == [Accepted()] * 5
    told = await channel.send(HELLO, "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.detail.split(":")[0]) == ("45047", "quota")
    platform.write("oAnna")
    assert isinstance(platform.clock, FixedClock)
    platform.clock.advance(timedelta(hours=48))
    told = await channel.send(HELLO, "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.detail.split(":")[0]) == ("45015", "window_closed")
    await channel.close()


def test_the_windows_it_declares_are_those_that_the_platform_keeps() -> None:
    windows = {each.name: (each.length, each.allowance) for each in WeChatChannel.capabilities.windows}
    minute = (timedelta(minutes=1), 3)
    assert windows == {
        "reply": (timedelta(hours=48), 5),
        "follow": minute,
        "scan": minute,
        "menu": minute,
        "subscription": (None, 1),
        "lasting": (None, None),
    }
    several = {
        each.name: (each.adds_up, each.per, each.closed_by) for each in WeChatChannel.capabilities.windows
    }
    assert several["subscription"] == (True, "template", ("wechat_notice_refused",))
    assert several["lasting"] == (False, "template", ("wechat_notice_refused",))
    channel = channel_at("http://x")
    assert channel.preflight(HELLO).within == ("reply", "follow", "scan", "menu")
    assert channel.preflight(SHIPPED).within == ()


async def test_an_approved_text_is_a_template_and_opens_what_it_calls_to(platform: WeChat, url: str) -> None:
    channel = channel_at(url, platform.clock)
    assert await channel.send(SHIPPED, "k1") == Accepted("200228333")
    (notice,) = platform.notices
    assert notice["data"] == {"character_string1": {"value": "A-1"}, "thing2": {"value": "跑鞋"}}
    assert (notice["touser"], notice["url"]) == ("oAnna", "https://shop.example/o/1")
    await channel.send(SHIPPED, "k1")
    assert len(platform.notices) == 1, "the platform knows a repeated one by its key"
    await channel.send(SHIPPED, "k2")
    assert len(platform.notices) == 2
    await channel.close()


async def test_a_subscription_is_used_up_by_one_notice(platform: WeChat, url: str) -> None:
    channel = channel_at(url, platform.clock)
    platform.allowed["oAnna"] = 1
    assert isinstance(await channel.send(ARRIVED, "k1"), Accepted)
    told = await channel.send(ARRIVED, "k2")
    assert isinstance(told, Rejected)
    assert (told.code, told.detail.split(":")[0]) == ("43101", "quota")
    assert channel.preflight(ARRIVED).within == (), "what people allow is not told here"
    counting = channel_at(url, platform.clock, events="wechat_notice_allowed")
    template = templates_in(settings_at(url)["subscriptions"])[0]
    assert counting.preflight(ARRIVED).within == (f"subscription:{template.code}",)
    lasting = channel_at(
        url,
        platform.clock,
        events="wechat_notice_allowed",
        subscriptions="",
        lasting_subscriptions=settings_at(url)["subscriptions"],
    )
    assert lasting.preflight(ARRIVED).within == (f"lasting:{template.code}",)
    platform.allowed["oAnna"] = 1
    assert isinstance(await lasting.send(ARRIVED, "k3"), Accepted)
    await lasting.close()
    await channel.close()


async def test_a_notice_is_never_marketing(platform: WeChat, url: str) -> None:
    channel = channel_at(url, platform.clock)
    for message in (SHIPPED, ARRIVED):
        said = channel.preflight(replace(message, is_marketing=True))
        assert (said.ok, said.reason) == (False, "service_only")
        assert isinstance(await channel.send(replace(message, is_marketing=True), "k"), Rejected)
    assert channel.preflight(replace(HELLO, is_marketing=True)).ok, "a text in a conversation may be"
    assert not platform.notices
    await channel.close()


def test_a_value_that_the_platform_would_refuse_is_refused_before_it_is_sent() -> None:
    channel = channel_at("http://x")
    said = channel.preflight(replace(SHIPPED, body="订单号：A-1\n商品：" + "鞋" * 21))
    assert (said.ok, said.reason, said.detail) == (False, "value_too_long", "thing2 takes 20 characters")
    assert channel.preflight(replace(SHIPPED, body="订单号：A-1\n商品：" + "鞋" * 20)).ok
    assert {kind: taxonomy("wechat").limit(f"{kind}_characters") for kind in LENGTHS} == LENGTHS
    too_long = channel.preflight(replace(HELLO, body="字" * 683))
    assert (too_long.ok, too_long.reason) == (False, "too_long")
    assert channel.preflight(replace(HELLO, body="字" * 682)).ok


async def test_what_refusals_come_to(platform: WeChat, url: str) -> None:
    channel = channel_at(url, platform.clock)
    told = await channel.send(replace(SHIPPED, to="oStranger"), "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.permanent_address) == ("43004", False), "who follows again can be reached again"
    platform.refusing.add("oBen")
    told = await channel.send(replace(SHIPPED, to="oBen"), "k")
    assert isinstance(told, Rejected)
    assert told.code == "43101"
    platform.calls_a_day = 0
    assert await channel.send(SHIPPED, "k") == Retry(timedelta(hours=1), "45009", of_provider=True)
    platform.replies = [platform.error(-1), platform.error(48001), Reply({}, 502), Reply(drop=True)]
    assert await channel.send(SHIPPED, "k") == Retry(timedelta(minutes=1), "-1")
    assert await channel.send(SHIPPED, "k") == Retry(timedelta(hours=1), "48001", of_provider=True)
    assert isinstance(await channel.send(SHIPPED, "k"), Unknown)
    assert isinstance(await channel.send(SHIPPED, "k"), Unknown)
    await channel.close()
    away = channel_at(f"http://127.0.0.1:{free_port()}", platform.clock)
    assert isinstance(await away.send(HELLO, "k"), Retry)


async def test_all_processes_share_one_token_and_a_wrong_secret_holds_everything(
    platform: WeChat, url: str
) -> None:
    channels = [channel_at(url, platform.clock) for _ in range(3)]
    platform.write("oAnna")
    for channel in channels:
        assert await asyncio.gather(*(channel.send(SHIPPED, str(n)) for n in range(3)))
    assert (platform.tokens, platform.asked_for_tokens) == (1, 3), "each process asks once, and gets the same"
    assert isinstance(platform.clock, FixedClock)
    platform.clock.advance(timedelta(hours=1, minutes=56))
    assert isinstance(await channels[0].send(SHIPPED, "k"), Accepted)
    assert isinstance(await channels[1].send(SHIPPED, "k"), Accepted)
    assert (platform.tokens, platform.asked_for_tokens) == (2, 5)
    wrong = channel_at(url, platform.clock, secret="another")
    assert await wrong.send(HELLO, "k") == Retry(timedelta(minutes=1), "40125", of_provider=True)
    for channel in (*channels, wrong):
        await channel.close()


async def test_a_token_that_is_refused_is_asked_for_anew_and_the_message_sent_once(
    platform: WeChat, url: str
) -> None:
    channel = channel_at(url, platform.clock)
    await channel.send(SHIPPED, "k1")
    platform.token_until = platform.clock.now()
    assert await channel.send(SHIPPED, "k2") == Accepted("200228334")
    assert (platform.tokens, len(platform.notices)) == (2, 2)
    await channel.close()


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("templates", "no colon", "CODE: text"),
        ("subscriptions", "t: {{thing1.DATA}}{{thing2.DATA}}", "side by side"),
        ("events", "wechat_menu_presed", "is none of"),
        ("encoding_aes_key", "short", "43 letters"),
        ("app_id", "gh_1", "pattern"),
    ],
)
def test_wrong_settings_are_refused_where_they_are_written(setting: str, value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        WeChatSettings.model_validate(settings_at("http://x", **{setting: value}))
