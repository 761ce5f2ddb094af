"""Text messages through Alibaba Cloud: approved signature and texts, receipts and replies by callback.

The provider takes no idempotency key, so a request that nobody answered is unknown until its receipt comes:
the key travels as OutId and comes back with it. The provider does not sign its callbacks; their address holds
a token that nobody else knows.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr, field_validator

from engine.plugin import (
    Accepted,
    Callback,
    Capabilities,
    Channel,
    Clock,
    Inbound,
    Message,
    Preference,
    Preflight,
    Receipt,
    Refused,
    Rejected,
    Retry,
    SendResult,
    SystemClock,
    Told,
    hookimpl,
)
from plugins.channels.aliyun_signature import canonical_query, signed_headers
from plugins.channels.http.answers import Answered, NoAnswer, wait_of
from plugins.channels.http.asking import Line, LineSettings, by_status, object_in, without_answer
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.platforms.templates import filled, templates_in

PLATFORM = "aliyun_sms"
ACTION, VERSION = "SendSms", "2017-05-25"
SHANGHAI = ZoneInfo("Asia/Shanghai")
OPT_OUT = re.compile(r"(拒收请?回复?|退订回复?)\s*[A-Za-zＡ-Ｚａ-ｚ0-9]+\s*$")
NUMBER = re.compile(r"\+?[0-9]{6,20}")
MAINLAND = re.compile(r"(?:\+?86|0086)?(1[0-9]{10})")
_STAGE = (("分钟级", timedelta(minutes=1)), ("小时级", timedelta(hours=1)), ("天级", timedelta(days=1)))
_REPLY = json.dumps({"code": 0, "msg": "接收成功"}, ensure_ascii=False).encode()


class SmsSettings(LineSettings):
    """Whose account, which signature, which approved texts."""

    access_key_id: str = Field(min_length=1)
    access_key_secret: SecretStr = Field(min_length=1)
    sign_name: str = Field(min_length=1, description="The approved signature, without 【】.")
    templates: str = Field(
        description="Approved texts, one a line, as SMS_123: 您的${what}到货啦，拒收请回复R."
    )
    callback_token: SecretStr | None = Field(
        default=None,
        description="Stands in the address that the provider calls, as ?token=…; left out: none is believed.",
    )
    base: str = Field(default="https://dysmsapi.aliyuncs.com", description="Where the provider listens.")

    @field_validator("templates")
    @classmethod
    def _are_templates(cls, value: str) -> str:
        if not templates_in(value):
            raise ValueError("name at least one template")
        return value


class SmsChannel:
    """Sends one text message per request."""

    name = "sms"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = SmsSettings
    capabilities = Capabilities(
        receipts=True, inbound=True, max_length=taxonomy(PLATFORM).limit("text_characters")
    )

    def __init__(self, configuration: SmsSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self._templates = () if configuration is None else templates_in(configuration.templates)
        self._line = None if configuration is None else Line(configuration.base, configuration)
        self.clock: Clock = clock or SystemClock()
        """Gives the signature's time."""

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, SmsSettings)
        return SmsChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        if not NUMBER.fullmatch(message.to.replace(" ", "").replace("-", "")):
            return Preflight(False, "address_invalid" if message.to else "no_address")
        text = _text(message)
        if len(text) > taxonomy(PLATFORM).limit("text_characters"):
            return Preflight(False, "too_long", "more characters than the provider takes")
        if message.is_marketing and not OPT_OUT.search(text):
            return Preflight(False, "opt_out_missing", "a promotion ends with 拒收请回复R")
        if self._configuration is not None and filled(self._templates, text) is None:
            return Preflight(False, "template_unknown", "the text is none of the approved ones")
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, line = self._configuration, self._line
        if settings is None or line is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = self.preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail, permanent_address=said.reason == "address_invalid")
        found = filled(self._templates, _text(message))
        assert found is not None, "the preflight found it"
        query = {
            "PhoneNumbers": message.to.replace(" ", "").replace("-", "").removeprefix("+"),
            "SignName": settings.sign_name,
            "TemplateCode": found.template.code,
            "OutId": idempotency_key[:256],
        }
        if found.values:
            query["TemplateParam"] = json.dumps(found.values)
        now = self.clock.now()
        headers = signed_headers(
            host=urlsplit(settings.base).netloc,
            action=ACTION,
            version=VERSION,
            query=query,
            body=b"",
            nonce=secrets.token_hex(16),
            now=now,
            key_id=settings.access_key_id,
            secret=settings.access_key_secret.get_secret_value(),
        )
        try:
            answered = await line.ask("POST", f"/?{canonical_query(query)}", headers=headers)
        except NoAnswer as error:
            return without_answer(error, settings.retry_after)
        return _result(answered, settings, now)

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        settings = self._configuration
        token = None if settings is None else settings.callback_token
        if token is None:
            return Refused("signature", "no callback_token is set")
        given = query.get("token", "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(given, token.get_secret_value().encode()):
            return Refused("signature", "the token in the address is not the one that was set")
        try:
            return Callback(_told(raw_body), _REPLY, "application/json")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return Refused("malformed", f"not a list of reports: {type(error).__name__}")

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()


def _text(message: Message) -> str:
    """What is read: subjects are for other channels, and what to do is part of the text."""
    return "\n".join(part for part in (message.body, message.call_to_action) if part)


def _result(answered: Answered, settings: SmsSettings, now: datetime) -> SendResult:
    said = object_in(answered)
    code = said.get("Code")
    if code == "OK":
        return Accepted(str(said["BizId"]) if said.get("BizId") else None)
    known = taxonomy(PLATFORM)
    if not isinstance(code, str) or known.knows(code) is None:
        # A name that is not written down says as much as its status.
        refused = by_status(answered, settings.retry_after, now)
        return (
            Rejected(code, refused.detail)
            if isinstance(code, str) and isinstance(refused, Rejected)
            else refused
        )
    asked = wait_of(answered.retry_after, now) or _stage(str(said.get("Message", "")))
    refusal = known.refusal(code, retry_after=settings.retry_after, asked=asked)
    return refusal if isinstance(refusal, Rejected) else Retry(refusal.after, code, refusal.of_provider)


def _stage(message: str) -> timedelta | None:
    """How long the limit lasts that was met, which only the message says: per minute, hour or rolling day."""
    return next((wait for word, wait in _STAGE if word in message), None)


def _told(raw_body: bytes) -> tuple[Told, ...]:
    reports = json.loads(raw_body)
    if not isinstance(reports, list):
        raise ValueError("a list is wanted")
    return tuple(
        told for each in reports for told in ((_reply(each),) if "content" in each else _outcome(each))
    )


def _outcome(report: Mapping[str, Any]) -> tuple[Told, ...]:
    """The receipt, and what it says of the person: that they complained, or want no marketing from us."""
    receipt, known = _receipt(report), taxonomy(PLATFORM)
    if known.complains(receipt.code):
        return receipt, replace(receipt, said="complained")
    if known.stops_marketing(receipt.code) and report.get("phone_number"):
        name = f"{receipt.code}:{receipt.intent or receipt.provider_id}"
        number = _address(str(report["phone_number"]))
        return receipt, Preference(number, False, receipt.at, name, receipt.code)
    return (receipt,)


def _receipt(report: Mapping[str, Any]) -> Receipt:
    success = report["success"] in (True, "true")
    code = "" if success else str(report.get("err_code") or "")[:100]
    return Receipt(
        "delivered" if success else "bounced",
        _moment(report.get("report_time") or report["send_time"]),
        provider_id=str(report.get("biz_id") or ""),
        intent=str(report.get("out_id") or ""),
        code=code,
        permanent=taxonomy(PLATFORM).closes(code),
    )


def _reply(report: Mapping[str, Any]) -> Inbound:
    named = {name: str(report[name]) for name in ("sign_name", "dest_code") if report.get(name)}
    return Inbound(
        _address(str(report["phone_number"])),
        str(report["content"]),
        _moment(report["send_time"]),
        str(report["sequence_id"]),
        properties=named,
    )


def _address(number: str) -> str:
    mainland = MAINLAND.fullmatch(number)
    return f"+86{mainland[1]}" if mainland else number


def _moment(text: str) -> datetime:
    # The provider's times are those of its own clocks.
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [SmsChannel()]
