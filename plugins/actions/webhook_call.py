"""An action that another system carries out: one signed HTTP request, after Standard Webhooks.

It goes to the one address that the ruleset's settings name, never to one that a step or an answer names. The
idempotency key travels as `webhook-id`; the receiver must answer a repeated id without a second effect: 2xx
once more, or 409, which counts as done. A JSON object in the answer holds the results.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from engine.plugin import (
    Action,
    ActionResult,
    Call,
    Clock,
    Done,
    Failed,
    Retry,
    SystemClock,
    Unknown,
    hookimpl,
)
from plugins.channels.http.answers import Answered, NoAnswer, wait_of
from plugins.channels.standard_webhooks import signature_headers
from plugins.channels.webhook import TRY_AGAIN, PostSettings, id_of

if TYPE_CHECKING:
    from plugins.channels.http.posting import Connections

MOST_RESULTS = 50
"""Names of an answer that are looked at."""
LONGEST_TEXT = 500
"""Characters of a result."""


class WebhookCallSettings(PostSettings):
    """Where the other system listens, and what it is signed for."""


class Anything(BaseModel):
    """Whatever the receiver understands; what it answers is for the step to declare."""

    model_config = ConfigDict(extra="allow")


class WebhookCall:
    """Has another system do something for a contact, and hears what came of it."""

    name = "webhook_call"
    settings: type[BaseModel] = WebhookCallSettings
    values: type[BaseModel] = Anything
    results: type[BaseModel] = Anything
    idempotent = True
    nonblocking = True

    def __init__(self, configuration: WebhookCallSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Gives the signature's time, against which receivers refuse old requests."""
        self._connections: Connections | None = None

    def configured(self, settings: BaseModel) -> Action:
        assert isinstance(settings, WebhookCallSettings)
        return WebhookCall(settings, self.clock)

    async def run(self, call: Call, idempotency_key: str) -> ActionResult:
        settings = self._configuration
        if settings is None:
            return Failed("not_configured", "this action was offered, not configured")
        now = self.clock.now()
        body = _body_of(call, now)
        headers = signature_headers(settings.secret.get_secret_value(), id_of(idempotency_key), now, body)
        try:
            async with asyncio.timeout(settings.timeout.total_seconds()):
                answered = await self._post(settings, body, headers)
        except TimeoutError:
            return Unknown("no answer in time")
        except NoAnswer as error:
            return Unknown(error.kind) if error.was_sent else Retry(settings.retry_after, error.kind)
        return _result(settings, answered, now)

    async def close(self) -> None:
        connections, self._connections = self._connections, None
        if connections is not None and connections.loop is asyncio.get_running_loop():
            await connections.close()

    async def _post(self, settings: PostSettings, body: bytes, headers: dict[str, str]) -> Answered:
        # Connections belong to the loop that opened them.
        if self._connections is None or self._connections.loop is not asyncio.get_running_loop():
            # Only here: whoever lints loads every plugin, and an HTTP client is large.
            from plugins.channels.http.posting import Connections

            self._connections = Connections(settings.url, settings.proxy, settings.connections)
        return await self._connections.post(body, headers)


def _result(settings: PostSettings, answered: Answered, now: datetime) -> ActionResult:
    status = answered.status
    if 200 <= status < 300 or status == 409:
        return Done(_results_in(answered.body))
    if status in TRY_AGAIN or status >= 500:
        return Retry(wait_of(answered.retry_after, now) or settings.retry_after, str(status))
    return Failed(str(status), f"the receiver answered {status}")


def _results_in(body: bytes) -> dict[str, int | float | str | bool]:
    """The plain values of a JSON object; nothing of anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    named = found if isinstance(found, Mapping) else {}
    return {name: value for name, value in list(named.items())[:MOST_RESULTS] if _is_plain(value)}


def _is_plain(value: object) -> bool:
    match value:
        case str():
            return len(value) <= LONGEST_TEXT
        case float():
            return isfinite(value)
        case int():
            return abs(value) < 2**53  # which every reader of JSON takes for the same number
    return isinstance(value, bool)


def _body_of(call: Call, now: datetime) -> bytes:
    data = {
        "values": call.values.model_dump(mode="json"),
        "contact_id": call.contact_id,
        "journey": call.journey,
        "step": call.step,
        "run_id": call.run_id,
        "event": call.variables.get("event", {}),
    }
    stamped = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    # ASCII with \u escapes: valid JSON whatever the values hold, half surrogates included.
    told = {"type": "journey.call", "timestamp": stamped, "data": data}
    return json.dumps(told, default=str).encode("ascii")


@hookimpl
def register_actions() -> Iterable[Action]:
    return [WebhookCall()]
