"""What WeChat posts to a service account: who is believed, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.plugin import (
    Callback,
    Happened,
    Inbound,
    Preference,
    Receipt,
    Refused,
    Told,
)
from engine.plugin.testing import FixedClock
from plugins.channels.tencent.crypto import encrypted, key_of, signature
from plugins.channels.tencent.envelope import TOLERANCE
from tests.plugins.conftest import NOW
from tests.plugins.wechat_platform import AES_KEY, APP, ARRIVING, TOKEN, VECTORS, channel_at, event, xml


def posted(
    text: str, at: datetime = NOW, *, token: str = TOKEN, receiver: str = APP, **settings: Any
) -> Callback | Refused:
    """What a sealed callback says, as the platform posts it in the safe mode."""
    locked = encrypted(key_of(AES_KEY), text.encode(), receiver, b"0123456789abcdef")
    stamp = str(int(at.timestamp()))
    query = {
        "signature": signature(token, stamp, "n"),
        "msg_signature": signature(token, stamp, "n", locked),
        "timestamp": stamp,
        "nonce": "n",
        "encrypt_type": "aes",
    }
    body = f"<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{locked}]]></Encrypt></xml>"
    return channel_at("http://x", **settings).parse_callback(body.encode(), {}, query)


def told_by(text: str, **settings: Any) -> tuple[Told, ...]:
    said = posted(text, **settings)
    assert isinstance(said, Callback), said
    return said.told


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=range(len(VECTORS["messages"])))
def test_what_another_library_sealed_is_believed_and_read(vector: dict[str, str]) -> None:
    # Made with odoo-wechatpy, which reads what is sealed here as well.
    at = datetime.fromtimestamp(int(vector["timestamp"]), UTC)
    query = {"msg_signature": vector["signature"], "timestamp": vector["timestamp"], "nonce": vector["nonce"]}
    body = f"<xml><ToUserName>gh_1</ToUserName><Encrypt>{vector['encrypted']}</Encrypt></xml>".encode()
    said = channel_at("http://x", FixedClock(at)).parse_callback(body, {}, query)
    assert isinstance(said, Callback)
    (told,) = said.told
    assert isinstance(told, Inbound | Happened)
    assert (told.address, told.at) == ("oAnna", at)


def test_what_people_write_say_and_choose_is_heard() -> None:
    text = xml("text", "<Content><![CDATA[多少钱 👟]]></Content><MsgId>1234567890123456</MsgId>")
    assert told_by(text) == (
        Inbound("oAnna", "多少钱 👟", NOW, "1234567890123456", properties={"kind": "text"}),
    )
    voice = xml("voice", "<MediaId>m</MediaId><Recognition>退订</Recognition><MsgId>2</MsgId>")
    picture = xml("image", "<PicUrl>http://x</PicUrl><MsgId>3</MsgId>")
    menu = xml("text", "<Content>满意</Content><MsgId>4</MsgId><bizmsgmenuid>101</bizmsgmenuid>")
    assert [
        (each.text, dict(each.properties))
        for message in (voice, picture, menu)
        for each in told_by(message)
        if isinstance(each, Inbound)
    ] == [("退订", {"kind": "voice"}), ("", {"kind": "image"}), ("满意", {"kind": "text", "menu": "101"})]
    said = posted(text)
    assert isinstance(said, Callback)
    assert said.id == "1234567890123456", "a message that is told again is known by its id"


def test_who_comes_scans_presses_and_goes_is_told_as_the_account_is_set() -> None:
    came = event("subscribe", "<EventKey>qrscene_shop7</EventKey><Ticket>t</Ticket>")
    (told,) = told_by(came)
    assert isinstance(told, Happened)
    assert (told.type, told.address, told.at, told.properties) == (
        "contact_added",
        "oAnna",
        NOW,
        {"key": "shop7"},
    )
    assert told_by(event("subscribe"))[0] == replace(
        told, id=told.id.replace("qrscene_shop7", ""), properties={}
    )
    for name, kind in (
        ("unsubscribe", "wechat_unfollowed"),
        ("SCAN", "wechat_scanned"),
        ("CLICK", "wechat_menu_pressed"),
        ("scancode_push", "wechat_menu_pressed"),
    ):
        happening = event(name, "<EventKey>k1</EventKey>")
        assert told_by(happening) == (), "nobody has declared such events"
        (told,) = told_by(happening, events=f"wechat_notice_refused, {kind}")
        assert isinstance(told, Happened)
        assert (told.type, told.properties) == (kind, {"key": "k1"})
    assert told_by(event("VIEW", "<EventKey>http://x</EventKey>"), events="wechat_menu_pressed") == ()
    assert told_by(event("LOCATION", "<Latitude>23</Latitude>")) == ()


def test_what_became_of_notices_is_a_receipt() -> None:
    def finished(status: str) -> str:
        return event("TEMPLATESENDJOBFINISH", f"<MsgID>200228333</MsgID><Status>{status}</Status>")

    assert told_by(finished("success")) == (Receipt("delivered", NOW, "200228333"),)
    assert told_by(finished("failed:user block")) == (
        Receipt("bounced", NOW, "200228333", code="user_block"),
        Preference("oAnna", False, NOW, "user_block:200228333", "user_block"),
    )
    assert told_by(finished("failed: system failed")) == (
        Receipt("bounced", NOW, "200228333", code="system_failed"),
    )
    sent = event(
        "subscribe_msg_sent_event",
        f"<SubscribeMsgSentEvent><List><TemplateId>{ARRIVING}</TemplateId><MsgID>17</MsgID><ErrorCode>0</ErrorCode>"
        "<ErrorStatus>success</ErrorStatus></List><List><TemplateId>t</TemplateId><MsgID>18</MsgID>"
        "<ErrorCode>43101</ErrorCode><ErrorStatus>user refuse</ErrorStatus></List></SubscribeMsgSentEvent>",
    )
    assert told_by(sent) == (
        Receipt("delivered", NOW, "17"),
        Receipt("bounced", NOW, "18", code="user_refuse"),
    )


def test_what_people_allow_and_refuse_is_told_of_each_notice() -> None:
    rows = (
        f"<List><TemplateId>{ARRIVING}</TemplateId><SubscribeStatusString>accept</SubscribeStatusString>"
        "<PopupScene>2</PopupScene></List>"
        "<List><TemplateId>t2</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List>"
    )
    popup = event("subscribe_msg_popup_event", f"<SubscribeMsgPopupEvent>{rows}</SubscribeMsgPopupEvent>")
    assert told_by(popup) == ()
    told = told_by(popup, events="wechat_notice_allowed,wechat_notice_refused")
    assert [(each.type, each.properties) for each in told if isinstance(each, Happened)] == [
        ("wechat_notice_allowed", {"template": ARRIVING}),
        ("wechat_notice_refused", {"template": "t2"}),
    ]
    changed = event("subscribe_msg_change_event", f"<SubscribeMsgPopupEvent>{rows}</SubscribeMsgPopupEvent>")
    assert len(told_by(changed, events="wechat_notice_refused")) == 1


def test_the_address_is_tried_out_with_a_signed_word() -> None:
    channel = channel_at("http://x", encoding_aes_key=None)
    stamp = str(int(NOW.timestamp()))
    query = {"signature": signature(TOKEN, stamp, "n"), "timestamp": stamp, "nonce": "n", "echostr": "5838"}
    assert channel.parse_callback(b"", {}, query) == Callback(reply=b"5838")
    assert isinstance(channel.parse_callback(b"", {}, {**query, "nonce": "m"}), Refused)
    old = str(int((NOW - TOLERANCE).timestamp()) - 1)
    said = channel.parse_callback(
        b"", {}, {**query, "timestamp": old, "signature": signature(TOKEN, old, "n")}
    )
    assert isinstance(said, Refused)
    assert said.code == "stale"
    unset = channel_at("http://x", token=None)
    assert isinstance(unset.parse_callback(b"", {}, query), Refused)


def test_callbacks_that_are_plain_forged_old_or_for_another_account_are_refused() -> None:
    text = xml("text", "<Content>hi</Content><MsgId>1</MsgId>")
    late = NOW - TOLERANCE - timedelta(seconds=1)
    for said, code in (
        (posted(text, token="another"), "signature"),
        (posted(text, late), "stale"),
        (posted(text, receiver="wx0000000000000000"), "malformed"),
        (posted("not xml"), "malformed"),
        (posted('<!DOCTYPE x [<!ENTITY a "b">]><xml><a>&a;</a></xml>'), "malformed"),
        (posted(text.replace("<MsgId>", "<MsgIdx>").replace("</MsgId>", "</MsgIdx>")), "malformed"),
        (posted(text.replace("<CreateTime>", "<CreateTime>x")), "malformed"),
        (posted(text, encoding_aes_key=None), "signature"),
    ):
        assert isinstance(said, Refused), said
        assert said.code == code
    # The plain mode signs time and nonce only: whoever saw one such address could post anything to it.
    stamp = str(int(NOW.timestamp()))
    plain = {"signature": signature(TOKEN, stamp, "n"), "timestamp": stamp, "nonce": "n", "openid": "oAnna"}
    said = channel_at("http://x").parse_callback(text.encode(), {}, plain)
    assert isinstance(said, Refused)
    assert said.code == "signature"
