"""WeCom's welcome: one message within twenty seconds of a customer's coming, by a code that is good once.

The code comes with the callback that lets the customer's journey begin, in the same process and a moment
before. It is kept in the memory of that process and nowhere else: by the time another could read it from
somewhere it is worth nothing. Where it is missing, the step's next channel is taken.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

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
from plugins.channels.robots.robot import text_of
from plugins.channels.wecom.api import PLATFORM, WeComApi
from plugins.channels.wecom.callbacks import ADDED, WeComSettings, read_callback
from plugins.channels.wecom.mass_sends import preflight

_MOST_CODES = 100_000


@dataclass(frozen=True)
class _Code:
    text: str
    until: datetime

    def __repr__(self) -> str:
        return f"_Code(until={self.until!r})"


class WeComWelcomeChannel:
    """Welcomes the customers whose coming it was told of."""

    name = "wecom_welcome"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = WeComSettings
    capabilities = Capabilities(max_length=taxonomy(PLATFORM).limit("text_bytes"), length_unit="bytes")

    def __init__(self, configuration: WeComSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Says whether a code is still good."""
        self._api = None if configuration is None else WeComApi(configuration, self.clock)
        self._codes: OrderedDict[str, _Code] = OrderedDict()

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, WeComSettings)
        return WeComWelcomeChannel(settings, self.clock)

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        read = read_callback(self._configuration, raw_body, query, self.clock.now())
        if isinstance(read, Refused):
            return read
        callback, fields = read
        code = fields.get("WelcomeCode")
        if code and callback.told and fields.get("ChangeType") in ADDED:
            came = datetime.fromtimestamp(int(fields["CreateTime"]), UTC)
            seconds = taxonomy(PLATFORM).limit("welcome_seconds")
            self._keep(fields["ExternalUserID"], _Code(code, came + timedelta(seconds=seconds)))
        return callback

    def preflight(self, message: Message) -> Preflight:
        said = preflight(message)
        if not said.ok:
            return said
        code = self._codes.get(message.to)
        if code is None or self.clock.now() >= code.until:
            return Preflight(False, "window_closed", "no welcome code that is still good")
        return said

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, api = self._configuration, self._api
        if settings is None or api is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = self.preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        # Taken out before it is used: whatever comes of it, a second use would be refused.
        code = self._codes.pop(message.to, None)
        if code is None:
            return Rejected("window_closed", "another message used the welcome code")
        welcome = {"welcome_code": code.text, "text": {"content": text_of(message)}}
        try:
            answer, _ = await api.call("/cgi-bin/externalcontact/send_welcome_msg", welcome)
        except NoToken as error:
            self._keep(message.to, code)
            return api.without_token(error)
        except NoAnswer as error:
            if not error.was_sent:
                self._keep(message.to, code)
            return without_answer(error, settings.retry_after)
        if answer == "0":
            return Accepted()
        result = api.refusal(answer)
        if taxonomy(PLATFORM).means(answer) in ("throttled", "transient", "auth"):
            self._keep(message.to, code)
        return result

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()

    def _keep(self, whom: str, code: _Code) -> None:
        self._codes[whom] = code
        self._codes.move_to_end(whom)
        while len(self._codes) > _MOST_CODES:
            self._codes.popitem(last=False)


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [WeComWelcomeChannel()]
