"""The guide for plugin authors is run as it stands: its channel, its test, its settings."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine.authoring.loading import load_files
from engine.plugin.registry import load_registry
from plugins.actions.webhook_call import WebhookCallSettings
from plugins.channels.email import EmailSettings
from plugins.channels.file import FileSettings
from plugins.channels.webhook import WebhookSettings

ROOT = Path(__file__).parents[2]
README = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def pager(tmp_path: Path) -> Iterator[Path]:
    """The first channel of the guide, as a module on the path."""
    code, test = blocks("python")
    (tmp_path / "wayline_pager.py").write_text(code)
    (tmp_path / "wayline_pager_test.py").write_text(test)
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    sys.modules.pop("wayline_pager", None)
    sys.modules.pop("wayline_pager_test", None)


def test_the_first_channel_passes_the_test_beside_it(pager: Path) -> None:
    import_module("wayline_pager_test").test_the_pager_keeps_the_contract(pager)
    assert (pager / "spool").read_text().count("\n") == 10


def test_the_first_channel_is_found_and_configured_as_the_guide_says(pager: Path) -> None:
    registry = load_registry(entry_points=False, extra=[import_module("wayline_pager")], environ={})
    channel = registry.channel("pager", {"spool": {"env": "PAGER_SPOOL", "default": "/tmp/pager"}})
    assert channel.name == "pager"


def test_the_ruleset_of_the_guide_is_a_valid_one() -> None:
    files = {
        path.relative_to(ROOT / "rulesets").as_posix(): path.read_text(encoding="utf-8")
        for path in (ROOT / "rulesets").rglob("*.yaml")
    }
    ours, actions, step = blocks("yaml")
    workspace = files["wayline.yaml"].replace("identities: [", "identities: [pager, ")
    head = "kind: journey\nid: ours\ntitle: ours\nowner: us\npurpose: service\nenter: {event: order_paid}\n"
    ours_too = {"our_actions.yaml": actions, "ours.yaml": f"{head}steps:\n{step}"}
    loaded = load_files({**files, "wayline.yaml": workspace, "our_channels.yaml": ours, **ours_too})
    assert loaded.bundle is not None, loaded.problems
    assert loaded.bundle.actions["points"].plugin == "webhook_call"
    assert loaded.bundle.channels["pager"].plugin == "pager"


def test_the_guide_lists_exactly_the_settings_there_are() -> None:
    models: dict[str, type[BaseModel]] = {
        "email": EmailSettings,
        "webhook": WebhookSettings,
        "file": FileSettings,
        "webhook_call": WebhookCallSettings,
    }
    for name, model in models.items():
        (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", README, flags=re.MULTILINE)
        listed = re.findall(r"`([a-z_]+)`", row)
        assert sorted(listed) == sorted(model.model_fields), name


def test_every_built_in_plugin_is_announced_and_offers_what_it_is_called() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    announced = project["entry-points"]["wayline.plugins"]
    modules = [import_module(module) for module in announced.values()]
    registry = load_registry(entry_points=False, extra=modules)
    offered = {*registry.channels, *registry.generators, *registry.checks, *registry.actions}
    assert offered == set(announced)
    assert offered == {"email", "file", "webhook", "template", "lexicon", "webhook_call"}


def test_built_in_plugins_import_nothing_of_the_engine_but_its_public_names() -> None:
    for file in (ROOT / "plugins").rglob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if re.match(r"\s*(from|import) engine\b", line):
                assert line.startswith("from engine.plugin import"), f"{file.name}: {line}"
