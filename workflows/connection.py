"""Where Temporal is, and the connection to it."""

from __future__ import annotations

import json
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RetryConfig, RPCError

from engine.errors import DriverUnavailable
from engine.settings import Settings

DEFAULT_PORT = 7233
STATE_FILE = "temporal.json"
"""Written by the embedded server into the data folder, so that other commands find it."""
PATIENCE = RetryConfig(
    initial_interval_millis=50, max_interval_millis=500, max_elapsed_time_millis=2000, max_retries=5
)
"""For calls whose caller tries again itself."""


def address_of(settings: Settings) -> str:
    """The address that is set, else that of this data folder's embedded server, else the default port."""
    if settings.temporal_address:
        return settings.temporal_address
    return recorded_address(settings.data_dir / STATE_FILE) or f"127.0.0.1:{DEFAULT_PORT}"


def recorded_address(file: Path) -> str | None:
    """The address the embedded server wrote last; None when it never ran or the file is damaged."""
    try:
        return str(json.loads(file.read_text())["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def connect(address: str, namespace: str, *, retry: RetryConfig | None = PATIENCE) -> Client:
    """A client that has reached the service once; DriverUnavailable when it does not answer."""
    try:
        return await Client.connect(address, namespace=namespace, retry_config=retry)
    except (RuntimeError, RPCError) as error:
        raise DriverUnavailable(f"Temporal does not answer at {address}") from error
