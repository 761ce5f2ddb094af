"""Messages as lines of JSON in a folder, one file per day (UTC): for letters, hand-overs and rehearsals.

A key is written once, also when several processes share the folder: a lock on the folder is held from looking
a key up to having its line on the disk.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from engine.plugin import (
    Accepted,
    Capabilities,
    Channel,
    Clock,
    Duration,
    Message,
    Preflight,
    Rejected,
    Retry,
    SendResult,
    SystemClock,
    Unknown,
    hookimpl,
)


class FileSettings(BaseModel):
    """Where a file channel writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Field(description="Created when it is not there; relative to where the process runs.")
    remember: Duration = Field(
        default=timedelta(days=30),
        ge=timedelta(0),
        description="How far back a repeated key is recognised, in whole days.",
    )
    retry_after: Duration = Field(
        default=timedelta(minutes=1), description="When to come back to a full disk."
    )


class FileChannel:
    """Appends one line per message and answers only when the line is on the disk."""

    name = "file"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = FileSettings
    capabilities = Capabilities(idempotency_key=True)

    def __init__(self, configuration: FileSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Dates the lines and chooses the day's file."""
        self._book = _Book(configuration.folder) if configuration else None

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, FileSettings)
        return FileChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        return Preflight(True) if message.to else Preflight(False, "no_address")

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        if self._book is None or self._configuration is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        if not message.to:
            return Rejected("no_address", permanent_address=True)
        now = self.clock.now()
        line = _line_of(message, idempotency_key, now.isoformat())
        since = now.date() - self._configuration.remember
        try:
            where = await asyncio.to_thread(self._book.enter, idempotency_key, line, now.date(), since)
        except _MayBeWritten as error:
            return Unknown(str(error))
        except OSError as error:
            return Retry(self._configuration.retry_after, f"disk.{error.errno or 'error'}")
        return Accepted(where)

    async def close(self) -> None:
        """Nothing is held open between two messages."""


class _MayBeWritten(Exception):
    """The line could be neither secured nor taken back."""


class _Book:
    """The folder: which keys its files hold, and how a line gets in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread_lock = threading.Lock()
        self._read_up_to: dict[str, int] = {}
        self._places: dict[str, str] = {}
        """Key -> file and position of its line."""

    def enter(self, key: str, line: bytes, today: date, since: date) -> str:
        """Where the key's line stands, writing it if there is none; OSError when nothing was written."""
        with self._thread_lock, self._locked():
            self._catch_up(since)
            if key in self._places:
                return self._places[key]
            path = self._folder / f"{today.isoformat()}.jsonl"
            start = self._append(path, line)
            self._read_up_to[path.name] = start + len(line)
            self._places[key] = f"{path.name}@{start}"
            return self._places[key]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed, and by the system after a kill
            yield

    def _catch_up(self, since: date) -> None:
        """Read what other processes, or an earlier life of this one, have written."""
        for path in sorted(self._folder.glob("????-??-??.jsonl")):
            known = self._read_up_to.get(path.name, 0)
            size = path.stat().st_size
            if path.name < f"{since.isoformat()}.jsonl" or size == known:
                continue
            if size < known:
                known = 0  # somebody edited the file; what it holds now is what counts
            with path.open("rb") as file:
                file.seek(known)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # torn by a crash, never acknowledged: the next line takes its place
                    key = _key_of(line)
                    if key is not None:
                        self._places.setdefault(key, f"{path.name}@{known}")
                    known += len(line)
            self._read_up_to[path.name] = known

    def _append(self, path: Path, line: bytes) -> int:
        with path.open("ab") as file:
            # Past the last whole line there can only be the remains of a crash: the folder is locked.
            start = self._read_up_to.get(path.name, 0)
            os.ftruncate(file.fileno(), start)
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                self._take_back(file.fileno(), start, error)
                raise
        if start == 0:
            self._secure_folder()
        return start

    @staticmethod
    def _take_back(descriptor: int, start: int, error: OSError) -> None:
        try:
            os.ftruncate(descriptor, start)
            os.fsync(descriptor)
        except OSError:
            raise _MayBeWritten(
                f"the disk failed ({error.errno}) and the line could not be taken back"
            ) from error

    def _secure_folder(self) -> None:
        """A new file's name is on the disk only when its folder is."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _line_of(message: Message, key: str, at: str) -> bytes:
    record = {
        "key": key,
        "at": at,
        "to": message.to,
        "subject": message.subject,
        "body": message.body,
        "call_to_action": message.call_to_action,
        "contact_id": message.contact_id,
        "purpose": message.purpose,
        "content": message.content,
        "locale": message.locale,
        "unsubscribe_url": message.unsubscribe_url,
        "headers": dict(message.headers),
    }
    # Half surrogates cannot be written as UTF-8; as \u escapes they keep what the key was.
    text = json.dumps(record, ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(record).encode() + b"\n"


def _key_of(line: bytes) -> str | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None  # edited by hand; it holds no key of ours
    key = record.get("key") if isinstance(record, dict) else None
    return key if isinstance(key, str) else None


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [FileChannel()]
