"""WhatsApp through Meta's Cloud API: approved templates at any time, any other text while the window is open.

A person who writes opens a window of 24 hours, which the gate keeps. A finished message that is one of the
approved texts goes out as that template, at any time; any other goes out as it is, and only inside of the
window. The platform, which knows best, may still refuse it (131047). The key travels along and comes back
with each status, so that one in doubt is settled by its receipt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator

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
    SendResult,
    SystemClock,
    Told,
    hookimpl,
)
from plugins.channels.meta.graph import Graph, GraphSettings, opened
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.platforms.templates import filled, templates_in
from plugins.channels.robots.robot import text_of

PLATFORM = "whatsapp"
NUMBER = re.compile(r"\+?[0-9]{6,15}")
_STATUS: Mapping[str, Literal["accepted", "delivered", "read", "bounced"]] = {
    "sent": "accepted",
    "delivered": "delivered",
    "read": "read",
    "failed": "bounced",
}
_LONGEST_KEY = 512


class WhatsAppSettings(GraphSettings):
    """Which number, and its approved texts."""

    phone_number_id: str = Field(pattern=r"[0-9]+", description="The platform's id of our number.")
    templates: str = Field(
        default="", description="Approved texts, one a line, as order_sent zh_CN: 您的订单{{1}}已发货."
    )

    @field_validator("templates")
    @classmethod
    def _are_templates(cls, value: str) -> str:
        if any(not each.language for each in templates_in(value)):
            raise ValueError("every template names its language, as zh_CN")
        return value


class WhatsAppChannel:
    """Writes to one person per request."""

    name = "whatsapp"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = WhatsAppSettings
    capabilities = Capabilities(
        receipts=True,
        inbound=True,
        max_length=taxonomy(PLATFORM).limit("text_characters"),
        windows=taxonomy(PLATFORM).reply_windows,
        writes_first=True,
    )

    def __init__(self, configuration: WhatsAppSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self._templates = () if configuration is None else templates_in(configuration.templates)
        self._graph = None if configuration is None else Graph(configuration, taxonomy(PLATFORM))
        self.clock: Clock = clock or SystemClock()

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, WhatsAppSettings)
        return WhatsAppChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        if not NUMBER.fullmatch(message.to):
            return Preflight(False, "address_invalid" if message.to else "no_address")
        if not 0 < len(text_of(message)) <= taxonomy(PLATFORM).limit("text_characters"):
            return Preflight(False, "too_long" if text_of(message) else "empty")
        is_template = filled(self._templates, text_of(message)) is not None
        return Preflight(True, within=() if is_template else None)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, graph = self._configuration, self._graph
        if settings is None or graph is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = self.preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail, permanent_address=said.reason == "address_invalid")
        told = await graph.post(
            settings.phone_number_id, self._body(message, idempotency_key), self.clock.now()
        )
        if not isinstance(told, dict):
            return told
        taken = told.get("messages")
        first = taken[0] if isinstance(taken, list) and taken and isinstance(taken[0], dict) else {}
        return Accepted(str(first["id"]) if first.get("id") else None)

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        found = opened(self._configuration, raw_body, headers, query)
        if not isinstance(found, tuple):
            return found
        document, name = found
        assert self._configuration is not None
        try:
            return Callback(tuple(_told(document, self._configuration.phone_number_id)), id=name)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Refused("malformed", f"not as documented: {type(error).__name__}")

    async def close(self) -> None:
        if self._graph is not None:
            await self._graph.close()

    def _body(self, message: Message, key: str) -> dict[str, Any]:
        text = text_of(message)
        common: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": message.to.removeprefix("+"),
            "biz_opaque_callback_data": key[:_LONGEST_KEY],
        }
        found = filled(self._templates, text)
        if found is None:
            return {**common, "type": "text", "text": {"body": text, "preview_url": False}}
        template: dict[str, Any] = {
            "name": found.template.code,
            "language": {"code": found.template.language},
        }
        if found.values:
            values = [found.values[gap] for gap in sorted(found.template.gaps, key=_numbered)]
            parameters = [{"type": "text", "text": value} for value in values]
            template["components"] = [{"type": "body", "parameters": parameters}]
        return {**common, "type": "template", "template": template}


def _numbered(gap: str) -> tuple[int, str]:
    return (int(gap), "") if gap.isdigit() else (0, gap)


def _told(document: Mapping[str, Any], phone_number_id: str) -> Iterator[Told]:
    for entry in document.get("entry", ()):
        for change in entry.get("changes", ()):
            value = change.get("value", {})
            # One address may hear for all numbers of a business.
            if value.get("metadata", {}).get("phone_number_id") != phone_number_id:
                continue
            for status in value.get("statuses", ()):
                if status["status"] in _STATUS:
                    receipt = _receipt(status)
                    yield receipt
                    if taxonomy(PLATFORM).stops_marketing(receipt.code) and status.get("recipient_id"):
                        # Who refused before we were told of it: the receipt names them.
                        whom, name = f"+{status['recipient_id']}", f"{receipt.code}:{status['id']}"
                        yield Preference(whom, False, receipt.at, name, f"error {receipt.code}")
            for preference in value.get("user_preferences", ()):
                if preference.get("category") == "marketing_messages":
                    yield _preference(preference)
            for message in value.get("messages", ()):
                yield _inbound(message)


def _receipt(status: Mapping[str, Any]) -> Receipt:
    said = _STATUS[status["status"]]
    errors = status.get("errors") or [{}]
    code = str(errors[0].get("code", "")) if said == "bounced" else ""
    key = str(status.get("biz_opaque_callback_data") or "")
    closes = taxonomy(PLATFORM).closes(code)
    return Receipt(said, _moment(status["timestamp"]), str(status["id"]), key, code, closes)


def _preference(said: Mapping[str, Any]) -> Preference:
    """That a person stopped marketing messages of this business, or resumed them."""
    wanted = {"stop": False, "resume": True}[said["value"]]
    whom, at = str(said["wa_id"]), _moment(said["timestamp"])
    name = f"{whom}:{said['value']}:{int(at.timestamp())}"
    return Preference(f"+{whom}", wanted, at, name, str(said.get("detail") or said["value"]))


def _inbound(message: Mapping[str, Any]) -> Inbound:
    kind = str(message.get("type", ""))
    return Inbound(
        f"+{message['from']}",
        _text_in(message, kind),
        _moment(message["timestamp"]),
        str(message["id"]),
        str((message.get("context") or {}).get("id") or ""),
        {"kind": kind},
    )


def _text_in(message: Mapping[str, Any], kind: str) -> str:
    """What a person wrote or pressed; nothing of pictures but their captions."""
    part = message.get(kind) or {}
    if kind == "interactive":
        part = part.get(part.get("type", "")) or {}
    found = part.get("body") or part.get("text") or part.get("title") or part.get("caption") or ""
    return found if isinstance(found, str) else ""


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [WhatsAppChannel()]
