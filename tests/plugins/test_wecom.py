"""WeCom against a platform with tasks that members confirm, welcome codes used once, and sealed callbacks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plugin import (
    Accepted,
    Callback,
    Clock,
    Happened,
    Message,
    Receipt,
    Refused,
    Rejected,
    Retry,
    SystemClock,
    Told,
    Unknown,
)
from engine.plugin.testing import FixedClock, check_channel
from plugins.channels.tencent.crypto import NotDecrypted, decrypted, encrypted, is_signed, key_of, signature
from plugins.channels.tencent.envelope import TOLERANCE
from plugins.channels.wecom import mass_sends as wecom
from plugins.channels.wecom.callbacks import WeComSettings
from plugins.channels.wecom.mass_sends import CouldNotAsk, WeComChannel, WeComMassSettings
from plugins.channels.wecom.welcome import WeComWelcomeChannel
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request
from tests.ports import free_port

VECTORS = json.loads((Path(__file__).parent / "vectors" / "wecom_callbacks.json").read_text(encoding="utf-8"))
CORP, TOKEN, AES_KEY = VECTORS["receiver"], VECTORS["token"], VECTORS["encoding_aes_key"]
SECRET = "secret-of-the-app"
HELLO = Message("wm_anna", "您好 👩‍👩‍👧‍👦，欢迎", contact_id="c-1")
MONTH = 30


@dataclass
class WeCom:
    """The platform: tokens, customers, tasks, codes; a month has thirty messages for a customer."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    friends: set[str] = field(default_factory=lambda: {"wm_anna", "wm_ben"})
    tokens: int = 0
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id: for whom, when it was made, and what became of it (0 not sent)."""
    got: dict[str, int] = field(default_factory=dict)
    """Messages of this month, by customer."""
    codes: dict[str, datetime] = field(default_factory=dict)
    """Welcome codes that are still good, and since when."""
    welcomed: list[str] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    forgets_tokens: bool = False

    def come(self, customer: str) -> str:
        """Somebody adds a member; the welcome code."""
        code = f"code-{len(self.codes) + 1}"
        self.codes[code] = self.clock.now()
        self.friends.add(customer)
        return code

    def confirm(self, task: str) -> None:
        """A member presses the button."""
        entry = self.tasks[task]
        whom = entry["whom"]
        if whom not in self.friends:
            entry["status"] = 2
        elif self.got.get(whom, 0) >= MONTH:
            entry["status"] = 3
        else:
            self.got[whom] = self.got.get(whom, 0) + 1
            entry["status"] = 1
        entry["at"] = int(self.clock.now().timestamp())

    def answer(self, request: Request) -> Reply:
        if request.path == "/cgi-bin/gettoken":
            if request.query != {"corpid": CORP, "corpsecret": SECRET}:
                return Reply({"errcode": 40001, "errmsg": "invalid credential"})
            self.tokens += 1
            return Reply({"errcode": 0, "access_token": f"token-{self.tokens}", "expires_in": 7200})
        if request.query.get("access_token") != f"token-{self.tokens}" or self.forgets_tokens:
            self.forgets_tokens = False
            return Reply({"errcode": 40014, "errmsg": "invalid access_token"})
        if self.replies:
            reply = self.replies.pop(0)
            if reply.drop:
                self._said(request)
            return reply
        return Reply(self._said(request))

    def _said(self, request: Request) -> dict[str, Any]:
        asked = request.data
        match request.path.removeprefix("/cgi-bin/externalcontact/"):
            case "send_welcome_msg":
                since = self.codes.pop(asked["welcome_code"], None)
                if since is None or self.clock.now() - since > timedelta(seconds=20):
                    return {"errcode": 41051, "errmsg": "externaluser has started chatting"}
                self.welcomed.append(asked["text"]["content"])
                return {"errcode": 0, "errmsg": "ok"}
            case "add_msg_template":
                (whom,) = asked["external_userid"]
                if not whom.startswith("wm_"):
                    return {"errcode": 40096, "errmsg": "invalid external userid"}
                name = f"msg-{len(self.tasks) + 1}"
                made = int(self.clock.now().timestamp())
                self.tasks[name] = {"whom": whom, "status": 0, "made": made, "text": asked["text"]["content"]}
                return {"errcode": 0, "fail_list": [] if whom in self.friends else [whom], "msgid": name}
            case "get_groupmsg_list_v2":
                names = [
                    name
                    for name, task in self.tasks.items()
                    if asked["start_time"] <= task["made"] <= asked["end_time"]
                ]
                page = int(asked.get("cursor", "0"))
                following = str(page + 1) if page + 1 < len(names) else ""
                rows = [{"msgid": name} for name in names[page : page + 1]]
                return {"errcode": 0, "group_msg_list": rows, "next_cursor": following}
            case "get_groupmsg_task":
                return {"errcode": 0, "task_list": [{"userid": "zhang", "status": 0}], "next_cursor": ""}
            case "get_groupmsg_send_result":
                task = self.tasks[asked["msgid"]]
                row = {"external_userid": task["whom"], "userid": asked["userid"], "status": task["status"]}
                return {"errcode": 0, "send_list": [{**row, "send_time": task.get("at", 0)}]}
        return {"errcode": 404, "errmsg": "no such interface"}


@pytest.fixture
def platform() -> WeCom:
    return WeCom()


def settings_at(url: str, **others: Any) -> dict[str, Any]:
    common = {"corp_id": CORP, "secret": SECRET, "token": TOKEN, "encoding_aes_key": AES_KEY}
    return {**common, "base": url, **others}


def mass(url: str, clock: Clock, **others: Any) -> WeComChannel:
    return WeComChannel(WeComMassSettings.model_validate(settings_at(url, **others)), clock)


def welcome(url: str, clock: Clock, **others: Any) -> WeComWelcomeChannel:
    return WeComWelcomeChannel(WeComSettings.model_validate(settings_at(url, **others)), clock)


def sealed(
    text: str, at: datetime, *, token: str = TOKEN, receiver: str = CORP
) -> tuple[bytes, dict[str, str]]:
    """A callback as the platform posts it: body and query."""
    locked = encrypted(key_of(AES_KEY), text.encode(), receiver, b"0123456789abcdef")
    stamp = str(int(at.timestamp()))
    query = {"msg_signature": signature(token, stamp, "n", locked), "timestamp": stamp, "nonce": "n"}
    body = f"<xml><ToUserName>{CORP}</ToUserName><Encrypt><![CDATA[{locked}]]></Encrypt></xml>"
    return body.encode(), query


def coming(code: str, at: datetime, change: str = "add_external_contact", whom: str = "wm_anna") -> str:
    return (
        f"<xml><FromUserName>sys</FromUserName><CreateTime>{int(at.timestamp())}</CreateTime>"
        f"<Event>change_external_contact</Event><ChangeType>{change}</ChangeType><UserID>zhang</UserID>"
        f"<ExternalUserID>{whom}</ExternalUserID><State>qr-7</State><WelcomeCode>{code}</WelcomeCode></xml>"
    )


def test_the_mass_channel_passes_the_contract_tests(platform: WeCom, url: str) -> None:
    platform.clock = SystemClock()
    check_channel(WeComChannel(), message=HELLO, settings=settings_at(url))
    assert platform.tokens == 1, "one token for all of it"


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=range(len(VECTORS["messages"])))
def test_what_another_library_sealed_is_read_and_its_signature_is_ours(vector: dict[str, str]) -> None:
    # Made with odoo-wechatpy, which reads what is sealed here as well.
    given = (vector["timestamp"], vector["nonce"], vector["encrypted"])
    assert is_signed(vector["signature"], TOKEN, *given)
    assert not is_signed(vector["signature"], TOKEN + "x", *given)
    assert decrypted(key_of(AES_KEY), vector["encrypted"], CORP).decode() == vector["text"]
    with pytest.raises(NotDecrypted):
        decrypted(key_of(AES_KEY), vector["encrypted"], "another-corp")


@given(st.text(), st.binary(min_size=16, max_size=16))
def test_what_is_sealed_is_read_again(text: str, chance: bytes) -> None:
    text = text.encode("utf-8", "replace").decode()
    locked = encrypted(key_of(AES_KEY), text.encode(), CORP, chance)
    assert decrypted(key_of(AES_KEY), locked, CORP).decode() == text


@given(st.binary(max_size=200))
def test_nothing_that_a_stranger_seals_is_read_and_nothing_breaks(raw: bytes) -> None:
    import base64

    with pytest.raises(NotDecrypted):
        decrypted(key_of(AES_KEY), base64.b64encode(raw).decode(), CORP)


async def test_a_welcome_goes_out_once_with_the_code_that_came(platform: WeCom, url: str) -> None:
    channel = welcome(url, platform.clock)
    body, query = sealed(coming(platform.come("wm_anna"), NOW), NOW)
    said = channel.parse_callback(body, {}, query)
    assert isinstance(said, Callback)
    name = f"add_external_contact:zhang:wm_anna:{int(NOW.timestamp())}"
    came = Happened("contact_added", "wm_anna", NOW, name, {"member": "zhang", "state": "qr-7"})
    assert said.told == (came,)
    assert "code-1" not in repr(said), "the code stays where it is used"
    assert channel.preflight(HELLO).ok
    assert await channel.send(HELLO, "k") == Accepted()
    assert platform.welcomed == [HELLO.body]
    told = await channel.send(HELLO, "k2")
    assert isinstance(told, Rejected)
    assert told.code == "window_closed"
    await channel.close()


async def test_after_twenty_seconds_nothing_is_asked_any_more(platform: WeCom, url: str) -> None:
    channel = welcome(url, platform.clock)
    channel.parse_callback(*_posted(coming(platform.come("wm_anna"), NOW)))
    assert isinstance(platform.clock, FixedClock)
    platform.clock.advance(timedelta(seconds=20))
    said = channel.preflight(HELLO)
    assert (said.ok, said.reason) == (False, "window_closed")
    assert not channel.preflight(replace(HELLO, to="wm_nobody")).ok


async def test_a_code_that_another_app_used_first_is_41051_and_never_tried_again(
    platform: WeCom, url: str
) -> None:
    channel = welcome(url, platform.clock)
    channel.parse_callback(*_posted(coming("used-by-another", NOW)))
    told = await channel.send(HELLO, "k")
    assert isinstance(told, Rejected)
    assert told.code == "41051"
    assert told.detail.startswith("window_closed")
    assert not channel.preflight(HELLO).ok
    await channel.close()


async def test_a_welcome_that_was_not_sent_keeps_its_code_and_one_in_doubt_does_not(
    platform: WeCom, url: str
) -> None:
    channel = welcome(url, platform.clock)
    channel.parse_callback(*_posted(coming(platform.come("wm_anna"), NOW)))
    platform.replies = [Reply({"errcode": 45009, "errmsg": "freq"}), Reply(drop=True)]
    told = await channel.send(HELLO, "k")
    assert isinstance(told, Retry)
    assert channel.preflight(HELLO).ok
    assert isinstance(await channel.send(HELLO, "k"), Unknown)
    assert not channel.preflight(HELLO).ok
    assert len(platform.welcomed) == 1
    await channel.close()


async def test_a_task_is_accepted_and_its_outcome_is_heard_when_a_member_has_confirmed(
    platform: WeCom, url: str
) -> None:
    channel = mass(url, platform.clock)
    assert isinstance(platform.clock, FixedClock)
    assert await channel.send(HELLO, "k1") == Accepted("msg-1")
    assert await channel.send(replace(HELLO, to="wm_ben"), "k2") == Accepted("msg-2")
    assert (await channel.poll(NOW)).told == ()
    platform.clock.advance(timedelta(days=2))
    confirmed = platform.clock.now()
    platform.confirm("msg-1")
    platform.friends.discard("wm_ben")
    platform.confirm("msg-2")
    polled = await channel.poll(NOW)
    assert polled.told == (
        Receipt("delivered", confirmed, "msg-1"),
        Receipt("bounced", confirmed, "msg-2", code="not_friend", permanent=True),
    )
    again = await channel.poll(NOW)
    assert again.told == polled.told, "an answer that nobody wrote down is told again"
    assert (await channel.poll(again.until)).told == ()
    await channel.close()


async def test_the_customers_month_is_a_bounce_by_quota(platform: WeCom, url: str) -> None:
    channel = mass(url, platform.clock)
    platform.got["wm_anna"] = MONTH
    await channel.send(HELLO, "k1")
    platform.confirm("msg-1")
    (receipt,) = (await channel.poll(NOW)).told
    assert isinstance(receipt, Receipt)
    assert (receipt.said, receipt.code) == ("bounced", "quota")
    await channel.close()


async def test_of_many_open_tasks_each_has_its_turn(
    platform: WeCom, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wecom, "TASKS_AT_ONCE", 2)
    channel = mass(url, platform.clock)
    for number in range(5):
        await channel.send(HELLO, str(number))
    for task in list(platform.tasks):
        platform.confirm(task)
    heard: list[Told] = []
    since = NOW
    for _ in range(3):
        polled = await channel.poll(since)
        heard += polled.told
        since = polled.until
    assert len(heard) == 5
    assert len({receipt.provider_id for receipt in heard if isinstance(receipt, Receipt)}) == 5
    await channel.close()


async def test_somebody_who_is_no_customer_is_refused_and_no_id_is_closed(platform: WeCom, url: str) -> None:
    channel = mass(url, platform.clock)
    told = await channel.send(replace(HELLO, to="wm_stranger"), "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.permanent_address) == ("fail_list", False)
    told = await channel.send(replace(HELLO, to="not-an-id"), "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.permanent_address) == ("40096", False), (
        "an id of another app is refused so as well"
    )
    await channel.close()


async def test_a_token_that_is_refused_is_fetched_anew_and_the_message_sent_once(
    platform: WeCom, url: str
) -> None:
    channel = mass(url, platform.clock)
    await channel.send(HELLO, "k1")
    platform.forgets_tokens = True
    assert await channel.send(HELLO, "k2") == Accepted("msg-2")
    assert (platform.tokens, len(platform.tasks)) == (2, 2)
    await channel.close()


async def test_a_wrong_secret_holds_everything_and_a_platform_away_loses_nothing(
    platform: WeCom, url: str
) -> None:
    channel = mass(url, platform.clock, secret="another")
    assert await channel.send(HELLO, "k") == Retry(timedelta(minutes=1), "40001", of_provider=True)
    with pytest.raises(CouldNotAsk, match="40001"):
        await channel.poll(NOW)
    await channel.close()
    away = mass(f"http://127.0.0.1:{free_port()}", platform.clock)
    assert isinstance(await away.send(HELLO, "k"), Retry)
    platform.replies = [Reply(drop=True), Reply({}, 502)]
    channel = mass(url, platform.clock)
    assert isinstance(await channel.send(HELLO, "k1"), Unknown)
    assert isinstance(await channel.send(HELLO, "k2"), Unknown)
    await channel.close()


def _posted(text: str, at: datetime = NOW, **others: str) -> tuple[bytes, dict[str, str], dict[str, str]]:
    body, query = sealed(text, at, **others)
    return body, {}, query


def test_the_address_is_tried_out_with_a_sealed_word() -> None:
    channel = mass("http://x", FixedClock(NOW))
    _, query = sealed("1616140317555161061", NOW)
    locked = encrypted(key_of(AES_KEY), b"1616140317555161061", CORP, b"0123456789abcdef")
    said = channel.parse_callback(b"", {}, {**query, "echostr": locked})
    assert said == Callback(reply=b"1616140317555161061")
    assert isinstance(channel.parse_callback(b"", {}, {**query, "echostr": locked[:-4] + "AAAA"}), Refused)


def test_callbacks_that_are_forged_old_or_for_somebody_else_are_refused() -> None:
    channel = mass("http://x", FixedClock(NOW))
    text = coming("code", NOW)
    body, headers, query = _posted(text)
    late = NOW - TOLERANCE - timedelta(seconds=1)
    for case, code in (
        (_posted(text, token="another"), "signature"),
        ((body.replace(b"<Encrypt>", b"<Encrypt>A"), headers, query), "signature"),
        ((body, headers, {**query, "nonce": "m"}), "signature"),
        ((b"", headers, query), "signature"),
        (_posted(text, late), "stale"),
        (_posted(text, NOW + TOLERANCE + timedelta(seconds=1)), "stale"),
        (_posted(text, receiver="another-corp"), "malformed"),
        (_posted('<!DOCTYPE x [<!ENTITY a "b">]><xml><a>&a;</a></xml>'), "malformed"),
        (_posted("not xml"), "malformed"),
        (_posted(text.replace("<CreateTime>", "<CreateTime>x")), "malformed"),
    ):
        said = channel.parse_callback(*case)
        assert isinstance(said, Refused), case
        assert said.code == code
    unset = mass("http://x", FixedClock(NOW), token=None)
    assert isinstance(unset.parse_callback(body, headers, query), Refused)


def test_who_deletes_the_member_is_an_event_where_one_is_named() -> None:
    gone = coming("", NOW, "del_follow_user")
    said = mass("http://x", FixedClock(NOW)).parse_callback(*_posted(gone))
    assert said == Callback()
    said = mass("http://x", FixedClock(NOW), lost_event="contact_lost").parse_callback(*_posted(gone))
    assert isinstance(said, Callback)
    (event,) = said.told
    assert isinstance(event, Happened)
    assert (event.type, event.address, event.at) == ("contact_lost", "wm_anna", NOW.astimezone(UTC))
