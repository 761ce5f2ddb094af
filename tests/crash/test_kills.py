"""kill -9 at every named boundary of intake, journeys, gate, calls, dispatch: nothing lost, nothing doubled.

Every process is a real one, and dies by SIGKILL in the middle of what it does; the next one, whose clock is
two hours ahead, finds what it left. One provider honours idempotency keys, the other (SMTP) knows none: it
gets nothing twice but what is declared to be sent at least once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.crash.conftest import hosted
from tests.crash.doomed import BOUNDARIES

if TYPE_CHECKING:
    from tests.crash.conftest import Host

BEFORE = {
    "gate.claim_due": None,
    "gate.set_out": None,
    "gate.claim_in_doubt": "gate.provider.answered",
    "journey.pick_up": "call.action.asked",
    "call.take": "call.action.asked",
    "dispatch.signal": None,
}
"""What has to happen for a process to come to a boundary: another one dies there, or lives (None)."""
ROUNDS = 5
OFTEN = ("journey.advance", "gate.depart", "gate.settle", "gate.provider", "call.begin", "call.action")
"""Boundaries that a process comes to for every person; to the others it comes once in a while."""


async def _kill_at(host: Host, boundary: str, times: int, people: int) -> None:
    name = boundary.rpartition(".")[0]
    if name in BEFORE:
        await host.live_or_die(BEFORE[name], 1, people)
    assert await host.live_or_die(boundary, times, people), f"no process came to {boundary}"


@pytest.mark.timeout(600)
async def test_a_process_may_die_anywhere_on_sqlite(sqlite_url: str, tmp_path: Path) -> None:
    async with hosted(sqlite_url, tmp_path, seed=1) as host:
        for boundary in BOUNDARIES:
            await _kill_at(host, boundary, 1, people=2)
        # Somebody's next step is their receipt, which then is at its provider when the next process dies.
        for boundary in ("call.settle.committed", "gate.provider.answered"):
            await _kill_at(host, boundary, 1, people=1)
        await host.finish()
        counts = host.reckon()
        _show(counts)
        assert counts["receipts repeated, as declared"] >= 1


@pytest.mark.timeout(600)
async def test_a_process_may_die_around_every_commit_of_the_gate_on_postgresql(
    postgres_url: str, tmp_path: Path
) -> None:
    async with hosted(postgres_url, tmp_path, seed=2) as host:
        for boundary in BOUNDARIES:
            if boundary.startswith(("intake", "gate.depart", "gate.set", "gate.provider", "call.settle")):
                await _kill_at(host, boundary, 1, people=2)
        await host.finish()
        _show(host.reckon())


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_hundreds_of_kills_among_thousands_of_intents(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Whichever boundary it is and however often it was passed before."""
    url: str = request.getfixturevalue(f"{database}_url")
    async with hosted(url, tmp_path, seed=3) as host:
        for _ in range(ROUNDS):
            for boundary in host.chance.sample(BOUNDARIES, len(BOUNDARIES)):
                times = host.chance.randint(1, 5) if boundary.startswith(OFTEN) else 1
                await _kill_at(host, boundary, times, people=6)
        await host.finish()
        counts = host.reckon()
        _show(counts)
        assert counts["kills"] >= ROUNDS * len(BOUNDARIES)
        assert counts["boundaries"] == len(BOUNDARIES)
        assert counts["receipts repeated, as declared"] >= 1


def _show(counts: dict[str, int]) -> None:
    """For whoever runs this with `-s`, or sees it fail."""
    sys.stdout.write("\n" + "".join(f"  {count:>7,}  {what}\n" for what, count in counts.items()))
