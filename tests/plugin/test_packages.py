"""Plugins as packages of their own: what `wayline plugin new` writes, and the example, install and send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.errors import CommandError
from engine.plugin import Accepted
from engine.plugin.calling import call_channel
from engine.plugin.registry import load_registry
from engine.plugin.scaffolding import PluginKind, start_plugin
from engine.plugin.testing import EXAMPLE_MESSAGE
from engine.store.tables import DecisionRow
from tests.api.conftest import Site, opened, workspace

pytestmark = pytest.mark.xdist_group("packages")
"""All in one process: the packages are made and installed once."""

ROOT = Path(engine.__file__).parents[1]
EXAMPLE = ROOT / "examples" / "wayline-ntfy"
DECLARING = ROOT / "examples" / "wayline-skin"
NAMES = {PluginKind.CHANNEL: "pigeon_post", PluginKind.GENERATOR: "my_words", PluginKind.CHECK: "calm"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[PluginKind, Path]:
    """One package of each kind, as they are begun."""
    folder = tmp_path_factory.mktemp("packages")
    for kind, name in NAMES.items():
        start_plugin(kind, name, folder / kind)
    return {kind: folder / kind for kind in NAMES}


@pytest.fixture(scope="module")
def site_packages(packages: Mapping[PluginKind, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """They are installed here as distributions of their own."""
    target = tmp_path_factory.mktemp("site-packages")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    offline: list[str | Path] = ["--no-deps", "--no-build-isolation", "--target", target]
    done(*pip, *offline, *packages.values(), EXAMPLE, DECLARING)
    return target


def test_the_example_that_declares_facts_event_types_and_a_metric_passes_its_tests() -> None:
    told = done("-m", "pytest", "-q", "-p", "no:cacheprovider", DECLARING / "tests", path=DECLARING / "src")
    assert "4 passed" in told


def test_a_breaker_watches_the_metric_of_an_installed_package(site_packages: Path, tmp_path: Path) -> None:
    head = "kind: {}\nid: here\ntitle: t\nowner: t\n"
    (tmp_path / "wayline.yaml").write_text(
        head.format("workspace") + "timezone: UTC\nlocales: [zh]\nidentities: [app]\n"
        "attributes: {birth_year: {type: number}}\n"
    )
    (tmp_path / "breakers.yaml").write_text(
        head.format("breakers") + "breakers:\n  - {id: advice, scope: workspace, metric: useless_advice,"
        " window: 1d, min_samples: 20, levels: {red: {gt: 50%}},"
        " recover: {probe_after: 6h, probes: 10, close_when: {lt: 30%}}}\n"
    )
    lint = ("-m", "engine.cli", "lint", tmp_path)
    assert "no problems" in done(*lint, path=site_packages)
    with pytest.raises(AssertionError, match="'useless_advice' is no metric"):
        done(*lint)


def done(*arguments: str | Path, path: Path | None = None) -> str:
    """What Python printed, run apart from this process; `path` stands before everything else."""
    paths = [str(path), str(ROOT)] if path is not None else [str(ROOT)]
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_packages_install_and_their_tests_pass(
    packages: Mapping[PluginKind, Path], site_packages: Path, tmp_path: Path
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    options: list[str | Path] = [
        "-q",
        "-p",
        "no:asyncio",
        "-p",
        "no:cacheprovider",
        "-c",
        tmp_path / "pytest.ini",
    ]
    tests = [package / "tests" for package in (*packages.values(), EXAMPLE)]
    assert "31 passed" in done("-m", "pytest", *options, *tests, path=site_packages)


def test_what_is_installed_is_listed_with_its_distribution(site_packages: Path) -> None:
    listed = json.loads(done("-m", "engine.cli", "plugins", "--format", "json", path=site_packages))
    found = {each["name"]: each for each in listed["plugins"]}
    for name in NAMES.values():
        assert found[name]["state"] == "active"
        assert (found[name]["distribution"], found[name]["version"]) == (
            f"wayline-{name.replace('_', '-')}",
            "0.1.0",
        )
    (offer,) = found["pigeon_post"]["offers"]
    assert offer["settings"]["properties"]["token"]["writeOnly"] is True


class _Taking(BaseHTTPRequestHandler):
    taken: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def provider() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A real server that takes messages: its address, and what it took."""
    taken: list[dict[str, Any]] = []
    handler = type("Taking", (_Taking,), {"taken": taken})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", taken
        server.shutdown()
        thread.join()


async def test_a_message_is_written_checked_and_sent_by_them_through_the_gate(
    site_packages: Path, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(site_packages))
    monkeypatch.setenv("PIGEON_POST_TOKEN", "s3cr3t-of-the-pigeon")
    with provider() as (url, taken):
        files = workspace(tmp_path)
        files["wayline.yaml"] = files["wayline.yaml"].replace("nickname:", "name:")
        files["channels.yaml"] = (
            "kind: channels\nid: channels\ntitle: t\nowner: t\nchannels:\n"
            "  - {id: letter, plugin: pigeon_post, identity: app,"
            f' settings: {{url: "{url}", token: {{env: PIGEON_POST_TOKEN}}}}}}\n'
        )
        files["content.yaml"] = (
            "kind: content\nid: content\ntitle: t\nowner: t\ncontents:\n"
            "  - {id: hello, generator: my_words, locales: {zh: {body: '{name}，您好'}}}\n"
        )
        files["checks.yaml"] = (
            "kind: checks\nid: checks\ntitle: t\nowner: t\nchecks: [{id: calm, plugin: calm}]\n"
        )
        async with opened(sqlite_url, tmp_path, files) as site:
            assert not site.services.registry.faults
            for user, name in (("u1", "Ann"), ("u2", "Bob!!")):
                await site.post("/v1/batch", {"batch": list(_arrives(user, name))})
            await site.carried()
            assert [(each["to"], each["text"]) for each in taken] == [("device-of-u1", "Ann，您好")]
            reasons = {row.reason for row in site.all(DecisionRow)}
            assert {"sent.accepted", "content.check_blocked"} <= reasons
            await _shows_no_secret(site)
    for name in [name for name in sys.modules if name.removeprefix("wayline_") in NAMES.values()]:
        del sys.modules[name]


def _arrives(user: str, name: str) -> Iterator[dict[str, Any]]:
    yield {"type": "identify", "userId": user, "traits": {"name": name, "app": f"device-of-{user}"}}
    granted = {"purpose": "marketing"}
    yield {"type": "track", "event": "consent_granted", "userId": user, "properties": granted}
    yield {"type": "track", "event": "contact_added", "userId": user}


async def _shows_no_secret(site: Site) -> None:
    for path in ("/v1/decisions", "/v1/bundles", "/metrics", "/openapi.json"):
        answer = await site.ask("GET", path)
        assert answer.status_code == 200
        assert "s3cr3t" not in answer.text, path


async def test_the_example_is_found_configured_and_called_as_any_plugin(
    site_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(site_packages))
    with provider() as (url, taken):
        registry = load_registry(environ={"NTFY_TOKEN": "s3cr3t-of-ntfy"})
        ntfy = registry.channel("ntfy", {"server": url, "token": {"env": "NTFY_TOKEN"}})
        message = replace(EXAMPLE_MESSAGE, to="topic-of-ann")
        assert isinstance(await call_channel(ntfy, message, "key", timedelta(seconds=30)), Accepted)
        await registry.close()
    assert [each["topic"] for each in taken] == ["topic-of-ann"]
    assert "s3cr3t" not in repr(ntfy)
    sys.modules.pop("wayline_ntfy")


@pytest.mark.parametrize("name", ["My Pager", "1st", "ümlaut", "", "../up"])
def test_a_name_that_cannot_be_a_plugins_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="not lower_snake text"):
        start_plugin(PluginKind.CHANNEL, name, tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("mine")
    with pytest.raises(CommandError, match="is there already and not empty"):
        start_plugin(PluginKind.CHECK, "calm", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_no_placeholder_is_left_and_the_ruleset_names_the_plugin(tmp_path: Path) -> None:
    for kind, name in NAMES.items():
        package = tmp_path / kind  # of its own: where tests have run, Python has left files
        start_plugin(kind, name, package)
        for file in (path for path in package.rglob("*") if path.is_file()):
            assert "@" not in file.read_text(encoding="utf-8").replace("@hookimpl", "").replace(
                "@pytest", ""
            ).replace("@property", ""), file
        assert NAMES[kind] in (package / "README.md").read_text(encoding="utf-8")
