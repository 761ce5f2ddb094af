"""Takes in what the platforms of channels tell: receipts, messages of people, what else they did.

Nothing here knows a platform: its channel has read the callback, and has verified who signed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, cast

import structlog
from prometheus_client import Counter
from sqlalchemy import CursorResult, delete, select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.clock import Clock
from engine.contacts.hearing import CALLBACK, REPLY_TO
from engine.delivery import early, receipts
from engine.delivery.outlets import Outlets
from engine.delivery.viewing import read_situation
from engine.errors import NotFound, WaylineError
from engine.gate.state import Moment
from engine.intake import inbound
from engine.intake.accepting import Intake
from engine.intake.incoming import Incoming
from engine.intake.segment import translate
from engine.journeys.event import MARKETING_RESUMED, MARKETING_STOPPED
from engine.plugin.callbacks import (
    Callback,
    Happened,
    Inbound,
    Listens,
    Preference,
    Receipt,
    Refused,
    Told,
)
from engine.plugin.calling import ChannelFailed, call_callback
from engine.store.bulk import insert_new
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import CallbackRow

PARSING = timedelta(seconds=5)
"""How long a channel may take over one callback; platforms wait about as long before they come again."""
REMEMBERED = timedelta(days=8)
"""How long a delivery is known again; the most patient platforms stop repeating one after a week."""
FORGETTING_EVERY = timedelta(minutes=1)
LONGEST_SAID = 300
"""Characters that are kept of a platform's word for what somebody wants."""
AT_ONCE = 100
"""Receipts that one round applies late."""

CALLBACKS = Counter(
    "wayline_callbacks", "Callbacks of platforms, by what became of them.", ["channel", "result"]
)
TOLD = Counter(
    "wayline_told", "What platforms told, by kind and what it came to.", ["channel", "kind", "became"]
)

_log = structlog.get_logger(__name__)


class Became(StrEnum):
    """What a callback came to."""

    TAKEN = "taken"
    REPEATED = "repeated"
    """The same delivery was taken in before; nothing happened."""


class CallbackFailed(WaylineError):
    """The channel could not read a callback that may well be genuine; the platform should send it again."""


@dataclass(frozen=True)
class Taken:
    """What came of one callback, what to reply, and the runs that it set off, leased to this process."""

    became: Became
    callback: Callback
    run_ids: tuple[str, ...] = ()


class Callbacks:
    """Takes in what platforms tell; any number of processes may do so on one database."""

    def __init__(
        self,
        store: Store,
        shelf: BundleShelf,
        outlets: Outlets,
        intake: Intake,
        clock: Clock,
        *,
        secret: str | None = None,
    ) -> None:
        """`secret` keys the list of closed addresses that outlives contacts; without it there is none."""
        self._store = store
        self._secret = secret
        self._shelf = shelf
        self._outlets = outlets
        self._intake = intake
        self._clock = clock
        self._forgot_at: datetime | None = None

    async def take(
        self, channel: str, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Taken | Refused:
        """Read one callback and let what it tells happen.

        NotFound when no bundle in force has such a channel, or its platform does not call; CallbackFailed
        when the channel broke over it. Nothing is kept of a callback that is refused.
        """
        bundle = await self._store.run(self._live)
        listening = self._listening(bundle, channel)
        if listening is None:
            raise NotFound(f"no channel {channel!r} takes callbacks")
        try:
            said = await asyncio.to_thread(call_callback, listening, raw_body, headers, query, PARSING)
        except ChannelFailed as error:
            CALLBACKS.labels(channel, "failed").inc()
            _log.error("a channel failed over a callback", channel=channel, because=str(error))
            raise CallbackFailed(f"channel {channel!r} could not read the callback") from None
        if isinstance(said, Refused):
            CALLBACKS.labels(channel, said.code).inc()
            _log.warning("a callback was refused", channel=channel, code=said.code, detail=said.detail)
            return said
        taken = await self._store.run(self._take, bundle, channel, said)
        CALLBACKS.labels(channel, taken.became.value).inc()
        return taken

    def let_happen(self, bundle: Bundle, channel: str, told: Sequence[Told]) -> tuple[str, ...]:
        """Let it happen, each once however often it is told; the runs that start, leased to this process."""
        run_ids = list[str]()
        for each in told:
            if isinstance(each, Receipt):
                self._receive(bundle, channel, each)
        messages = [
            inbound.Inbound(
                channel,
                each.address,
                each.provider_id,
                each.text,
                each.at,
                each.answers or None,
                _with_names(each),
            )
            for each in told
            if isinstance(each, Inbound)
        ]
        source = f"{CALLBACK}{channel}"
        if messages:
            hearing = inbound.hear(
                self._store, self._shelf, self._intake, messages, source=source, now=self._clock.now()
            )
            run_ids += hearing.run_ids
            for heard in hearing.heard:
                TOLD.labels(channel, "message", heard.value).inc()
        happened = [each for each in told if isinstance(each, Happened)]
        # What somebody refuses counts before anything that they did sets off a message.
        refused = [_as_event(channel, each) for each in told if isinstance(each, Preference)]
        for kind, many in (("preference", refused), ("event", happened)):
            if not many:
                continue
            events = [self._event(bundle, channel, each) for each in many]
            receipt = self._intake.accept(events, source=source)
            run_ids += receipt.run_ids
            for became in ("accepted", "duplicates", "dead"):
                TOLD.labels(channel, kind, became).inc(getattr(receipt, became))
        return tuple(run_ids)

    async def forget(self) -> int:
        """Let go of deliveries that no platform repeats any more, and of receipts whose message nobody came
        to know, if it is time; how many. Receipts whose message is known by now are applied before."""
        now = self._clock.now()
        if self._forgot_at is not None and now - self._forgot_at < FORGETTING_EVERY:
            return 0
        self._forgot_at = now
        await self._store.run(self._receive_kept, now)
        return await self._store.run(self._forget, now - REMEMBERED, now - early.KEPT)

    def _live(self) -> Bundle:
        with self._store.read() as session:
            return self._shelf.live(session)

    def _listening(self, bundle: Bundle, channel: str) -> Listens | None:
        opened = self._outlets.open(bundle, channel)
        return opened if isinstance(opened, Listens) else None

    def _take(self, bundle: Bundle, channel: str, callback: Callback) -> Taken:
        digest = sha256(callback.id.encode("utf-8", "surrogatepass")).hexdigest()
        if callback.id and self._is_known(channel, digest):
            return Taken(Became.REPEATED, callback)
        run_ids = self.let_happen(bundle, channel, callback.told)
        if callback.id:
            # Afterwards: a crash in between lets the platform tell it again, and each thing happens once.
            with self._store.begin() as session:
                insert_new(
                    session,
                    CallbackRow,
                    [{"channel": channel, "digest": digest, "taken_at": self._clock.now()}],
                )
        return Taken(Became.TAKEN, callback, run_ids)

    def _is_known(self, channel: str, digest: str) -> bool:
        asked = select(col(CallbackRow.digest)).where(
            col(CallbackRow.channel) == channel, col(CallbackRow.digest) == digest
        )
        with self._store.read() as session:
            return session.execute(asked).first() is not None

    def _receive(self, bundle: Bundle, channel: str, told: Receipt) -> None:
        receipt = receipts.Receipt(
            receipts.Said(told.said),
            told.at,
            told.intent or None,
            channel,
            told.provider_id or None,
            told.code,
            told.permanent,
        )
        closing = self._closing(bundle, f"{CALLBACK}{channel}")
        with self._store.begin() as session:
            time = read_situation(session).time
            became = receipts.receive(
                session, receipt, Moment.of(self._clock.now(), time), closing, shelf=self._shelf
            )
        TOLD.labels(channel, "receipt", became.value).inc()

    def _event(self, bundle: Bundle, channel: str, told: Happened) -> Incoming:
        """As a sender of events would have put it, so that a dead letter can be tried again as any other."""
        message = {
            "type": "track",
            "event": told.type,
            "messageId": _event_id(channel, told.id),
            "timestamp": self._journey(told.at).isoformat(),
            "properties": _with_names(told),
            "context": {"externalIds": [{"type": bundle.channels[channel].identity, "id": told.address}]},
        }
        return translate(message)

    def _journey(self, at: datetime) -> datetime:
        with self._store.read() as session:
            return read_situation(session).time.at(at)

    def _receive_kept(self, now: datetime) -> None:
        """Apply receipts that slipped in just when their message became known."""
        with self._store.read() as session:
            found = early.findable(session, AT_ONCE)
            if not found:
                return
            bundle, time = self._shelf.live(session), read_situation(session).time
        for each in found:
            with self._store.begin() as session:
                moment = Moment.of(now, time)
                became = receipts.receive_kept(
                    session, each, moment, self._closing(bundle, each.source), shelf=self._shelf
                )
            TOLD.labels(each.channel, "receipt", became.value).inc()

    def _closing(self, bundle: Bundle, source: str) -> receipts.Closing:
        platforms = {name: each.identity for name, each in bundle.channels.items()}
        return receipts.Closing(platforms, self._secret, source)

    def _forget(self, before: datetime, kept_before: datetime) -> int:
        with self._store.begin() as session:
            old = session.execute(delete(CallbackRow).where(col(CallbackRow.taken_at) < before))
            return cast(CursorResult[Any], old).rowcount + early.forget_before(session, kept_before)


def _with_names(told: Inbound | Happened) -> dict[str, Any]:
    """The properties of the event, with what an answer to it has to name."""
    named = {REPLY_TO: dict(told.reply_to)} if told.reply_to else {}
    return {**told.properties, **named}


def _as_event(channel: str, told: Preference) -> Happened:
    """What somebody told the platform, as the built-in event that withdraws, or notes, their consent."""
    said = {"said": told.said[:LONGEST_SAID]} if told.said else {}
    kind = MARKETING_RESUMED if told.wanted else MARKETING_STOPPED
    return Happened(kind, told.address, told.at, f"{kind}:{told.id}", {"channel": channel, **said})


def _event_id(channel: str, name: str) -> str:
    """Names the event for ever, and says nothing: platforms put addresses into their ids."""
    return f"callback:{channel}:{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
