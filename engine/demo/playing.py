"""Plays the histories to the HTTP intake at the pace of journey time, with one failure of the mail server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

from engine.clock import JourneyTime
from engine.demo.histories import Happening
from engine.demo.receivers import MailReceiver
from engine.errors import CommandError

MOST_AT_ONCE = 20
"""Happenings in one call."""


@dataclass(frozen=True)
class Outage:
    """When the mail server refuses everything, in journey time."""

    begins: datetime
    ends: datetime


@dataclass
class Played:
    """What the intake answered, added up."""

    accepted: int = 0
    duplicates: int = 0
    dead: int = 0


class Player:
    """Feeds one replay; `progress` is told the journey moment reached and how many happenings went in."""

    def __init__(
        self,
        url: str,
        write_key: str,
        time: JourneyTime,
        *,
        progress: Callable[[datetime, int], None],
    ) -> None:
        self._url = url
        self._write_key = write_key
        self._time = time
        self._progress = progress
        self.played = Played()

    async def play(self, happenings: Sequence[Happening], until: datetime) -> None:
        """Send what happens when journey time reaches it; return when journey time reaches `until`.

        What has come due by the time the last call is answered goes in together, as a client library would
        do it: so a slow machine falls behind by one call and not by more and more.
        """
        async with httpx.AsyncClient(
            base_url=self._url, auth=(self._write_key, ""), timeout=httpx.Timeout(30.0)
        ) as client:
            fed = 0
            while fed < len(happenings):
                await self._wait_for(happenings[fed].at, fed)
                now = self._time.at(datetime.now(UTC))
                due = fed
                while due < len(happenings) and happenings[due].at <= now and due - fed < MOST_AT_ONCE:
                    due += 1
                await self._post(client, happenings[fed:due])
                fed = due
            await self._wait_for(until, fed)

    async def _post(self, client: httpx.AsyncClient, happenings: Sequence[Happening]) -> None:
        batch = [message for happening in happenings for message in happening.messages]
        answer = await client.post("/v1/batch", json={"batch": batch})
        if answer.status_code != 200:
            raise CommandError(f"the intake answered {answer.status_code}: {answer.text[:200]}")
        counts = answer.json()
        self.played.accepted += counts["accepted"]
        self.played.duplicates += counts["duplicates"]
        self.played.dead += counts["dead"]

    async def break_mail(self, mail: MailReceiver, outage: Outage) -> None:
        """Have the mail server refuse during the outage."""
        await self._sleep_until(outage.begins)
        mail.refusing = True
        try:
            await self._sleep_until(outage.ends)
        finally:
            mail.refusing = False

    async def _wait_for(self, moment: datetime, done: int) -> None:
        """Sleep in short naps, so that progress moves on quiet days too."""
        while (left := self._left(moment)) > 0:
            self._progress(self._time.at(datetime.now(UTC)), done)
            await asyncio.sleep(min(left, 0.25))

    async def _sleep_until(self, moment: datetime) -> None:
        await asyncio.sleep(max(0.0, self._left(moment)))

    def _left(self, moment: datetime) -> float:
        return (self._time.real(moment) - datetime.now(UTC)) / timedelta(seconds=1)
