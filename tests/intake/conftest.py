"""An intake over a real store, with the shipped workspace published and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from engine.clock import FixedClock
from engine.delivery.ending import Ended
from engine.delivery.onward import Onward
from engine.delivery.progress import Progress
from engine.delivery.setting_out import Wish
from engine.delivery.viewing import Situation
from engine.gate.model import Outcome
from engine.gate.state import Claim
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.answering import Receipt
from engine.intake.segment import translate
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.control import ensure_control
from engine.store.database import Store

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)


class NothingToDeliver:
    """Stands where delivery would: intake itself never delivers."""

    def plan_each(
        self, session: Session, wishes: Sequence[Wish], now: datetime, situation: Situation
    ) -> list[Claim | None]:
        raise AssertionError(f"intake planned {[each.intent.key for each in wishes]}")

    def settle_each(self, session: Session, many: Sequence[Ended]) -> list[Progress | None]:
        raise AssertionError(f"intake settled {[each.claim.intent.key for each in many]}")

    async def deliver(
        self, key: str, *, carried: bool = False, claim: Claim | None = None, onward: Onward | None = None
    ) -> Outcome | None:
        raise AssertionError(f"intake delivered {key} ({carried=})")


@dataclass
class Bench:
    """Everything a test of intake holds in its hands."""

    store: Store
    shelf: BundleShelf
    intake: Intake
    clock: FixedClock

    def accept(self, *messages: Any, source: str = "test") -> Receipt:
        return self.intake.accept([translate(message) for message in messages], source=source)

    def count(self, table: type[SQLModel]) -> int:
        with self.store.read() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def all(self, table: type[Any]) -> list[Any]:
        with self.store.read() as session:
            return list(session.scalars(select(table)))

    def one(self, table: type[Any]) -> Any:
        (row,) = self.all(table)
        return row


@pytest.fixture(scope="session")
def shelf() -> Iterator[BundleShelf]:
    """Compiled bundles, once for all tests: they depend on nothing but their files."""
    shelf = BundleShelf()
    yield shelf
    shelf.close()


@pytest.fixture
def unpublished(store: Store, shelf: BundleShelf) -> Bench:
    """A workspace that is set up, with nothing in force yet."""
    clock = FixedClock(NOW)
    with store.begin() as session:
        ensure_control(session, NOW)
    runs = Runs(store, shelf, NothingToDeliver(), clock)
    return Bench(store, shelf, Intake(store, shelf, runs, clock), clock)


@pytest.fixture
def make_bench(shelf: BundleShelf, shipped_files: Mapping[str, str]) -> Callable[[Store], Bench]:
    def make(store: Store) -> Bench:
        clock = FixedClock(NOW)
        with store.begin() as session:
            publish(session, shipped_files, by="test", now=NOW)
        runs = Runs(store, shelf, NothingToDeliver(), clock)
        return Bench(store, shelf, Intake(store, shelf, runs, clock), clock)

    return make


@pytest.fixture
def bench(store: Store, make_bench: Callable[[Store], Bench]) -> Bench:
    """On SQLite and on PostgreSQL."""
    return make_bench(store)


@pytest.fixture
def sqlite_bench(sqlite_store: Store, make_bench: Callable[[Store], Bench]) -> Bench:
    """For what does not depend on the database."""
    return make_bench(sqlite_store)
