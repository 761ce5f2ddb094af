"""Has texts written by generators that ask somebody else: each once, within a budget, and kept.

No transaction is open while a generator is asked. What it may use of a day is taken before (`allowances`).
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Protocol

from sqlalchemy import bindparam, select

from engine.authoring.bundle import GeneratorConfig
from engine.clock import Clock
from engine.delivery.allowances import Taken, give_back, take
from engine.delivery.limits import Limits
from engine.errors import PluginError
from engine.plugin.calling import call_generator, within
from engine.plugin.contracts import (
    Draft,
    GenerateRequest,
    Generator,
    GeneratorFailed,
    Provenance,
)
from engine.plugin.patience import TooSlow
from engine.plugin.registry import Registry
from engine.store.bulk import insert_new, table_of
from engine.store.database import Store
from engine.store.tables import WrittenTextRow

_CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")
_TEXT = table_of(WrittenTextRow)
_WHAT_CAME = select(_TEXT).where(
    _TEXT.c.intent_key == bindparam("intent_key"), _TEXT.c.asked == bindparam("asked")
)


@dataclass(frozen=True)
class Written:
    """A text, or why there is none, in a word."""

    draft: Draft | None
    because: str = ""


class Writers(Protocol):
    """Who writes the texts of contents that name a generator of the ruleset."""

    def write(self, config: GeneratorConfig, intent_key: str, request: GenerateRequest, day: date) -> Written:
        """The text for a message; the same for the same message, and never an exception of a generator's."""


class AskingWriters:
    """`Writers` over the store; for threads that may wait."""

    def __init__(self, store: Store, registry: Registry, limits: Limits, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._limits = limits
        self._clock = clock
        self._open: dict[str, Generator] = {}
        self._lock = threading.Lock()

    def write(self, config: GeneratorConfig, intent_key: str, request: GenerateRequest, day: date) -> Written:
        asked = _hash_of(config, request)
        with self._store.read() as session:
            kept = session.execute(_WHAT_CAME, {"intent_key": intent_key, "asked": asked}).first()
        if kept is not None:
            return _kept(kept)
        written, unused = self._asked(config, request, day)
        with self._store.begin() as session:
            give_back(session, config, day, unused)
            insert_new(session, WrittenTextRow, [_row(intent_key, asked, written, self._clock.now())])
        with self._store.read() as session:
            # Somebody whose lease had run out may have been faster: a message has one text.
            return _kept(session.execute(_WHAT_CAME, {"intent_key": intent_key, "asked": asked}).one())

    def _asked(self, config: GeneratorConfig, request: GenerateRequest, day: date) -> tuple[Written, Taken]:
        """What came of asking now, and what of that taken for it was not used."""
        try:
            generator = self._opened(config)
            most = self._most_tokens(generator, request)
        except PluginError:
            return Written(None, "unavailable"), Taken()
        except GeneratorFailed as error:
            return Written(None, code_of(error)), Taken()
        taken = take(self._store, config, day, most)
        if isinstance(taken, str):
            return Written(None, taken), Taken()
        try:
            draft = call_generator(generator, request, self._limits.generate)
        except GeneratorFailed as error:
            return Written(None, code_of(error)), taken.unused(config, error.tokens, error.answered)
        source = draft.provenance
        return Written(draft), taken.unused(config, source.tokens, source.answered)

    def _opened(self, config: GeneratorConfig) -> Generator:
        """The generator as it is configured; bundles with equal settings share its connections."""
        key = json.dumps([config.plugin, config.settings], sort_keys=True, default=str)
        with self._lock:
            if key not in self._open:
                self._open[key] = self._registry.generator(config.plugin, config.settings)
            return self._open[key]

    def _most_tokens(self, generator: Generator, request: GenerateRequest) -> int:
        """What the text costs at most; 0 where nobody counts."""
        counts = getattr(generator, "most_tokens", None)
        if not callable(counts):
            return 0
        try:
            most: object = within(self._limits.generate, lambda: counts(request), generator.name)
        except GeneratorFailed:
            raise
        except TooSlow:
            raise GeneratorFailed("it cannot say what a text costs", code="slow") from None
        except Exception:  # noqa: BLE001 - what cannot be paid for is not asked for
            raise GeneratorFailed("it cannot say what a text costs", code="raised") from None
        if not isinstance(most, int) or isinstance(most, bool) or most < 0:
            raise GeneratorFailed("it cannot say what a text costs", code="nonsense")
        return most


def told_of(facts: Mapping[str, Any], named: tuple[str, ...]) -> dict[str, Any]:
    """The named facts and no others, in the groups in which they stand; what is not known is left out."""
    told: dict[str, Any] = {}
    for path in named:
        *groups, last = path.split(".")
        source: Any = facts
        for group in groups:
            source = source.get(group) if isinstance(source, Mapping) else None
        if not isinstance(source, Mapping) or source.get(last) is None:
            continue
        into = told
        for group in groups:
            into = into.setdefault(group, {})
        into[last] = source[last]
    return told


def _hash_of(config: GeneratorConfig, request: GenerateRequest) -> str:
    """Who is asked for what; not what is known of the reader, which may change while a message is held."""
    parts = [
        config.id,
        config.plugin,
        config.settings,
        asdict(request.content),
        request.channel,
        request.purpose,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def code_of(error: GeneratorFailed) -> str:
    """The generator's own word, if it is one."""
    return error.code if isinstance(error.code, str) and _CODE.fullmatch(error.code) else "failed"


def _row(intent_key: str, asked: str, written: Written, now: datetime) -> dict[str, Any]:
    draft = written.draft
    return {
        "intent_key": intent_key,
        "asked": asked,
        "at": now,
        "because": written.because,
        "text": {}
        if draft is None
        else {
            "subject": draft.subject,
            "body": draft.body,
            "call_to_action": draft.call_to_action,
            "locale": draft.locale,
        },
        "provenance": {} if draft is None else asdict(draft.provenance),
    }


def _kept(row: Any) -> Written:
    if row.because or not row.text:
        return Written(None, row.because or "erased")
    return Written(Draft(**row.text, provenance=Provenance(**row.provenance)))
