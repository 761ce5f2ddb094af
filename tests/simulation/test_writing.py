"""Nobody is asked for texts in virtual time: the contents' own are sent, and the story says so."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

from engine.authoring.loading import load_files
from engine.plugin.registry import load_registry
from engine.simulation.people import Person
from engine.simulation.stories import not_simulated
from engine.simulation.virtual import VirtualWorld
from plugins.generators import llm, template
from tests.authoring.conftest import CHANNELS, EVENTS, JOURNEY, PURPOSES, WORKSPACE

GENERATORS = """\
kind: generators
id: generators
title: 生成器
owner: tests
generators:
  - id: copywriter
    plugin: llm
    settings: {base_url: "http://127.0.0.1:9/v1", model: m, api_key: {env: NOT_SET}}
    tokens_a_day: 10
"""
CONTENT = """\
kind: content
id: content
title: 内容
owner: tests
contents:
  - {id: hello, generator: copywriter, writing: {instructions: Greet}, locales: {zh: {body: 你好}}}
"""
FILES = {
    "wayline.yaml": WORKSPACE,
    "purposes.yaml": PURPOSES,
    "events.yaml": EVENTS,
    "channels.yaml": CHANNELS,
    "content.yaml": CONTENT,
    "generators.yaml": GENERATORS,
    "welcome.yaml": JOURNEY,
}
START = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


async def test_nobody_is_asked_and_the_contents_own_text_is_sent() -> None:
    bundle = load_files(FILES).bundle
    assert bundle is not None
    # Without the key: were anybody asked, there would be another reason.
    registry = load_registry(entry_points=False, extra=[template, llm], environ={})
    with closing(VirtualWorld(bundle, START, registry=registry)) as world:
        world.add(Person("ann", {"email": "ann@example.com"}, consents=("marketing",)))
        world.feed("ann", "contact_added", START)
        await world.run_until(START + timedelta(hours=1))

        assert [each.body for each in world.sends] == ["你好"]
        (sent,) = [each for each in world.decisions if each.reason == "sent.accepted"]
    assert sent.evidence["text"] == {
        "generator": "copywriter",
        "instead": "template",
        "because": "virtual_time",
    }
    assert not_simulated(bundle) == [
        "what generators write (copywriter): nobody is asked, the contents' own texts are sent"
    ]
