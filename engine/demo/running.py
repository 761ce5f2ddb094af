"""The whole demonstration from an empty folder to the closing table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlmodel import col

from engine.authoring.shipped import shipped_folder
from engine.clock import JourneyTime
from engine.demo.histories import FIRST_DAY, Happening, read_purchases, replay
from engine.demo.playing import Outage, Played, Player
from engine.demo.receivers import MailReceiver, WebhookReceiver
from engine.demo.stage import Stage
from engine.demo.tally import Tally, take_tally
from engine.store.database import Store
from engine.store.tables import DecisionRow

OUTAGE_AT = 0.45
"""Share of the days after which the mail server starts refusing."""
OUTAGE_SECONDS = 8.0
"""Delivery seconds it refuses for."""
DRAIN_SECONDS = 6.0
"""Delivery seconds left at the end for what is still on its way."""


@dataclass(frozen=True)
class Plan:
    """What to play: the defaults fit about two minutes on a small machine."""

    folder: Path
    contacts: int
    days: int
    seconds_per_day: float
    seed: int

    @property
    def scale(self) -> float:
        """Journey seconds per real second."""
        return timedelta(days=1).total_seconds() / self.seconds_per_day

    @property
    def begins(self) -> datetime:
        return datetime.combine(FIRST_DAY, time(), UTC)

    @property
    def ends(self) -> datetime:
        return self.begins + timedelta(days=self.days)

    @property
    def outage(self) -> Outage:
        begins = self.begins + timedelta(days=self.days) * OUTAGE_AT
        return Outage(begins, begins + timedelta(days=OUTAGE_SECONDS / self.seconds_per_day))

    def happenings(self) -> list[Happening]:
        purchases = list(read_purchases(shipped_folder("data") / "cdnow" / "CDNOW_sample.txt.gz"))
        return replay(purchases, contacts=self.contacts, days=self.days, seed=self.seed)


@dataclass(frozen=True)
class Result:
    """What the demonstration has to show."""

    tally: Tally
    played: Played
    mails: int
    mails_refused: int
    mails_doubled: int
    webhooks: int
    webhooks_repeated: int
    letters: int
    telling_intent: str | None
    """A message worth explaining: blocked by a check if there is one, else held by the breaker."""
    explanation: str
    """What `wayline explain` answers for it."""


async def run_demo(
    plan: Plan,
    *,
    say: Callable[[str], None],
    progress: Callable[[datetime, int, int], None],
) -> Result:
    """Play the plan and count; raises CommandError when a part does not start or does not answer.

    `progress` receives the journey moment reached, happenings fed and happenings in all.
    """
    happenings = plan.happenings()
    async with MailReceiver() as mail, WebhookReceiver() as webhook:
        stage = Stage(plan.folder, mail, webhook, scale=plan.scale)
        number = stage.prepare(plan.begins)
        say(f"published the shipped rulesets as bundle {number}")
        try:
            await stage.start()
            say(f"`wayline up` serves at {stage.url} with a Temporal server of its own")
            origin = stage.set_journey_time(plan.begins)
            player = Player(
                stage.url,
                stage.write_key,
                JourneyTime(origin, plan.begins, plan.scale),
                progress=lambda moment, fed: progress(moment, fed, len(happenings)),
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(player.play(happenings, plan.ends))
                tasks.create_task(player.break_mail(mail, plan.outage))
            await asyncio.sleep(DRAIN_SECONDS)
        finally:
            await stage.stop()
        with closing(stage.store()) as store, store.read() as session:
            tally = take_tally(session)
        telling = _telling_intent(stage)
        return Result(
            tally=tally,
            played=player.played,
            mails=len(mail.taken),
            mails_refused=mail.refused,
            mails_doubled=mail.doubled,
            webhooks=webhook.applied,
            webhooks_repeated=webhook.repeated,
            letters=_count_letters(plan.folder / "letters"),
            telling_intent=telling,
            explanation=await stage.ask("explain", telling) if telling else "",
        )


def _count_letters(folder: Path) -> int:
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in folder.glob("*.jsonl"))


def _telling_intent(stage: Stage) -> str | None:
    with closing(stage.store()) as store:
        return _first(store, "content.%") or _first(store, "breaker.%")


def _first(store: Store, reason: str) -> str | None:
    query = (
        select(col(DecisionRow.intent_key))
        .where(col(DecisionRow.kind) == "message", col(DecisionRow.reason).like(reason))
        .order_by(col(DecisionRow.id))
        .limit(1)
    )
    with store.read() as session:
        return session.scalar(query)
