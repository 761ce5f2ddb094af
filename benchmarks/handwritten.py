"""What a developer would write by hand on Temporal for three messages: the yardstick."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    import httpx

QUEUE = "handwritten"


@dataclass(frozen=True)
class Welcome:
    """One contact to be welcomed; `pause` seconds between two messages."""

    contact: str
    pause: float = 0.0


@dataclass(frozen=True)
class Text:
    """One message; the key is the provider's idempotency key."""

    key: str
    to: str
    body: str


class Sending:
    """The activity, over one HTTP client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @activity.defn
    async def send(self, text: Text) -> None:
        answer = await self._client.post(
            "/", json={"to": text.to, "body": text.body}, headers={"webhook-id": text.key}
        )
        answer.raise_for_status()


@workflow.defn
class Handwritten:
    """Three messages, each an activity with retries, and a timer between when there is a pause."""

    @workflow.run
    async def run(self, welcome: Welcome) -> None:
        for place in range(3):
            if place and welcome.pause:
                await workflow.sleep(timedelta(seconds=welcome.pause))
            await workflow.execute_activity_method(
                Sending.send,
                Text(f"{welcome.contact}/{place}", welcome.contact, f"hello {welcome.contact}"),
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=5),
            )
