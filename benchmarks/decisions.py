"""Looking decisions up among ten million on PostgreSQL, and what each index adds to writing one.

Rows are generated with the skew of real installations: few journeys and reasons make most of them, some are
rare, and one contact has ten thousand. Whole requests are timed, in this process. Run it with
`python -m benchmarks.decisions [ROWS]`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import httpx
import psycopg
from pydantic import SecretStr
from sqlalchemy import Index, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex

from benchmarks.ground import WORKSPACE, databases, journey, machine, set_up
from engine.api.app import create_app
from engine.governance.keys import ensure_keys
from engine.services import build_services
from engine.settings import Settings
from engine.store.bulk import insert_rows, table_of
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, IntentRow

ROWS = 10_000_000
TIMES = 200
"""Requests of each kind."""
ROUNDS, BATCH = 9, 2_000
"""Transactions that are timed with each set of indexes, of which the best counts, and decisions in one."""
WHALE = "f" * 32
WHALE_HAS = 10_000
TOKEN = "benchmark-operator-token"
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
JOURNEYS = [f"journey_{number:02}" for number in range(20)]
KINDS: list[tuple[int, str, str, str, str, str, str]] = [
    # weight of 100,000: kind, stage, verdict, reason, outcome, channel
    (30_000, "message", "hand_over", "allow", "sent.accepted", "sent", "app"),
    (20_000, "entry", "entry", "allow", "entry.entered", "", ""),
    (15_000, "run", "run", "allow", "run.completed", "", ""),
    (10_000, "entry", "entry", "skip", "entry.no_match", "", ""),
    (8_000, "message", "caps", "hold", "cap.full", "", "app"),
    (6_000, "message", "quiet", "hold", "quiet.hours", "", "app"),
    (5_000, "branch", "branch", "allow", "run.branched", "", ""),
    (3_500, "message", "consent", "block", "consent.unknown", "blocked", "email"),
    (1_400, "message", "caps", "skip", "cap.full", "capped", "email"),
    (1_000, "message", "hand_over", "fail", "failed.rejected", "failed", "email"),
    (90, "message", "standing", "skip", "expired.deadline", "expired", ""),
    (9, "message", "hand_over", "fail", "unknown.no_answer", "unknown", "app"),
    (1, "message", "identity", "skip", "channel.outside_window", "blocked", "app"),
]
COLUMNS = (
    *("at", "schema_version", "kind", "contact_id", "journey", "run_id", "intent_key", "stage", "channel"),
    *("verdict", "reason", "outcome", "evidence", "would_pass_if", "bundle_hash"),
)
EVIDENCE = (
    '{"cap": "weekly", "used": 3, "limit": 3, "frees_at": "2026-05-05T03:00:00+00:00", "full": ["weekly"]}'
)


@dataclass
class Known:
    """What look-ups ask for, drawn from what was written."""

    contacts: list[str]
    runs: list[str]
    intents: list[tuple[str, str]]
    """Each with its run."""


def lines(rows: int, known: Known, bundle: str, draw: random.Random) -> Iterator[str]:
    """The rows as COPY reads them, in the order in which they happened."""
    weights = [weight for weight, *_ in KINDS]
    shares = [1 / (place + 1) for place in range(len(JOURNEYS))]
    contacts = max(rows // 40, 100)
    step = (LAST - FIRST) / rows
    whale_every = max(rows // WHALE_HAS, 1)
    run = intent = contact = in_journey = ""
    kept = max(rows // 2_000, 1)
    for start in range(0, rows, 10_000):
        picks = draw.choices(KINDS, weights, k=10_000)
        journeys = draw.choices(JOURNEYS, shares, k=10_000)
        for offset in range(min(10_000, rows - start)):
            place = start + offset
            _, kind, stage, verdict, reason, outcome, channel = picks[offset]
            if place % 5 == 0:  # a run leaves five decisions
                run, in_journey = f"{draw.getrandbits(128):032x}", journeys[offset]
                # Few contacts are in most runs.
                contact = f"{int(contacts * draw.random() ** 3) * 2_654_435_761 % 2**64:032x}"
            key = r"\N"
            if kind == "message":
                if place % 4 or not intent:  # some messages are decided twice: held, then sent
                    intent = f"{draw.getrandbits(128):032x}"
                key = intent
            owner = WHALE if place % whale_every == 0 else contact
            if place % kept == 0:
                known.contacts.append(owner)
                known.runs.append(run)
            if key != r"\N" and len(known.intents) < place / kept:
                known.intents.append((key, run))
            values = (
                (FIRST + step * place).isoformat(),
                "decision.v1",
                kind,
                owner,
                in_journey,
                r"\N" if reason == "entry.no_match" else run,
                key,
                stage,
                channel or r"\N",
                verdict,
                reason,
                outcome or r"\N",
                EVIDENCE,
                "" if verdict == "allow" else "it is tried later",
                bundle,
            )
            yield "\t".join(values) + "\n"


def fill(url: str, rows: int, bundle: str) -> Known:
    """Write the decisions without any index, then contacts and messages for some of them."""
    known = Known([], [], [])
    draw = random.Random(7)
    with psycopg.connect(url, autocommit=True) as connection:
        for index in table_of(DecisionRow).indexes:
            connection.execute(f"DROP INDEX {index.name}")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY decision ({', '.join(COLUMNS)}) FROM STDIN") as copy,
        ):
            chunk: list[str] = []
            for line in lines(rows, known, bundle, draw):
                chunk.append(line)
                if len(chunk) == 5_000:
                    copy.write("".join(chunk))
                    chunk.clear()
            copy.write("".join(chunk))
        connection.execute("VACUUM ANALYZE decision")
    store = Store(url)
    with store.begin() as session:
        ids = sorted({*known.contacts, WHALE})
        insert_rows(session, ContactRow, [{"id": each, "created_at": FIRST, **_EMPTY} for each in ids])
        insert_rows(
            session, IntentRow, [_intent(key, run, bundle) for key, run in dict(known.intents).items()]
        )
    store.close()
    return known


_EMPTY: dict[str, Any] = {
    **{name: {} for name in ("numbers", "attributes", "counts", "scores", "classes")},
    **{name: [] for name in ("tags", "derived_tags", "audiences")},
    **dict.fromkeys(("order_count", "total_spent", "last_event_seq", "sends_since_active"), 0),
}


def _intent(key: str, run: str, bundle: str) -> dict[str, Any]:
    return {
        "key": key,
        "run_id": run,
        "journey": JOURNEYS[0],
        "step_id": "hello",
        "visit": 1,
        "contact_id": WHALE,
        "purpose": "service",
        "priority": 50,
        "content": "hello",
        "channels": ["app"],
        "bundle_hash": bundle,
        "variables": {},
        "state": "accepted",
        "outcome": "sent",
        "created_at": LAST,
        "attempts": 1,
        "updated_at": LAST,
    }


def build_indexes(url: str) -> None:
    """Build the indexes; print how large each is and how long that took."""
    print(f"  {'the table itself':20} {_size(url, 'decision'):>9}")
    with psycopg.connect(url, autocommit=True) as connection:
        for index in _indexes():
            begun = perf_counter()
            built = CreateIndex(index).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
            connection.execute(str(built))
            took = perf_counter() - begun
            print(f"  {index.name!s:20} {_size(url, str(index.name)):>9}   built in {took:.0f} s", flush=True)
        connection.execute("VACUUM ANALYZE decision")


def write_costs(url: str) -> None:
    """Print what a decision's write costs, and what share of it each index has."""
    draw = random.Random(11)
    names = ["", *(str(index.name) for index in _indexes())]
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    store = Store(url)
    for _ in range(ROUNDS):
        for name in names:
            measured[name].append(_write_cost(store, name, draw))
    store.close()
    whole_time, whole_log = (min(each) for each in zip(*measured[""], strict=True))
    print(
        f"  a decision's write: {whole_time:.0f} µs, {whole_log:,.0f} bytes of log; and with each index, as a"
    )
    print("  ratio of the same without it:")
    for name in names[1:]:
        time, log = (min(each) for each in zip(*measured[name], strict=True))
        print(f"    {name:20} × {whole_time / time:.2f} time   × {whole_log / log:.2f} log", flush=True)


def _write_cost(store: Store, without: str, draw: random.Random) -> tuple[float, float]:
    """Microseconds and bytes of write-ahead log for one decision, with all indexes but one; rolled back."""
    rows = [_fresh(draw) for _ in range(BATCH)]
    with Session(store.engine) as session:
        if without:
            session.execute(text(f"DROP INDEX {without}"))
        log = session.scalar(_LOG)
        begun = perf_counter()
        insert_rows(session, DecisionRow, rows)
        took = perf_counter() - begun
        written = session.scalar(_LOG) - log
        session.rollback()
    return took / BATCH * 1e6, float(written) / BATCH


_LOG = text("SELECT pg_current_wal_insert_lsn() - '0/0'")


def _indexes() -> list[Index]:
    return sorted(table_of(DecisionRow).indexes, key=lambda each: str(each.name))


def _fresh(draw: random.Random) -> dict[str, Any]:
    _, kind, stage, verdict, reason, outcome, channel = draw.choices(KINDS, [each[0] for each in KINDS])[0]
    return {
        "at": LAST,
        "schema_version": "decision.v1",
        "kind": kind,
        "stage": stage,
        "verdict": verdict,
        "contact_id": f"{draw.getrandbits(128):032x}",
        "run_id": f"{draw.getrandbits(128):032x}",
        "intent_key": f"{draw.getrandbits(128):032x}" if kind == "message" else None,
        "journey": draw.choice(JOURNEYS),
        "channel": channel or None,
        "reason": reason,
        "outcome": outcome or None,
        "evidence": {"cap": "weekly", "used": 3},
        "would_pass_if": "",
        "bundle_hash": "b",
    }


def _size(url: str, relation: str) -> str:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT pg_size_pretty(pg_relation_size(%s))", (relation,)).fetchone()
    assert found is not None
    return str(found[0])


def questions(known: Known, draw: random.Random) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Look-up -> the requests that are timed."""

    def some(path: str, **fixed: Any) -> list[tuple[str, dict[str, str]]]:
        return [
            (path, {name: value() if callable(value) else value for name, value in fixed.items()})
            for _ in range(TIMES)
        ]

    def moment() -> str:
        return (FIRST + (LAST - FIRST) * draw.random()).isoformat().replace("+00:00", "Z")

    listed = "/v1/decisions"

    def contact() -> str:
        return draw.choice(known.contacts)

    def run() -> str:
        return draw.choice(known.runs)

    return {
        "why this message (explain)": [
            (f"/v1/intents/{key}", {}) for key, _ in draw.choices(known.intents, k=TIMES)
        ],
        "by message": [(listed, {"intent": key}) for key, _ in draw.choices(known.intents, k=TIMES)],
        "by run": some(listed, run=run),
        "by contact": some(listed, contact=contact),
        "contact with 10,000": some(listed, contact=WHALE, to=moment),
        "contact with 10,000, a rare reason": some(listed, contact=WHALE, reason="expired"),
        "timeline": [(f"/v1/contacts/{contact()}/timeline", {}) for _ in range(TIMES)],
        "timeline of 10,000": [(f"/v1/contacts/{WHALE}/timeline", {}) for _ in range(TIMES)],
        "by journey, to a moment": some(listed, journey=lambda: draw.choice(JOURNEYS), to=moment),
        "by reason": some(listed, reason="consent.unknown", to=moment),
        "by a rare reason": some(listed, reason="channel.outside_window"),
        "by family": some(listed, reason="cap", to=moment),
        "by outcome": some(listed, outcome="expired", to=moment),
        "journey and reason": some(listed, journey=lambda: draw.choice(JOURNEYS), reason="failed", to=moment),
        "journey and outcome": some(listed, journey=JOURNEYS[-1], outcome="unknown", to=moment),
        "channel and verdict (no index)": some(listed, channel="email", verdict="hold", to=moment),
        "the latest of all": some(listed),
    }


@asynccontextmanager
async def asked(url: str, folder: Path) -> Any:
    """A client of the application over this database."""
    settings = Settings(database_url=url, data_dir=folder, secret_key=SecretStr("s" * 32))
    services = build_services(settings)
    try:
        with services.store.begin() as session:
            ensure_keys(session, write_key="benchmark-write-key", operator_token=TOKEN)
        app = create_app(services)
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client,
        ):
            yield client
    finally:
        await services.close()


async def look_up(url: str, folder: Path, known: Known) -> None:
    """Print how long each kind of request takes."""
    server = _server(url)
    async with asked(url, folder) as client:
        for name, requests in questions(known, random.Random(3)).items():
            times: list[float] = []
            told, busy = 0, _busy(server)
            for path, parameters in requests:
                begun = perf_counter()
                response = await client.get(path, params=parameters)
                times.append(perf_counter() - begun)
                assert response.status_code == 200, response.text
                told += len(response.json().get("decisions", response.json().get("timeline", ())))
            busy = (_busy(server) - busy) / len(requests)
            times.sort()
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99) - 1]
            print(
                f"  {name:36} p50 {p50 * 1e3:6.1f} ms   p99 {p99 * 1e3:6.1f} ms   "
                f"processor {busy * 1e3:5.1f} ms   {told / len(times):5.0f} told",
                flush=True,
            )


def _server(url: str) -> int:
    """The process that the server's other processes are children of."""
    with psycopg.connect(url) as connection:
        backend = connection.info.backend_pid
        return int(Path(f"/proc/{backend}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def _busy(server: int) -> float:
    """Seconds of processor time of this process and of the server's: says more on a machine that does others'
    work as well."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = file.read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if int(told[1]) == server:
            ticks += int(told[11]) + int(told[12])
    return process_time() + ticks / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print sizes, costs and times."""
    rows = int(sys.argv[1]) if sys.argv[1:] and sys.argv[1].isdigit() else ROWS
    print(f"decisions: {rows:,} on PostgreSQL, its settings as installed ({machine()})")
    print(f"  {os.getloadavg()[0]:.1f} processes wanted to run when it began", flush=True)
    files = WORKSPACE
    for name in JOURNEYS:
        files = files | journey(name, "signed_up", "- {send: hello, content: hello, channels: [app]}")
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        url = urls["PostgreSQL"]
        set_up(url, files)
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT live_bundle FROM control").fetchone()
        assert found is not None
        begun = perf_counter()
        known = fill(url, rows, str(found[0]))
        print(f"  written in {perf_counter() - begun:.0f} s", flush=True)
        build_indexes(url)
        write_costs(url)
        asyncio.run(look_up(url, Path(folder), known))
    return 0


if __name__ == "__main__":
    sys.exit(main())
