"""What every process of an installation starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from engine.errors import CommandError
from engine.services import build_services, load_driver_module, secret_of
from engine.settings import Settings


def test_the_signing_secret_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", secret_key=None)
    first = secret_of(settings)
    assert len(first) >= 32
    assert secret_of(settings) == first
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret.key"]
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o077 == 0


def test_a_signing_secret_that_is_set_wins_and_is_not_written_down(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret_key=SecretStr("as set"))
    assert secret_of(settings) == "as set"
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_was_never_migrated_is_said_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(CommandError, match="run `wayline db upgrade`"):
        build_services(settings)


async def test_services_are_wired_and_closed_without_any_driver(tmp_path: Path, sqlite_url: str) -> None:
    services = build_services(Settings(data_dir=tmp_path, database_url=sqlite_url))
    assert {"email", "file", "webhook"} <= set(services.registry.channels)
    await services.close()
    assert "driver" not in vars(services)


def test_the_installed_driver_brings_the_worker_and_the_embedded_server(tmp_path: Path) -> None:
    module = load_driver_module()
    server = module.embedded_server(Settings(data_dir=tmp_path))
    assert server.ui_url is None
    assert callable(module.run_worker)


def test_unsubscribe_links_lead_to_where_this_installation_listens(tmp_path: Path) -> None:
    def address(**settings: Any) -> str:
        return Settings(_env_file=None, data_dir=tmp_path, **settings).public_address

    assert address(port=8137) == "http://127.0.0.1:8137"
    assert address(host="0.0.0.0") == "http://127.0.0.1:8080"
    assert address(host="::1") == "http://[::1]:8080"
    assert address(port=8137, public_url="https://m.example.com") == "https://m.example.com"
