"""Text messages against a provider that verifies signatures, knows its templates and counts rolling days."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from pydantic import ValidationError

from engine.plugin import (
    Accepted,
    Callback,
    Clock,
    Inbound,
    Message,
    Preference,
    Receipt,
    Refused,
    Rejected,
    Retry,
    SystemClock,
    Unknown,
)
from engine.plugin.testing import FixedClock, check_channel
from plugins.channels.aliyun_signature import signed_headers
from plugins.channels.platforms.templates import filled, templates_in
from plugins.channels.sms import SHANGHAI, SmsChannel, SmsSettings
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request, serving
from tests.ports import free_port

KEY_ID, KEY_SECRET, TOKEN = "LTAI-of-the-tests", "secret-of-the-tests", "token in the address"
TEMPLATES = """
SMS_1: 亲爱的${name}，您的${what}到货啦，拒收请回复R
SMS_2: 您的订单${order}已发货
"""
PROMOTION = Message("+8613800138000", "亲爱的安娜 👩‍👩‍👧‍👦，您的跑鞋到货啦，拒收请回复R")
NOTICE = replace(PROMOTION, body="您的订单A-1已发货", is_marketing=False)
DAY = timedelta(days=1)


@dataclass
class Aliyun:
    """The provider: keys, approved texts, limits in rolling time, counted when a message is submitted."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    taken: list[dict[str, Any]] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)
    replies: list[Reply] = field(default_factory=list)
    per_day: int = 50

    def answer(self, request: Request) -> Reply:
        if self.replies:
            reply = self.replies.pop(0)
            if reply.drop:
                self._take(request)
            return reply
        return self._fault(request) or self._take(request)

    def _fault(self, request: Request) -> Reply | None:
        found = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=(.+),SignedHeaders=(.+),Signature=(.+)",
            request.headers.get("authorization", ""),
        )
        if found is None or found[1] != KEY_ID:
            return Reply({"Code": "InvalidAccessKeyId.NotFound"}, 404)
        pairs = sorted(parse_qsl(request.raw_query, keep_blank_values=True))
        asked = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
        headers = "".join(f"{name}:{request.headers[name]}\n" for name in found[2].split(";"))
        hashed = sha256(request.body).hexdigest()
        whole = f"{request.method}\n{request.path}\n{asked}\n{headers}\n{found[2]}\n{hashed}"
        signed = "ACS3-HMAC-SHA256\n" + sha256(whole.encode()).hexdigest()
        right = hmac.new(KEY_SECRET.encode(), signed.encode(), sha256).hexdigest()
        if found[3] != right or request.headers["x-acs-content-sha256"] != hashed:
            return Reply({"Code": "SignatureDoesNotMatch"}, 400)
        at = datetime.fromisoformat(request.headers["x-acs-date"])
        if abs(self.clock.now() - at) > timedelta(minutes=15):
            return Reply({"Code": "InvalidTimeStamp.Expired"}, 400)
        nonce = request.headers["x-acs-signature-nonce"]
        if nonce in self.nonces:
            return Reply({"Code": "SignatureNonceUsed"}, 400)
        self.nonces.add(nonce)
        if (request.headers["x-acs-action"], request.headers["x-acs-version"]) != ("SendSms", "2017-05-25"):
            return Reply({"Code": "InvalidAction.NotFound"}, 404)
        query = request.query
        if query["SignName"] != "小店":
            return Reply({"Code": "isv.SMS_SIGNATURE_ILLEGAL", "Message": "签名不合法"})
        known = {each.code: each for each in templates_in(TEMPLATES)}
        if query["TemplateCode"] not in known:
            return Reply({"Code": "isv.SMS_TEMPLATE_ILLEGAL", "Message": "模板不合法"})
        given = json.loads(query.get("TemplateParam", "{}"))
        if set(given) != set(known[query["TemplateCode"]].gaps):
            return Reply({"Code": "isv.TEMPLATE_MISSING_PARAMETERS"})
        if not re.fullmatch(r"(86)?1[3-9]\d{9}", query["PhoneNumbers"]):
            return Reply({"Code": "isv.MOBILE_NUMBER_ILLEGAL"})
        lately = [
            each
            for each in self.taken
            if (each["PhoneNumbers"], each["TemplateCode"]) == (query["PhoneNumbers"], query["TemplateCode"])
            and self.clock.now() - each["at"] < DAY
        ]
        if len(lately) >= self.per_day:
            message = f"触发天级流控Permits:{self.per_day}"
            return Reply({"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": message})
        return None

    def _take(self, request: Request) -> Reply:
        self.taken.append({**request.query, "at": self.clock.now()})
        return Reply({"Code": "OK", "Message": "OK", "BizId": f"{len(self.taken)}^0", "RequestId": "r"})


@pytest.fixture
def aliyun() -> Aliyun:
    return Aliyun()


@pytest.fixture
def url(aliyun: Aliyun) -> Iterator[str]:
    with serving(aliyun.answer) as found:
        yield found


def settings_at(url: str, **others: Any) -> dict[str, Any]:
    return {
        "access_key_id": KEY_ID,
        "access_key_secret": KEY_SECRET,
        "sign_name": "小店",
        "templates": TEMPLATES,
        "callback_token": TOKEN,
        "base": url,
        **others,
    }


def channel_at(url: str, clock: Clock | None = None, **others: Any) -> SmsChannel:
    return SmsChannel(SmsSettings.model_validate(settings_at(url, **others)), clock or FixedClock(NOW))


def test_it_passes_the_contract_tests(aliyun: Aliyun, url: str) -> None:
    aliyun.clock = SystemClock()
    check_channel(SmsChannel(), message=PROMOTION, settings=settings_at(url))


def test_the_signature_is_the_one_of_the_documentation() -> None:
    # The worked example of "Request syntax and signature method V3".
    headers = signed_headers(
        host="ecs.cn-shanghai.aliyuncs.com",
        action="RunInstances",
        version="2014-05-26",
        query={
            "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
            "RegionId": "cn-shanghai",
        },
        body=b"",
        nonce="3156853299f313e23d1673dc12e1703d",
        now=datetime.fromisoformat("2023-10-26T10:22:32Z"),
        key_id="YourAccessKeyId",
        secret="YourAccessKeySecret",
    )
    assert headers["authorization"].endswith(
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


async def test_the_text_that_was_checked_is_sent_as_its_template_with_its_values(
    aliyun: Aliyun, url: str
) -> None:
    channel = channel_at(url)
    assert await channel.send(PROMOTION, "key-1") == Accepted("1^0")
    (taken,) = aliyun.taken
    assert (taken["TemplateCode"], taken["OutId"]) == ("SMS_1", "key-1")
    assert json.loads(taken["TemplateParam"]) == {"name": "安娜 👩‍👩‍👧‍👦", "what": "跑鞋"}
    assert taken["PhoneNumbers"] == "8613800138000"
    await channel.close()


async def test_the_fifty_first_of_a_rolling_day_waits_a_day(aliyun: Aliyun, url: str) -> None:
    aliyun.per_day = 3
    channel = channel_at(url, aliyun.clock)
    results = [await channel.send(PROMOTION, str(number)) for number in range(4)]
    assert all(isinstance(each, Accepted) for each in results[:3])
    assert results[3] == Retry(DAY, "isv.BUSINESS_LIMIT_CONTROL")
    assert isinstance(aliyun.clock, FixedClock)
    aliyun.clock.advance(DAY)
    assert isinstance(await channel.send(PROMOTION, "5"), Accepted)
    await channel.close()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"access_key_secret": "another"}, "SignatureDoesNotMatch"),
        ({"access_key_id": "another"}, "InvalidAccessKeyId.NotFound"),
    ],
)
async def test_wrong_keys_hold_everything_until_somebody_mends_them(
    url: str, wrong: dict[str, Any], code: str
) -> None:
    channel = channel_at(url, **wrong)
    told = await channel.send(PROMOTION, "k")
    assert told == Retry(timedelta(minutes=1), code, of_provider=True)
    await channel.close()


async def test_refusals_are_final_and_a_number_that_is_none_is_suppressed(url: str) -> None:
    channel = channel_at(url, sign_name="another")
    told = await channel.send(PROMOTION, "k")
    assert isinstance(told, Rejected)
    assert told.code == "isv.SMS_SIGNATURE_ILLEGAL"
    await channel.close()
    channel = channel_at(url)
    told = await channel.send(replace(PROMOTION, to="+8610000000000"), "k")
    assert isinstance(told, Rejected)
    assert told.permanent_address
    await channel.close()


async def test_what_nobody_answered_is_unknown_and_what_never_left_comes_again(
    aliyun: Aliyun, url: str
) -> None:
    aliyun.replies = [Reply(drop=True), Reply({}, 500), Reply({}, 429, {"retry-after": "9"})]
    channel = channel_at(url)
    assert isinstance(await channel.send(PROMOTION, "1"), Unknown)
    assert isinstance(await channel.send(PROMOTION, "2"), Unknown)
    assert await channel.send(PROMOTION, "3") == Retry(timedelta(seconds=9), "429", of_provider=True)
    await channel.close()
    assert isinstance(await channel_at(f"http://127.0.0.1:{free_port()}").send(PROMOTION, "4"), Retry)


def test_a_promotion_without_a_way_out_or_a_text_nobody_approved_never_leaves() -> None:
    channel = channel_at("http://127.0.0.1:9")
    bare = replace(PROMOTION, body="您的订单A-1已发货")
    for message, reason in (
        (bare, "opt_out_missing"),
        (replace(PROMOTION, body="买它，拒收请回复R"), "template_unknown"),
        (replace(PROMOTION, call_to_action="点这里"), "opt_out_missing"),
        (replace(PROMOTION, body="长" * 501), "too_long"),
        (replace(PROMOTION, to=""), "no_address"),
        (replace(PROMOTION, to="ann@example.com"), "address_invalid"),
    ):
        said = channel.preflight(message)
        assert (said.ok, said.reason) == (False, reason)
    assert channel.preflight(NOTICE).ok
    assert channel.preflight(replace(PROMOTION, body=PROMOTION.body.replace("R", "Ｒ"))).reason == (
        "template_unknown"
    ), "the full-width letter is a way out, and another text"


def test_templates_whose_gaps_nobody_could_tell_apart_are_refused() -> None:
    for text in ("SMS_1: ${a}${b}", "no code", "SMS_1: a\nSMS_1: b", " "):
        with pytest.raises(ValidationError):
            SmsSettings.model_validate(settings_at("http://x", templates=text))
    (twice,) = templates_in("SMS_1: ${a} and ${a}")
    assert filled([twice], "x and x") is not None
    assert filled([twice], "x and y") is None


def told(reports: Any, token: str = TOKEN) -> Callback | Refused:
    body = json.dumps(reports, ensure_ascii=False).encode()
    return channel_at("http://x").parse_callback(body, {}, {"token": token})


REPORT = {
    "phone_number": "13800138000",
    "send_time": "2026-11-21 17:30:00",
    "report_time": "2026-11-21 17:30:05",
    "success": True,
    "err_code": "DELIVERED",
    "err_msg": "用户接收成功",
    "sms_size": "1",
    "biz_id": "1^0",
    "out_id": "key-1",
}


def test_receipts_name_the_key_and_are_dated_in_china() -> None:
    failed = {**REPORT, "success": False, "err_code": "MOBILE_NOT_ON_SERVICE", "out_id": "key-2"}
    said = told([REPORT, failed])
    assert isinstance(said, Callback)
    at = datetime(2026, 11, 21, 17, 30, 5, tzinfo=SHANGHAI)
    assert said.told == (
        Receipt("delivered", at, "1^0", "key-1"),
        Receipt("bounced", at, "1^0", "key-2", "MOBILE_NOT_ON_SERVICE"),
    )
    assert json.loads(said.reply) == {"code": 0, "msg": "接收成功"}


def test_a_number_whose_owner_unsubscribed_gets_no_marketing_and_no_receipt_closes_one() -> None:
    codes = ["MOBILE_IN_BLACK", "MOBILE_NOT_ON_SERVICE", "USER_REJECT", "MK:1030", ""]
    said = told([{**REPORT, "success": False, "err_code": code} for code in codes])
    assert isinstance(said, Callback)
    receipts = [each for each in said.told if isinstance(each, Receipt)]
    assert not [each for each in receipts if each.permanent], "a person, not a dead number"
    assert len(receipts) == len(codes)
    (refused,) = [each for each in said.told if isinstance(each, Preference)]
    assert (refused.address, refused.wanted) == (f"+86{REPORT['phone_number']}", False)
    assert refused.said == "MOBILE_IN_BLACK"


def test_a_number_whose_owner_complained_is_told_as_a_complaint() -> None:
    said = told([{**REPORT, "success": False, "err_code": "W-BLACK"}])
    assert isinstance(said, Callback)
    receipts = [each for each in said.told if isinstance(each, Receipt)]
    assert [(each.said, each.code, each.permanent) for each in receipts] == [
        ("bounced", "W-BLACK", False),
        ("complained", "W-BLACK", False),
    ]


def test_replies_are_messages_of_the_number_written_whole() -> None:
    reply = {
        "phone_number": "13800138000",
        "send_time": "2026-11-21 17:31:00",
        "content": "Ｒ",
        "sign_name": "小店",
        "dest_code": "10690",
        "sequence_id": 4501,
    }
    said = told([reply])
    assert isinstance(said, Callback)
    at = datetime(2026, 11, 21, 17, 31, tzinfo=SHANGHAI)
    named = {"sign_name": "小店", "dest_code": "10690"}
    assert said.told == (Inbound("+8613800138000", "Ｒ", at, "4501", properties=named),)


def test_without_the_token_nothing_is_believed() -> None:
    for said in (
        told([REPORT], "guessed"),
        told([REPORT], ""),
        channel_at("http://x", callback_token=None).parse_callback(b"[]", {}, {"token": ""}),
    ):
        assert isinstance(said, Refused)
        assert said.code == "signature"
    wrong: list[Any] = [{}, [1], [{"content": "x"}], [{**REPORT, "report_time": "yesterday"}], "[]"]
    for reports in wrong:
        said = told(reports)
        assert isinstance(said, Refused)
        assert said.code == "malformed"
