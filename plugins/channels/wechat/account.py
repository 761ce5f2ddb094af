"""WeChat service accounts: texts to people who have just been in touch, and approved notices.

A person who writes lets five texts through for two days; one who follows, scans or presses the menu three,
for a minute. A finished message that is one of the approved `templates` goes out as that notice, at any time;
one of the `subscriptions`, as often as the person allowed it; one of the `lasting_subscriptions`, once they
have allowed it, until they refuse it. Notices are of service, never of marketing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, Field, field_validator

from engine.plugin import (
    Accepted,
    Callback,
    Capabilities,
    Channel,
    Clock,
    Message,
    Preflight,
    Refused,
    Rejected,
    SendResult,
    SystemClock,
    hookimpl,
)
from plugins.channels.http.answers import NoAnswer
from plugins.channels.http.asking import without_answer
from plugins.channels.http.tokens import NoToken
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.platforms.templates import Template, templates_in
from plugins.channels.robots.robot import text_of
from plugins.channels.wechat.api import PLATFORM, WeChatApi
from plugins.channels.wechat.callbacks import ALLOWED, WeChatCallbackSettings, read_callback
from plugins.channels.wechat.notices import LASTING, SUBSCRIPTION, TEMPLATE, Notice, notice_of


class WeChatSettings(WeChatCallbackSettings):
    """Which account, and its approved notices."""

    templates: str = Field(
        title="模板消息",
        default="",
        description="Approved templates, one a line, as TEMPLATE_ID: 订单号：{{character_string1.DATA}}.",
    )
    subscriptions: str = Field(
        title="订阅通知",
        default="",
        description="Approved notices that people subscribe to, one a line, in the same form.",
    )

    lasting_subscriptions: str = Field(
        title="长期订阅通知",
        default="",
        description="Those of long-term templates, which public services alone have, in the same form.",
    )

    @field_validator("templates", "subscriptions", "lasting_subscriptions")
    @classmethod
    def _are_templates(cls, value: str) -> str:
        templates_in(value)
        return value

    @property
    def approved(self) -> dict[str, tuple[Template, ...]]:
        """All approved notices, by their kinds."""
        return {
            TEMPLATE: templates_in(self.templates),
            SUBSCRIPTION: templates_in(self.subscriptions),
            LASTING: templates_in(self.lasting_subscriptions),
        }


class WeChatChannel:
    """Writes to one person per request; the address is the person's OpenID for this account."""

    name = "wechat"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = WeChatSettings
    capabilities = Capabilities(
        receipts=True,
        inbound=True,
        max_length=taxonomy(PLATFORM).limit("text_bytes"),
        length_unit="bytes",
        windows=taxonomy(PLATFORM).reply_windows,
        writes_first=True,
    )

    def __init__(self, configuration: WeChatSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self._approved = {} if configuration is None else configuration.approved
        self.clock: Clock = clock or SystemClock()
        """Dates tokens and callbacks."""
        self._api = None if configuration is None else WeChatApi(configuration, self.clock)

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, WeChatSettings)
        return WeChatChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        return self._looked_at(message)[0]

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, api = self._configuration, self._api
        if settings is None or api is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said, notice = self._looked_at(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        if notice is not None:
            path, asked = notice.request(message.to, idempotency_key)
        else:
            text = {"content": text_of(message)}
            path, asked = (
                "/cgi-bin/message/custom/send",
                {"touser": message.to, "msgtype": "text", "text": text},
            )
        try:
            code, answer = await api.call(path, asked)
        except NoToken as error:
            return api.without_token(error)
        except NoAnswer as error:
            return without_answer(error, settings.retry_after)
        if code != "0":
            return api.refusal(code)
        return Accepted(str(answer["msgid"]) if answer.get("msgid") else None)

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        return read_callback(self._configuration, raw_body, query, self.clock.now())

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()

    def _looked_at(self, message: Message) -> tuple[Preflight, Notice | None]:
        """Whether the platform would take it, and as which notice; None: as a text of its own."""
        if not message.to:
            return Preflight(False, "no_address"), None
        most = taxonomy(PLATFORM).limit("text_bytes")
        size = len(text_of(message).encode("utf-8", "surrogatepass"))
        if not 0 < size <= most:
            return Preflight(False, "too_long" if size else "empty", f"between 1 and {most} bytes"), None
        notice = notice_of(message, self._approved)
        if notice is None:
            texts = tuple(each.name for each in self.capabilities.windows if not each.per)
            return Preflight(True, within=texts), None
        is_told = self._configuration is not None and ALLOWED in self._configuration.told
        return notice.preflight(message, counted=is_told), notice


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [WeChatChannel()]
