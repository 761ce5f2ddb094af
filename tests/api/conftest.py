"""The real HTTP application over a real store, with a small workspace whose channel writes files."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlmodel import SQLModel

from engine.api.app import create_app
from engine.clock import FixedClock
from engine.governance.keys import ensure_keys
from engine.governance.publishing import publish
from engine.plugin.registry import Registry
from engine.services import Services, build_services
from engine.settings import Settings
from engine.store.control import ensure_control

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)
WRITE_KEY = "write-key-of-the-tests"
TOKEN = "operator-token-of-the-tests"
SECRET = "secret-of-the-tests"


def workspace(folder: Path) -> dict[str, str]:
    """Files of a workspace with one journey that sends one message at once."""
    files = {
        "wayline.yaml": """
            kind: workspace
            id: small
            title: small
            owner: tests
            timezone: Asia/Shanghai
            locales: [zh, en]
            identities: [email, app]
            attributes: {nickname: {type: text, title: name}}
            """,
        "purposes.yaml": """
            kind: purposes
            id: purposes
            title: purposes
            owner: tests
            purposes:
              - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 3d}
              - {id: service, title: service, version: "1", kind: transactional, max_hold: 1d}
            """,
        "events.yaml": """
            kind: events
            id: events
            title: events
            owner: tests
            events:
              - id: order_paid
                title: order
                effect: order
                schema:
                  type: object
                  required: [order_id, amount]
                  properties: {order_id: {type: string}, amount: {type: number, minimum: 0}}
              - {id: page, title: page, schema: {type: object}}
            """,
        "channels.yaml": f"""
            kind: channels
            id: channels
            title: channels
            owner: tests
            channels:
              - {{id: letter, plugin: file, identity: app, settings: {{folder: "{folder}"}}}}
            """,
        "content.yaml": """
            kind: content
            id: content
            title: content
            owner: tests
            contents:
              - id: hello
                locales:
                  zh: {body: "{{ contact.nickname }}好"}
                  en: {body: "Hello {{ contact.nickname }}"}
            """,
        "breakers.yaml": """
            kind: breakers
            id: risk
            title: risk
            owner: tests
            breakers:
              - id: send_failure
                scope: channel
                metric: send_failure_rate
                window: 10m
                min_samples: 5
                levels: {red: {gt: 40%}}
                recover: {probe_after: 5m, probes: 2, close_when: {lt: 5%}}
            """,
        "crisis.yaml": """
            kind: plan
            id: crisis
            title: crisis
            owner: tests
            at_most: 7d
            pause: {purposes: [marketing]}
            """,
        "welcome.yaml": """
            kind: journey
            id: welcome
            title: welcome
            owner: tests
            purpose: marketing
            enter: {event: contact_added, reentry: never}
            steps:
              - {send: hello, content: hello, channels: [letter]}
            """,
    }
    return {name: dedent(text).lstrip("\n") for name, text in files.items()}


@dataclass
class Site:
    """The application and everything behind it."""

    app: FastAPI
    client: httpx.AsyncClient
    services: Services
    letters: Path

    async def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        """As a sender of events."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **as_sender(), **options.pop("headers", {})}
        return await self.client.post(path, content=content, headers=headers, **options)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As an operator."""
        return await self.client.request(
            method, path, headers={"Authorization": f"Bearer {TOKEN}"}, **options
        )

    async def carried(self) -> None:
        """Return when everything that intake handed on has been carried."""
        await self.app.state.carrier.drain(10)

    def count(self, table: type[SQLModel]) -> int:
        with self.services.store.read() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def all(self, table: type[Any]) -> list[Any]:
        with self.services.store.read() as session:
            return list(session.scalars(select(table)))

    def sent(self) -> list[dict[str, Any]]:
        """The letters written so far."""
        return [
            json.loads(line)
            for file in sorted(self.letters.glob("*.jsonl"))
            for line in file.read_text(encoding="utf-8").splitlines()
        ]


def as_sender(key: str = WRITE_KEY) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


@asynccontextmanager
async def opened(
    url: str, folder: Path, files: Mapping[str, str] | None, registry: Registry | None = None
) -> AsyncIterator[Site]:
    """A site over the database at `url`; `files` are published, None publishes nothing.

    Without a registry it has the plugins that are installed.
    """
    settings = Settings(
        _env_file=None,
        database_url=url,
        data_dir=folder,
        secret_key=SecretStr(SECRET),
        max_body=100_000,
        max_batch=50,
    )
    services = build_services(settings, clock=FixedClock(NOW), registry=registry)
    try:
        with services.store.begin() as session:
            ensure_control(session, NOW)
            ensure_keys(session, write_key=WRITE_KEY, operator_token=TOKEN)
            if files is not None:
                publish(session, files, by="tests", now=NOW)
        app = create_app(services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://wayline.test") as client,
        ):
            yield Site(app, client, services, folder / "letters")
    finally:
        await services.close()


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """On SQLite and on PostgreSQL."""
    async with opened(database_url, tmp_path, workspace(tmp_path / "letters")) as found:
        yield found


@pytest.fixture
async def sqlite_site(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """For what does not depend on the database."""
    async with opened(sqlite_url, tmp_path, workspace(tmp_path / "letters")) as found:
        yield found


@pytest.fixture
async def empty_site(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """With nothing published yet."""
    async with opened(sqlite_url, tmp_path, None) as found:
        yield found
