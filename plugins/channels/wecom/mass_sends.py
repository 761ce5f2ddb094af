"""WeCom mass sends: each message is a task that a member confirms in the client; what became of it is asked.

The platform takes a task and sends nothing yet. Accepted here means that the task is there; `delivered`
comes when the member has confirmed it, and `bounced` when the customer is no friend any more (not_friend) or
has had all that customers may get this month (quota), also by hands that nobody here saw.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from engine.plugin import (
    Accepted,
    Callback,
    Capabilities,
    Channel,
    Clock,
    Duration,
    Message,
    Polled,
    Preflight,
    Receipt,
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
from plugins.channels.wecom.callbacks import WeComSettings, read_callback

TASKS_AT_ONCE = 100
"""How many open tasks one poll asks for, so that it ends in time; each takes two questions."""
_MOST_REMEMBERED = 100_000
_MOST_PAGES = 1000
_PAGE = 100


class WeComMassSettings(WeComSettings):
    """Which corporation, and in whose name tasks are made."""

    sender: str | None = Field(
        default=None,
        description="The member who is to confirm; left out: whoever last spoke to the customer.",
    )
    watch: Duration = Field(
        default=timedelta(days=7),
        gt=timedelta(0),
        le=timedelta(days=30),
        description="How long after a task was made its outcome is asked for.",
    )


class CouldNotAsk(Exception):
    """The platform did not say what became of tasks; names its code only."""


class WeComChannel:
    """Makes one task per message, and asks what became of the tasks."""

    name = "wecom"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = WeComMassSettings
    capabilities = Capabilities(
        receipts=True,
        asynchronous_confirmation=True,
        max_length=taxonomy(PLATFORM).limit("text_bytes"),
        length_unit="bytes",
        poll_every=timedelta(minutes=5),
    )

    def __init__(self, configuration: WeComMassSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Dates tokens and questions."""
        self._api = None if configuration is None else WeComApi(configuration, self.clock)
        self._settled: OrderedDict[str, datetime] = OrderedDict()
        """Tasks that nothing more can become of, and in which answer that was told; the latest last."""
        self._asked: dict[str, int] = {}
        """Open tasks, by how often they were asked for."""

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, WeComMassSettings)
        return WeComChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        return preflight(message)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, api = self._configuration, self._api
        if settings is None or api is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        task: dict[str, Any] = {
            "chat_type": "single",
            "external_userid": [message.to],
            "text": {"content": text_of(message)},
        }
        if settings.sender is not None:
            task["sender"] = settings.sender
        try:
            code, answer = await api.call("/cgi-bin/externalcontact/add_msg_template", task)
        except NoToken as error:
            return api.without_token(error)
        except NoAnswer as error:
            return without_answer(error, settings.retry_after)
        if code != "0":
            return api.refusal(code)
        if message.to in (answer.get("fail_list") or ()):
            return Rejected("fail_list", "the platform made the task without this customer")
        return Accepted(str(answer["msgid"]) if answer.get("msgid") else None)

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        read = read_callback(self._configuration, raw_body, query, self.clock.now())
        return read if isinstance(read, Refused) else read[0]

    async def poll(self, since: datetime) -> Polled:
        settings, api = self._configuration, self._api
        if settings is None or api is None:
            raise CouldNotAsk("not_configured")
        now = self.clock.now()
        # Not from `since`: a task that was made long before may be confirmed only now.
        span = {
            "chat_type": "single",
            "start_time": int((now - settings.watch).timestamp()),
            "end_time": int(now.timestamp()),
            "filter_type": 0,
        }
        listed = [
            str(task["msgid"])
            async for task in self._pages(api, "get_groupmsg_list_v2", span, "group_msg_list")
        ]
        # What was told in an answer that nobody wrote down, as `since` shows, is told again.
        open_ = [name for name in listed if name not in self._settled or self._settled[name] > since]
        self._asked = {name: self._asked.get(name, 0) for name in open_}
        # The least asked first: however many there are, each has its turn.
        receipts: list[Receipt] = []
        for name in sorted(open_, key=self._asked.__getitem__)[:TASKS_AT_ONCE]:
            found, is_open = await self._receipts(api, name, now)
            receipts += found
            self._asked[name] += 1
            if found and not is_open:
                self._settle(name, now)
        return Polled(tuple(receipts), now)

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()

    def _settle(self, task: str, told_in: datetime) -> None:
        self._settled[task] = told_in
        self._settled.move_to_end(task)
        while len(self._settled) > _MOST_REMEMBERED:
            self._settled.popitem(last=False)

    async def _receipts(self, api: WeComApi, task: str, now: datetime) -> tuple[list[Receipt], bool]:
        """What became of one task, and whether more can become of it."""
        found, is_open = list[Receipt](), False
        async for member in self._pages(api, "get_groupmsg_task", {"msgid": task}, "task_list"):
            wanted = {"msgid": task, "userid": member["userid"]}
            async for result in self._pages(api, "get_groupmsg_send_result", wanted, "send_list"):
                receipt = _receipt(task, result, now)
                is_open = is_open or receipt is None
                found += [] if receipt is None else [receipt]
        return found, is_open

    async def _pages(
        self, api: WeComApi, what: str, asked: Mapping[str, Any], rows: str
    ) -> AsyncIterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(_MOST_PAGES):
            page = {**asked, "limit": _PAGE, **({"cursor": cursor} if cursor else {})}
            try:
                code, said = await api.call(f"/cgi-bin/externalcontact/{what}", page)
            except (NoToken, NoAnswer) as error:
                raise CouldNotAsk(str(error)) from None
            if code != "0":
                raise CouldNotAsk(code)
            for row in said.get(rows) or ():
                yield row
            cursor = said.get("next_cursor") or ""
            if not cursor:
                return


def preflight(message: Message) -> Preflight:
    """Whether the platform would take the text and the address."""
    if not message.to:
        return Preflight(False, "no_address")
    most = taxonomy(PLATFORM).limit("text_bytes")
    size = len(text_of(message).encode("utf-8", "surrogatepass"))
    if not 0 < size <= most:
        return Preflight(False, "too_long" if size else "empty", f"between 1 and {most} bytes")
    return Preflight(True)


def _receipt(task: str, result: Mapping[str, Any], now: datetime) -> Receipt | None:
    seconds = result.get("send_time")
    at = datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds > 0 else now
    match result.get("status"):
        case 1:
            return Receipt("delivered", at, task)
        case 2:
            return _bounced(at, task, "not_friend")
        case 3:
            return _bounced(at, task, "quota")
    return None


def _bounced(at: datetime, task: str, code: str) -> Receipt:
    return Receipt("bounced", at, task, code=code, permanent=taxonomy(PLATFORM).closes(code))


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [WeComChannel()]
