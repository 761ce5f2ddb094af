"""Instagram direct messages: texts of an account to people who wrote to it, within 24 hours."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from engine.plugin import Capabilities, Channel, Clock, hookimpl
from plugins.channels.meta.conversations import Conversations, ConversationSettings
from plugins.channels.platforms.taxonomy import taxonomy


class InstagramChannel(Conversations):
    """Writes to one person per request."""

    name = "instagram"
    platform = "instagram"
    document = "instagram"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = ConversationSettings
    capabilities = Capabilities(
        receipts=True,
        inbound=True,
        max_length=taxonomy("instagram").limit("text_length"),
        length_unit="bytes",
        windows=taxonomy("instagram").reply_windows,
    )

    def __init__(self, configuration: ConversationSettings | None = None, clock: Clock | None = None) -> None:
        super().__init__(configuration, clock)

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, ConversationSettings)
        return InstagramChannel(settings, self.clock)

    def length_of(self, text: str) -> int:
        return len(text.encode("utf-8", "surrogatepass"))


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [InstagramChannel()]
