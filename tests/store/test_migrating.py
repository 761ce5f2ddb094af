"""The migrations lead to exactly the tables the code declares, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlmodel import SQLModel

from engine.errors import CommandError
from engine.store.database import Store, open_store, upgrade
from engine.store.migrating import current_revision, newest_revision


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty 100%.db'}"
    make: Callable[[str], str] = request.getfixturevalue("new_postgres")
    return make("template1")


def test_the_migrated_schema_is_the_declared_one(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_upgrading_again_changes_nothing(empty_url: str) -> None:
    upgrade(empty_url)
    with closing(open_store(empty_url)) as store, store.begin() as session:
        session.connection().execute(
            text("INSERT INTO bundle VALUES (1, 'hash', '{}', '2026-03-01 00:00:00', 'ana')")
        )
    upgrade(empty_url)
    with closing(open_store(empty_url)) as store, store.read() as session:
        assert session.scalar(text("SELECT count(*) FROM bundle")) == 1
        assert current_revision(store.engine) == newest_revision()


def test_processes_that_upgrade_at_once_do_it_once(empty_url: str) -> None:
    failures: list[Exception] = []

    def try_it() -> None:
        try:
            upgrade(empty_url)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=try_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    open_store(empty_url).close()


def test_a_database_without_tables_names_the_command_to_run(empty_url: str) -> None:
    with closing(Store(empty_url)) as store:
        store.engine.connect().close()
    with pytest.raises(CommandError, match="has no tables yet; run `wayline db upgrade`"):
        open_store(empty_url)


def test_a_database_of_another_version_names_both(database_url: str) -> None:
    with closing(Store(database_url)) as store, store.begin() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="is at revision 9999, not"):
        open_store(database_url)


def test_an_unreachable_database_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be reached") as caught:
        open_store(f"postgresql://u:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_looking_for_a_database_does_not_make_an_empty_one(tmp_path: Path) -> None:
    missing = tmp_path / "elsewhere" / "wayline.db"
    with pytest.raises(CommandError, match=r"no database at .*wayline\.db; run `wayline db upgrade`"):
        open_store(f"sqlite:///{missing}")
    assert not missing.parent.exists()


def test_a_file_that_is_no_database_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("shopping: milk, eggs, bread\n" * 100)
    for open_it in (open_store, upgrade):
        with pytest.raises(CommandError, match="not a database that Wayline can read"):
            open_it(f"sqlite:///{file}")


def test_a_place_where_no_database_can_be_is_the_settings_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="cannot be made: Not a directory"):
        upgrade(f"sqlite:///{tmp_path}/file/below/wayline.db")
    with pytest.raises(CommandError, match="cannot be reached"):
        upgrade(f"sqlite:///{tmp_path}")
