"""Messages that people bring by hand, on platforms that let nobody else in (Xiaohongshu, Weibo).

Each is a task on a queue: whom it goes to, the text to copy, until when. Accepted means that the task is
there; `delivered` comes when somebody says that it is done, `bounced` with a code when it is not possible or
nobody did it in time. Sending does nothing in the world, so a repeated key has one effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.plugin import (
    Accepted,
    Capabilities,
    Channel,
    Duration,
    Message,
    Preflight,
    Rejected,
    SendResult,
    Task,
    TaskAnswer,
    hookimpl,
)

ANSWERS = (
    TaskAnswer("done", "Sent · 已发送", "delivered"),
    TaskAnswer("no_such_account", "There is no such account · 没有这个账号", "bounced", permanent=True),
    TaskAnswer("not_allowed", "The platform does not let us write to them · 平台不允许发送", "bounced"),
    TaskAnswer("not_possible", "Not sent, for another reason · 因其他原因未发送", "bounced"),
)
LONGEST_ADDRESS = 500


class ManualSettings(BaseModel):
    """Who brings messages, until when, and where they find people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue: str = Field(min_length=1, description="Whose list the tasks stand on: a queue of wayline.yaml.")
    within: Duration = Field(
        default=timedelta(days=2),
        gt=timedelta(0),
        description="How long there is to bring a message; afterwards it counts as not delivered.",
    )
    question: str = Field(
        default="Send them this message · 请把这条消息发给对方",
        min_length=1,
        max_length=500,
        description="What the task says is to be done.",
    )
    profile: str = Field(
        default="", description="Where people are found, as https://weibo.com/u/{address}; shown as a link."
    )

    @field_validator("profile")
    @classmethod
    def _is_a_link(cls, value: str) -> str:
        if value and not (value.startswith("https://") and value.count("{address}") == 1):
            raise ValueError("a link begins with https:// and holds {address} once")
        return value


class ManualChannel:
    """Makes one task per message."""

    name = "manual"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = ManualSettings
    capabilities = Capabilities(
        idempotency_key=True, receipts=True, asynchronous_confirmation=True, by_hand=True
    )

    def __init__(self, configuration: ManualSettings | None = None) -> None:
        self._configuration = configuration

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, ManualSettings)
        return ManualChannel(settings)

    def preflight(self, message: Message) -> Preflight:
        if not message.to:
            return Preflight(False, "no_address")
        if len(message.to) > LONGEST_ADDRESS or not message.to.isprintable():
            return Preflight(False, "bad_address", f"one line of at most {LONGEST_ADDRESS} characters")
        return Preflight(True) if _text_of(message) else Preflight(False, "empty")

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings = self._configuration
        if settings is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = self.preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        # `replace` and not `format`: an address may hold braces.
        page = quote(message.to.encode("utf-8", "surrogatepass"), safe="")
        task = Task(
            queue=settings.queue,
            question=settings.question,
            to=message.to,
            text=_text_of(message),
            within=settings.within,
            answers=ANSWERS,
            link=settings.profile.replace("{address}", page),
        )
        return Accepted(task=task)

    async def close(self) -> None:
        """There is nothing to let go of."""


def _text_of(message: Message) -> str:
    parts = (message.subject, message.body, message.call_to_action)
    return "\n\n".join(part for part in parts if part.strip())


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [ManualChannel()]
