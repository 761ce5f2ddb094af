"""Bringing a database to the schema of this version, and telling whether it is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from engine.errors import CommandError
from engine.store.connecting import connect, for_writing, parse_url, why_unreachable

# Alembic is loaded with the first database that is asked about: whoever has none should not wait for it.
if TYPE_CHECKING:
    from alembic.config import Config

MIGRATION_LOCK = 0x57_41_59_4C
"""Key of the advisory lock on PostgreSQL: of several processes that upgrade at once, one does the work."""


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest schema, all or nothing; doing it again changes nothing.

    CommandError when it cannot be reached.
    """
    from alembic import command

    parsed = parse_url(url)
    engine = connect(parsed, pool_size=1)
    try:
        try:
            engine.connect().close()
        except DatabaseError as error:
            raise CommandError(f"{why_unreachable(error)}: {parsed.render_as_string()}") from error
        with for_writing(engine).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def newest_revision() -> str | None:
    """The revision this version of Wayline works with."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config()).get_current_head()


def current_revision(engine: Engine) -> str | None:
    """The revision the database is at; None for one that was never upgraded."""
    from alembic.runtime.migration import MigrationContext

    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
