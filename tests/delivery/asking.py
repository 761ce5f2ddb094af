"""One of several processes that ask for leave as often as they can: `asking.py URL SECONDS`."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from datetime import timedelta

from engine.clock import SystemClock
from engine.delivery.providers import Providers
from engine.gate.model import Intent
from engine.gate.rates import Provider, Rate
from engine.gate.state import Moment
from engine.store.database import Store

RATES = (Rate(400, timedelta(seconds=1)), Rate(600, timedelta(seconds=2)))


def ask(url: str, seconds: float) -> list[float]:
    """The moments for which leave was given."""
    provider, clock, given = Provider("house", RATES), SystemClock(), []
    intent = Intent("k", "c", "marketing", 50, "hello", ("email",), "s", 1, clock.now())
    with closing(Store(url)) as store:
        providers = Providers(store)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = clock.now()
            if providers.admit(intent, provider, "email", Moment(now, now)) is None:
                given.append(now.timestamp())
            else:
                time.sleep(0.002)
    return given


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ask(sys.argv[1], float(sys.argv[2]))))
