"""The manual channel: a task for each message, with all that a person needs and nothing done by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from engine.plugin import Accepted, Message, Rejected
from engine.plugin.testing import check_channel
from plugins.channels.manual import ANSWERS, ManualChannel, ManualSettings

HELLO = Message("小红薯 5F/7?", "到货啦", subject="您好", call_to_action="https://shop.example")
SETTINGS = {"queue": "social", "within": "6h", "profile": "https://www.xiaohongshu.com/search?u={address}"}


def channel() -> ManualChannel:
    return ManualChannel(ManualSettings.model_validate(SETTINGS))


def test_it_passes_the_contract_tests() -> None:
    check_channel(ManualChannel(), settings=SETTINGS)


async def test_a_message_becomes_a_task_with_the_text_the_page_and_a_deadline() -> None:
    answer = await channel().send(HELLO, "k")
    assert isinstance(answer, Accepted) and answer.task is not None
    task = answer.task
    assert (task.queue, task.to, task.within) == ("social", HELLO.to, timedelta(hours=6))
    assert task.text == "您好\n\n到货啦\n\nhttps://shop.example"
    assert task.link == ("https://www.xiaohongshu.com/search?u=%E5%B0%8F%E7%BA%A2%E8%96%AF%205F%2F7%3F"), (
        "an address cannot lead to another page"
    )
    assert task.answers == ANSWERS
    assert [each.said for each in ANSWERS] == ["delivered", "bounced", "bounced", "bounced"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(HELLO, to=""), "no_address"),
        (replace(HELLO, to="a\nb"), "bad_address"),
        (replace(HELLO, to="a" * 501), "bad_address"),
        (replace(HELLO, subject="", body=" ", call_to_action=""), "empty"),
    ],
)
async def test_what_nobody_could_bring_is_refused(message: Message, reason: str) -> None:
    assert channel().preflight(message).reason == reason
    answer = await channel().send(message, "k")
    assert isinstance(answer, Rejected) and answer.code == reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"profile": "http://weibo.com/{address}"},
        {"profile": "https://weibo.com/"},
        {"within": "0s"},
        {"queue": ""},
        {"unknown": 1},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ManualSettings.model_validate({**SETTINGS, **wrong})
