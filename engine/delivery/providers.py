"""What is known of accounts at providers: a row each, shared by all processes.

A process takes leave for several messages at a time where a rate is high, and goes by what it read for a
second where no rate is declared; so a provider that is well costs a message nothing. Leave not used in
time is lost: it counts as taken, and a limit is never exceeded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

import structlog
from prometheus_client import Counter
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from engine.gate.model import Answer, Intent, Verdict
from engine.gate.rates import Book, Provider, Refusal, ask, note, read, written
from engine.gate.stages import Stage, share_of
from engine.gate.state import Attempt, Moment
from engine.store.bulk import insert_new, table_of
from engine.store.database import Store
from engine.store.prepared import Prepared
from engine.store.tables import ProviderRow

BELIEVED_FOR = timedelta(seconds=1)
"""How long a process goes by what it read of a provider for which no rate is declared."""
OPENED = Counter(
    "wayline_circuits_opened", "Providers left alone for a while, as they kept failing.", ["account"]
)
FAILED = ("retry", "unknown")
"""Results of attempts that count as failures of the provider."""

_PROVIDER = table_of(ProviderRow)
_READ = Prepared(select(_PROVIDER.c.book).where(_PROVIDER.c.account == bindparam("name")))
_LOCK = Prepared(select(_PROVIDER.c.book).where(_PROVIDER.c.account == bindparam("name")).with_for_update())
_WRITE = Prepared(
    update(_PROVIDER)
    .where(_PROVIDER.c.account == bindparam("name"))
    .values(book=bindparam("new_book"), updated_at=bindparam("moment"))
)

Told = TypeVar("Told")

_log = structlog.get_logger(__name__)


@dataclass
class _Known:
    """What this process may go by without asking anybody."""

    left: int
    """Messages that may still go out; a great many where there is no rate."""
    since: datetime
    until: datetime
    is_clean: bool


class Providers:
    """The books of the accounts in one store; used from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, _Known] = {}
        self._turn = Lock()

    def has_leave(self, provider: Provider, now: Moment) -> bool:
        """Whether a message may go out by what is known here; it is counted then."""
        with self._turn:
            known = self._known.get(provider.account)
            if known is None or known.left < 1 or not known.since <= now.delivery < known.until:
                return False
            known.left -= 1
            return True

    def admit(self, intent: Intent, provider: Provider, channel: str, now: Moment) -> Answer | None:
        """None when a message may go out; else the hold."""
        at = now.delivery
        if self.has_leave(provider, now):
            return None
        if not provider.rates:
            book = self._read(provider.account)
            if book.open_until is None and (book.busy_until is None or book.busy_until <= at):
                self._believe(provider, _Known(10**9, at, at + BELIEVED_FOR, book.is_clean))
                return None
        share, wanted = share_in(intent), provider.at_once
        answer, book = self._change(
            provider, at, lambda book: ask(provider, book, at, share=share, wanted=wanted)
        )
        if isinstance(answer, Refusal):
            return held_back(answer, provider, channel)
        if provider.rates and book.open_until is None:
            self._believe(provider, _Known(answer.number - 1, at, answer.until, book.is_clean))
        return None

    def note(self, provider: Provider, attempt: Attempt, now: Moment) -> None:
        """Write down how the provider answered, where that changes anything."""
        failed = attempt.result in FAILED
        with self._turn:
            known = self._known.get(provider.account)
            if (
                not failed
                and known is not None
                and known.is_clean
                and known.since <= now.delivery < known.until
            ):
                return
            if failed:
                self._known.pop(provider.account, None)
        if not failed and self._read(provider.account).is_clean:
            return
        opened, _ = self._change(
            provider,
            now.delivery,
            lambda book: note(provider, book, now.delivery, failed=failed, busy_for=attempt.busy_for),
        )
        if opened:
            OPENED.labels(provider.account).inc()
            _log.warning("a provider keeps failing and is left alone for a while", account=provider.account)

    def _believe(self, provider: Provider, known: _Known) -> None:
        with self._turn:
            self._known[provider.account] = known

    def _read(self, account: str) -> Book:
        with self._store.read() as session:
            row = _READ.row(session, {"name": account})
        return Book() if row is None else read(row.book)

    def _change(self, provider: Provider, at: datetime, change: Callable[[Book], Told]) -> tuple[Told, Book]:
        with self._store.begin() as session:
            book = _locked(session, provider.account, at)
            answer = change(book)
            _WRITE.run(session, {"name": provider.account, "new_book": written(book), "moment": at})
        return answer, book


def share_in(intent: Intent) -> float:
    """What tells an intent from others that are held with it; the same in every driver."""
    return share_of(f"{intent.contact_id}/{intent.journey}/{intent.step_id}/{intent.visit}")


def held_back(refusal: Refusal, provider: Provider, channel: str) -> Answer:
    """The hold of a message that its provider cannot be given now."""
    back = refusal.retry_at.isoformat()
    # A provider that fails lets another channel try; one that is merely busy is waited for.
    is_failing = refusal.reason.startswith("circuit.")
    return Answer(
        Verdict.HOLD,
        Stage.RATE,
        refusal.reason,
        channel=channel,
        evidence={"account": provider.account, **refusal.evidence, "retry_at": back},
        would_pass_if=f"it is tried at {back}, or sooner once the provider answers again"
        if is_failing
        else f"it is tried at {back}",
        retry_at=refusal.retry_at,
        keeps_channel=not is_failing,
    )


def _locked(session: Session, account: str, at: datetime) -> Book:
    row = _LOCK.row(session, {"name": account})
    if row is None:
        insert_new(session, ProviderRow, [{"account": account, "book": {}, "updated_at": at}])
        row = _LOCK.row(session, {"name": account})
    assert row is not None, "it was inserted, or somebody else's is there"
    return read(row.book)
