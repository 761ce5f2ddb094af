"""Where Temporal is, and the connection to it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RetryConfig, RPCError

from engine.errors import DriverUnavailable
from engine.settings import Settings

STATE_FILE = "temporal.json"
"""Written by the embedded server into the data folder, so that other commands find it."""
PATIENCE = RetryConfig(
    initial_interval_millis=50, max_interval_millis=500, max_elapsed_time_millis=2000, max_retries=5
)
"""For calls whose caller tries again itself."""


def address_of(settings: Settings) -> str:
    """The address that is set, else that of this data folder's embedded server.

    DriverUnavailable when neither is there. The usual port is never guessed: what answers there may belong to
    another installation, whose workflows would then be taken for ours.
    """
    if settings.temporal_address:
        return settings.temporal_address
    found = recorded(settings.data_dir / STATE_FILE)
    if found is None or not is_alive(found.pid):
        raise DriverUnavailable(
            f"no embedded Temporal server runs for {settings.data_dir}: start `wayline up`, "
            "or set WAYLINE_TEMPORAL_ADDRESS"
        )
    return found.address


@dataclass(frozen=True)
class Recorded:
    """What an embedded server leaves in its folder while it runs."""

    address: str
    pid: int


def record(file: Path, found: Recorded) -> None:
    """Leave the note, whole or not at all."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(asdict(found)))
    draft.replace(file)


def recorded(file: Path) -> Recorded | None:
    """What the embedded server wrote last; None when it never ran or the file is damaged."""
    try:
        found = json.loads(file.read_text())
        return Recorded(str(found["address"]), int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def connect(address: str, namespace: str, *, retry: RetryConfig | None = PATIENCE) -> Client:
    """A client that has reached the service once; DriverUnavailable when it does not answer."""
    try:
        return await Client.connect(address, namespace=namespace, retry_config=retry)
    except (RuntimeError, RPCError) as error:
        raise DriverUnavailable(f"Temporal does not answer at {address}") from error
