"""A channel and an action that do nothing and remember everything, for tests of journeys and plugins."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from engine.plugin.actions import Action, ActionResult, Call, Done
from engine.plugin.contracts import (
    Accepted,
    Capabilities,
    Channel,
    Message,
    Preflight,
    SendResult,
    Unknown,
    Window,
)
from engine.plugin.hookspecs import hookimpl


@dataclass(frozen=True)
class Recorded:
    """One call of `send` and what it answered; `result` is None when the script made it raise."""

    message: Message
    key: str
    result: SendResult | None


class AnySettings(BaseModel):
    """Whatever a ruleset gives."""

    model_config = ConfigDict(extra="allow")


class RecordingChannel:
    """A real channel whose provider is a list.

    `results` answers the first calls in order (an exception is raised); after them every message is accepted.
    With `idempotent` a key that was accepted is accepted again without a second effect, as by a provider that
    takes idempotency keys. It is a plugin as well: `load_registry(entry_points=False, extra=[channel])`.
    """

    settings: type[BaseModel] = AnySettings
    immediate = True
    nonblocking = True

    def __init__(
        self,
        name: str = "recording",
        *,
        results: Iterable[SendResult | Exception] = (),
        idempotent: bool = False,
        preflight: Preflight | None = None,
        windows: tuple[Window, ...] = (),
        writes_first: bool = False,
    ) -> None:
        self.name = name
        self.capabilities = Capabilities(
            idempotency_key=idempotent, windows=windows, writes_first=writes_first
        )
        self.calls: list[Recorded] = []
        """Every call, in order."""
        self.closed = False
        self._script = deque(results)
        self._accepted: dict[str, Accepted] = {}
        self._preflight = preflight

    @property
    def sent(self) -> list[Message]:
        """What reached people: accepted, or unknown; a repeated key once if the channel is idempotent."""
        return [
            call.message
            for number, call in enumerate(self.calls)
            if isinstance(call.result, Accepted | Unknown) and not self._is_repetition(number)
        ]

    @hookimpl
    def register_channels(self) -> list[Channel]:
        return [self]

    def configured(self, settings: BaseModel) -> Channel:
        """This same channel, so that the test sees what was sent."""
        return self

    def preflight(self, message: Message) -> Preflight:
        if self._preflight is not None:
            return self._preflight
        return Preflight(True) if message.to else Preflight(False, "no_address")

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        if self.capabilities.idempotency_key and idempotency_key in self._accepted:
            result: SendResult | Exception = self._accepted[idempotency_key]
        elif self._script:
            result = self._script.popleft()
        else:
            result = Accepted(f"recorded-{len(self.calls) + 1}")
        if isinstance(result, Exception):
            self.calls.append(Recorded(message, idempotency_key, None))
            raise result
        self.calls.append(Recorded(message, idempotency_key, result))
        if isinstance(result, Accepted):
            self._accepted.setdefault(idempotency_key, result)
        return result

    async def close(self) -> None:
        self.closed = True

    def _is_repetition(self, number: int) -> bool:
        if not self.capabilities.idempotency_key:
            return False
        key = self.calls[number].key
        return any(
            call.key == key and isinstance(call.result, Accepted | Unknown) for call in self.calls[:number]
        )


@dataclass(frozen=True)
class RecordedCall:
    """One call of `run` and what it answered; `result` is None when the script made it raise."""

    call: Call
    key: str
    result: ActionResult | None


class RecordingAction:
    """A real action whose other system is a list.

    `results` answers the first calls in order (an exception is raised); after them everything is done. With
    `idempotent` a key that was done is done again without a second effect. It is a plugin as well.
    """

    settings: type[BaseModel] = AnySettings
    values: type[BaseModel] = AnySettings
    results: type[BaseModel] = AnySettings
    nonblocking = True

    def __init__(
        self,
        name: str = "recording",
        *,
        results: Iterable[ActionResult | Exception] = (),
        idempotent: bool = True,
        values: type[BaseModel] = AnySettings,
        answers: type[BaseModel] = AnySettings,
    ) -> None:
        self.name = name
        self.values = values
        self.results = answers
        self.idempotent = idempotent
        self.calls: list[RecordedCall] = []
        """Every call, in order."""
        self.closed = False
        self.script = deque(results)
        """What the next calls answer."""
        self._done: dict[str, Done] = {}

    @property
    def done(self) -> list[str]:
        """The keys that had an effect, as often as they had it."""
        return [each.key for each in self.calls if isinstance(each.result, Done)]

    @hookimpl
    def register_actions(self) -> list[Action]:
        return [self]

    def configured(self, settings: BaseModel) -> Action:
        """This same action, so that the test sees what was done."""
        return self

    async def run(self, call: Call, idempotency_key: str) -> ActionResult:
        if self.idempotent and idempotency_key in self._done:
            return self._done[idempotency_key]
        result = self.script.popleft() if self.script else Done()
        if isinstance(result, Exception):
            self.calls.append(RecordedCall(call, idempotency_key, None))
            raise result
        self.calls.append(RecordedCall(call, idempotency_key, result))
        if isinstance(result, Done):
            self._done[idempotency_key] = result
        return result

    async def close(self) -> None:
        self.closed = True
