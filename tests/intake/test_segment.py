"""Segment's message shapes become events, or say what is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake.incoming import IncomingEvent, Unusable, unstorable
from engine.intake.segment import translate

TRACK: dict[str, Any] = {
    "type": "track",
    "event": "order_paid",
    "messageId": "m1",
    "userId": "u1",
    "anonymousId": "a1",
    "timestamp": "2026-03-01T10:00:00+08:00",
    "properties": {"amount": 12.5},
    "context": {
        "timezone": "Asia/Shanghai",
        "locale": "zh-CN",
        "externalIds": [{"id": "ext_1", "type": "wecom", "collection": "users", "encoding": "none"}],
        "traits": {"city": "上海", "nickname": "旧"},
    },
    "traits": {"nickname": "新"},
}


def event_of(message: Any) -> IncomingEvent:
    found = translate(message)
    assert isinstance(found, IncomingEvent), found
    return found


def fault_of(message: Any) -> Unusable:
    found = translate(message)
    assert isinstance(found, Unusable)
    return found


def test_a_track_carries_everything_it_says() -> None:
    event = event_of(TRACK)
    assert (event.message_id, event.type) == ("m1", "order_paid")
    assert event.occurred_at == datetime(2026, 3, 1, 2, tzinfo=UTC)
    assert event.properties == {"amount": 12.5}
    assert (event.timezone, event.locale) == ("Asia/Shanghai", "zh-CN")
    assert event.raw is TRACK


def test_the_user_is_asked_first_and_the_device_last() -> None:
    assert event_of(TRACK).identities == (("user", "u1"), ("wecom", "ext_1"), ("anonymous", "a1"))


def test_a_messages_own_traits_win_over_those_of_its_context() -> None:
    assert event_of(TRACK).traits == {"city": "上海", "nickname": "新"}


def test_an_identify_is_an_event_of_that_type() -> None:
    event = event_of({"type": "identify", "userId": "u1", "traits": {"email": "a@b.cn"}})
    assert (event.type, event.traits) == ("identify", {"email": "a@b.cn"})


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_a_page_or_screen_is_an_event_of_that_type_with_its_name(kind: str) -> None:
    event = event_of({"type": kind, "name": "Home", "userId": "u1", "properties": {"url": "/"}})
    assert (event.type, event.properties) == (kind, {"url": "/", "name": "Home"})


def test_a_groups_traits_do_not_describe_the_person() -> None:
    event = event_of({"type": "group", "groupId": "g1", "userId": "u1", "traits": {"name": "Acme"}})
    assert event.traits == {}
    assert event.properties == {"name": "Acme", "groupId": "g1"}


def test_numbers_as_ids_are_taken_as_text() -> None:
    assert event_of({**TRACK, "userId": 42, "messageId": 7}).identities[0] == ("user", "42")


def test_without_a_message_id_equal_content_has_an_equal_id() -> None:
    bare = {name: value for name, value in TRACK.items() if name != "messageId"}
    turned = dict(reversed(bare.items()))
    assert event_of(bare).message_id == event_of(turned).message_id
    assert event_of(bare).message_id != event_of({**bare, "userId": "u2"}).message_id


def test_an_event_from_1970_is_an_event() -> None:
    assert event_of({**TRACK, "timestamp": "1970-01-01T00:00:00Z"}).occurred_at == datetime(
        1970, 1, 1, tzinfo=UTC
    )


def test_right_to_left_text_and_emoji_pass_unharmed() -> None:
    event = event_of({**TRACK, "traits": {"nickname": "👩‍👩‍👧 سارة \u202eabc"}})
    assert event.traits["nickname"] == "👩‍👩‍👧 سارة \u202eabc"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "nonsense"}, "EV002"),
        ({"type": None}, "EV002"),
        ({"type": "alias"}, "EV010"),
        ({"event": ""}, "EV003"),
        ({"event": 5}, "EV003"),
        ({"properties": [1]}, "EV001"),
        ({"context": "x"}, "EV001"),
        ({"context": {"traits": 1}}, "EV001"),
        ({"timestamp": "yesterday"}, "EV007"),
        ({"timestamp": 1700000000}, "EV007"),
        ({"timestamp": "2026-03-01T10:00:00"}, "EV007"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "EV007"),
        ({"messageId": "x" * 257}, "EV012"),
        ({"messageId": {}}, "EV012"),
        ({"userId": "x" * 257}, "EV012"),
        ({"userId": ["u"]}, "EV012"),
        ({"properties": {"note": "a\x00b"}}, "EV009"),
        ({"properties": {"a\x00": 1}}, "EV009"),
        ({"properties": {"note": "\ud83d"}}, "EV009"),
        ({"properties": {"n": 2**64}}, "EV009"),
        ({"properties": {"n": float("inf")}}, "EV009"),
    ],
)
def test_what_cannot_be_used_says_why(change: dict[str, Any], code: str) -> None:
    assert fault_of({**TRACK, **change}).code == code


@pytest.mark.parametrize("message", [None, 1, "track", [], [TRACK]])
def test_only_objects_are_events(message: Any) -> None:
    assert fault_of(message).code == "EV001"


def test_nesting_without_end_is_refused() -> None:
    deep: Any = 1
    for _ in range(65):
        deep = [deep]
    assert fault_of({**TRACK, "properties": {"deep": deep}}).code == "EV009"


def test_a_reason_never_quotes_what_was_sent() -> None:
    assert "13812345678" not in fault_of({**TRACK, "timestamp": "13812345678"}).message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "identify", "page", "alias", "x"]) | JSON,
        "event": st.sampled_from(["order_paid", "nothing"]) | JSON,
        "userId": st.text(max_size=4) | JSON,
        "messageId": st.text(max_size=4) | JSON,
        "timestamp": st.datetimes().map(lambda moment: moment.isoformat() + "Z") | JSON,
        "properties": JSON,
        "traits": JSON,
        "context": JSON,
    },
)


@settings(max_examples=200)
@given(JSON | MESSAGES)
def test_any_json_is_an_event_or_has_a_reason_and_its_record_can_be_stored(message: Any) -> None:
    found = translate(message)
    assert unstorable(found.raw) is None
    orjson.dumps(found.raw)
    if isinstance(found, IncomingEvent):
        assert found.message_id
