"""Channels that hand on what the engine cannot use: it is named and counted, and nothing breaks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.plugin.callbacks import Callback, Happened, Inbound, Polled, Preference, Receipt, Refused
from engine.plugin.calling import ChannelFailed, call_callback, call_poll
from engine.plugin.tallying import tallied

AT = datetime(2026, 3, 1, tzinfo=UTC)
AMPLE = timedelta(seconds=30)
HALF = "\ud83d"
"""Half of an emoji, as a text that was cut by its UTF-16 units ends with."""


class Handing:
    """A channel that hands on what it is given."""

    def __init__(self, name: str, said: Any) -> None:
        self.name = name
        self.said = said

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        answer: Callback | Refused = self.said
        return answer

    async def poll(self, since: datetime) -> Polled:
        answer: Polled = self.said
        return answer


def called(said: Any, name: str = "handing") -> Callback | Refused:
    return call_callback(Handing(name, said), b"", {}, {}, AMPLE)


UNUSABLE: list[Any] = [
    None,
    Receipt("read", AT, "p"),
    (object(),),
    (Receipt("seen", AT, "p"),),  # type: ignore[arg-type]
    (Receipt("read", None, "p"),),  # type: ignore[arg-type]
    (Receipt("read", datetime(2026, 3, 1), "p"),),  # noqa: DTZ001
    (Receipt("read", AT),),
    (Receipt("read", AT, 7),),  # type: ignore[arg-type]
    (Receipt("read", AT, HALF),),
    (Receipt("bounced", AT, "p", code="\x00"),),
    (Receipt("bounced", AT, "p", permanent="yes"),),  # type: ignore[arg-type]
    (Inbound("a", None, AT, "m"),),  # type: ignore[arg-type]
    (Inbound("a", "hi", AT, 7),),  # type: ignore[arg-type]
    (Inbound("", "hi", AT, "m"),),
    (Inbound("a", "hi", AT, "m", answers=HALF),),
    (Inbound("a", "hi", AT, "m", properties={"when": AT}),),
    (Inbound("a", "hi", AT, "m", reply_to={"message": 7}),),  # type: ignore[dict-item]
    (Happened("t", "a", AT, ""),),
    (Happened("t", "a", AT, "e", properties=None),),  # type: ignore[arg-type]
    (Preference("a", "no", AT, "p"),),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("told", UNUSABLE)
async def test_what_nobody_could_use_is_named_where_it_would_break_something(told: Any) -> None:
    with pytest.raises(ChannelFailed, match="returned "):
        called(Callback(told))
    with pytest.raises(ChannelFailed, match="returned "):
        await call_poll(Handing("handing", Polled(told, AT)), "handing", AT, AMPLE)


@pytest.mark.parametrize(
    "said",
    [
        None,
        Polled((), AT),
        Callback(reply="ok"),  # type: ignore[arg-type]
        Callback(media_type=None),  # type: ignore[arg-type]
        Callback(id=7),  # type: ignore[arg-type]
        Refused("unknown"),  # type: ignore[arg-type]
        Refused("signature", None),  # type: ignore[arg-type]
    ],
)
def test_an_answer_that_is_no_callback_is_none(said: Any) -> None:
    with pytest.raises(ChannelFailed, match="returned "):
        called(said)


@pytest.mark.parametrize("said", [None, Callback(), Polled((), None), Polled((), datetime(2026, 3, 1))])  # type: ignore[arg-type] # noqa: DTZ001
async def test_an_answer_that_does_not_say_until_when_is_none(said: Any) -> None:
    with pytest.raises(ChannelFailed, match="returned "):
        await call_poll(Handing("handing", said), "handing", AT, AMPLE)


def test_what_platforms_do_tell_comes_through() -> None:
    told = (
        Receipt("read", AT, "p", permanent=False),
        Inbound("a", "cut in half " + HALF, AT, "m", properties={"kind": "text", "deep": [{"n": 1.5}]}),
        Happened("t", "a", AT, "e", reply_to={"conversation": "c"}),
        Preference("a", wanted=False, at=AT, id="p"),
    )
    assert called(Callback(told)) == Callback(told)
    assert called(Refused("stale", "an hour old")) == Refused("stale", "an hour old")


async def test_channels_that_fail_at_hearing_are_counted_with_the_others() -> None:
    with pytest.raises(ChannelFailed):
        called(Callback(None), "deaf")  # type: ignore[arg-type]
    with pytest.raises(ChannelFailed):
        await call_poll(Handing("deaf", None), "their_channel", AT, AMPLE)
    told = tallied("channel", "deaf")
    assert told is not None
    assert told["failures"] == {"nonsense": 2}
    assert told["latest_failure"] == "returned NoneType, not Polled"
