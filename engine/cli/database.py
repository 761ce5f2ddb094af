"""The installation's database for the length of one command, and the name of who gives it."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

# Nothing heavy is imported until a command really opens the database: `wayline lint` must stay quick.
if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.services import Services
    from engine.store.bundles import BundleShelf
    from engine.store.database import Store

T = TypeVar("T")


def read(look: Callable[[Session, BundleShelf], T]) -> T:
    """What `look` finds; nothing it does is kept."""
    with _opened() as (store, shelf), store.read() as session:
        return look(session, shelf)


@contextmanager
def opened() -> Iterator[tuple[Session, BundleShelf]]:
    """A session that only reads, for as long as the command goes through what it finds."""
    with _opened() as (store, shelf), store.read() as session:
        yield session, shelf


def write(work: Callable[[Session, BundleShelf, datetime], T]) -> T:
    """What `work` returns, done in one transaction; it is told the delivery time."""
    from engine.clock import SystemClock

    with _opened() as (store, shelf), store.begin() as session:
        return work(session, shelf, SystemClock().now())


def with_services(work: Callable[[Services], Awaitable[T]]) -> T:
    """What `work` returns, with all that an installation's processes work with; closed afterwards."""
    from engine.services import build_services
    from engine.settings import Settings

    async def do() -> T:
        services = build_services(Settings())
        try:
            return await work(services)
        finally:
            await services.close()

    return asyncio.run(do())


def who() -> str:
    """The account that gives the command, as records name it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that no account has.
        return f"uid {os.getuid()}"


@contextmanager
def _opened() -> Iterator[tuple[Store, BundleShelf]]:
    from engine.plugin.knowing import Knowing
    from engine.plugin.registry import load_registry
    from engine.settings import Settings
    from engine.store.bundles import BundleShelf
    from engine.store.database import open_store

    settings = Settings()
    # Only where a bundle has facts of plugins, and only when somebody asks for one.
    registry = cache(lambda: load_registry(disabled=settings.disabled_plugins))
    knowing = Knowing(lambda: registry().facts, lambda: registry().metrics)
    store, shelf = open_store(settings.database), BundleShelf(knowing=knowing)
    try:
        yield store, shelf
    finally:
        shelf.close()
        store.close()
