"""The guide for plugin authors is run as it stands: its channel, its test, its settings."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from engine.authoring.loading import load_files
from engine.cli import run
from engine.plugin.registry import load_registry
from engine.plugin.testing import check_event_kind, check_fact, check_metric, check_plugin
from plugins.actions.webhook_call import WebhookCallSettings
from plugins.channels.douyin.messages import DouyinSettings
from plugins.channels.email import EmailSettings
from plugins.channels.file import FileSettings
from plugins.channels.manual import ManualSettings
from plugins.channels.meta.conversations import ConversationSettings
from plugins.channels.meta.whatsapp import WhatsAppSettings
from plugins.channels.push import PushSettings
from plugins.channels.robots.dingtalk import DingTalkSettings
from plugins.channels.robots.feishu import FeishuSettings
from plugins.channels.robots.wecom_robot import WeComRobotSettings
from plugins.channels.sms import SmsSettings
from plugins.channels.web_push.channel import WebPushSettings
from plugins.channels.webhook import WebhookSettings
from plugins.channels.wechat.account import WeChatSettings
from plugins.channels.wecom.callbacks import WeComSettings
from plugins.channels.wecom.mass_sends import WeComMassSettings
from plugins.channels.wecom.tags import WeComTagsSettings

ROOT = Path(__file__).parents[2]
CHECKS = {
    *("personal_data", "required_line", "platform_length", "ai_label", "readability", "jargon_density"),
    *("duplicates", "tone", "language", "brand"),
}
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


def test_the_fact_and_the_event_type_of_the_guide_keep_the_contract() -> None:
    code, _ = blocks("py")
    ages = ModuleType("ages")
    exec(compile(code, "README.md", "exec"), vars(ages))
    check_plugin(ages)
    (fact,), (visit,) = ages.register_facts(), ages.register_event_types()
    check_fact(fact, examples=[({"birth_year": 1999}, "young"), ({"birth_year": 1950}, "old"), ({}, None)])
    check_event_kind(visit, examples=[{"minutes": 5}])


def test_the_metric_of_the_guide_keeps_the_contract_and_is_what_its_breaker_watches() -> None:
    _, code = blocks("py")
    ratings = ModuleType("ratings")
    exec(compile(code, "README.md", "exec"), vars(ratings))
    check_plugin(ratings)
    (metric,) = ratings.register_metrics()
    check_metric(metric, examples=[("rated", {"stars": 1}, True), ("rated", {"stars": 5}, False)])
    (breaker,) = [each for each in blocks("yaml") if each.startswith("breakers:")]
    assert f"metric: {metric.name}\n" in breaker


def test_the_afternoon_begins_as_the_guide_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = blocks("sh")[0].splitlines()
    assert commands[0].startswith("wayline plugin new ")
    assert run(commands[0].split()[1:]) == 0
    for command in commands[1:3]:
        assert (tmp_path / command.split()[-1] / "pyproject.toml").is_file(), command
    assert commands[3] == "wayline plugins"


def test_the_ruleset_of_the_guide_is_a_valid_one() -> None:
    files = {
        path.relative_to(ROOT / "rulesets").as_posix(): path.read_text(encoding="utf-8")
        for path in (ROOT / "rulesets").rglob("*.yaml")
    }
    whole = [each for each in blocks("yaml") if not each.startswith("breakers:")]
    ours, *platforms, tags, mark, actions, step = whole
    workspace = files["wayline.yaml"].replace("identities: [", "identities: [pager, wechat, douyin, ")
    head = "kind: journey\nid: ours\ntitle: ours\nowner: us\npurpose: service\nenter: {event: order_paid}\n"
    ours_too = {
        "our_tags.yaml": tags,
        "our_actions.yaml": actions,
        "ours.yaml": f"{head}steps:\n{mark}{step}",
    }
    more = {f"platform_{number}.yaml": text for number, text in enumerate(platforms)}
    loaded = load_files({**files, "wayline.yaml": workspace, "our_channels.yaml": ours, **ours_too, **more})
    assert loaded.bundle is not None, loaded.problems
    assert loaded.bundle.actions["points"].plugin == "webhook_call"
    assert loaded.bundle.channels["pager"].plugin == "pager"


def test_the_guide_lists_exactly_the_settings_there_are() -> None:
    models: dict[str, type[BaseModel]] = {
        "email": EmailSettings,
        "webhook": WebhookSettings,
        "file": FileSettings,
        "manual": ManualSettings,
        "dingtalk": DingTalkSettings,
        "douyin": DouyinSettings,
        "feishu": FeishuSettings,
        "sms": SmsSettings,
        "wecom": WeComMassSettings,
        "wecom_robot": WeComRobotSettings,
        "wecom_welcome": WeComSettings,
        "push": PushSettings,
        "web_push": WebPushSettings,
        "wechat": WeChatSettings,
        "whatsapp": WhatsAppSettings,
        "messenger": ConversationSettings,
        "instagram": ConversationSettings,
        "webhook_call": WebhookCallSettings,
        "wecom_tags": WeComTagsSettings,
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
    platforms = {
        "push",
        "web_push",
        "messenger",
        "instagram",
        "dingtalk",
        "douyin",
        "feishu",
        "wecom_robot",
        "sms",
        "wecom",
        "wecom_tags",
        "wecom_welcome",
        "wechat",
        "whatsapp",
    }
    assert offered - CHECKS == {
        "email",
        "file",
        "manual",
        "webhook",
        "template",
        "llm",
        "lexicon",
        "webhook_call",
        *platforms,
    }


def test_built_in_plugins_import_nothing_of_the_engine_but_its_public_names() -> None:
    for file in (ROOT / "plugins").rglob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if re.match(r"\s*(from|import) engine\b", line):
                assert line.startswith("from engine.plugin import"), f"{file.name}: {line}"
