"""Facebook Messenger: texts of a page to people who wrote to it, within 24 hours."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from engine.plugin import Capabilities, Channel, Clock, hookimpl
from plugins.channels.meta.conversations import Conversations, ConversationSettings
from plugins.channels.platforms.taxonomy import taxonomy


class MessengerChannel(Conversations):
    """Writes to one person per request."""

    name = "messenger"
    platform = "messenger"
    document = "page"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = ConversationSettings
    capabilities = Capabilities(
        receipts=True,
        inbound=True,
        max_length=taxonomy("messenger").limit("text_length"),
        windows=taxonomy("messenger").reply_windows,
    )

    def __init__(self, configuration: ConversationSettings | None = None, clock: Clock | None = None) -> None:
        super().__init__(configuration, clock)

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, ConversationSettings)
        return MessengerChannel(settings, self.clock)


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [MessengerChannel()]
