"""The system's own Chromium against the real application over HTTP on loopback."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, async_playwright

from tests.api.conftest import Site, opened, workspace

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Without these Chromium asks its maker's servers for updates and variations at every start.
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@dataclass
class Served:
    """A site that a browser can reach."""

    site: Site
    url: str
    browser: Browser


@pytest.fixture
async def served(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """The small workspace of the API's tests, with titles in two languages."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found is not None, (
        "no Chromium is installed; `make test` installs one, or: apt-get install chromium"
    )
    files = workspace(tmp_path / "letters")
    files["purposes.yaml"] = files["purposes.yaml"].replace(
        "title: marketing,", "title: 优惠与活动, titles: {en: Offers and news},"
    )
    async with (
        opened(sqlite_url, tmp_path, files) as site,
        _listening(site) as url,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=found, args=list(QUIET))
        try:
            yield Served(site, url, browser)
        finally:
            await browser.close()


@asynccontextmanager
async def _listening(site: Site) -> AsyncIterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(site.app, host="127.0.0.1", port=0, lifespan="off", log_level="error")
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
