"""What plugins declare is part of a bundle: known to lint, and the same when the plugin is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.authoring.declared import FILE, declared_in, with_declared
from engine.authoring.loading import bundle_with_plans, load_files, published_bundle
from engine.plugin import ContactFact, EventKind, Known, hookimpl
from engine.plugin.registry import Registry, load_registry
from tests.plugin.vault import offering

HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"
FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="here")
    + "timezone: UTC\nlocales: [en]\nidentities: [app]\nattributes: {birth_year: {type: number}}\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: care, title: c, version: "1", kind: transactional, max_hold: 1d}]\n',
    "tags.yaml": HEAD.format(kind="tags", id="t")
    + "tags: [{tag: young, level: basic, when: {contact.generation: young}}]\n",
    "visit.yaml": HEAD.format(kind="journey", id="visit")
    + "purpose: care\nenter: {event: shop_visited, when: {event.minutes: {gte: 5}}}\n"
    + "steps: [{wait: w, for: 1d}]\n",
}
VISITED = EventKind(
    "shop_visited", "a visit", {"type": "object", "properties": {"minutes": {"type": "number"}}}
)


def generation(known: dict[str, Known]) -> str | None:
    born = known.get("birth_year")
    return None if not isinstance(born, int | float) else "young" if born > 1990 else "old"


FACT = ContactFact("generation", "text", "which generation", ("birth_year",), generation, ("young", "old"))  # type: ignore[arg-type]


class Ages:
    """A plugin with a fact and an event type."""

    def __init__(self, fact: ContactFact = FACT, kind: EventKind = VISITED) -> None:
        self.fact, self.kind = fact, kind

    @hookimpl
    def register_facts(self) -> list[ContactFact]:
        return [self.fact]

    @hookimpl
    def register_event_types(self) -> list[EventKind]:
        return [self.kind]


def with_plugin(*plugins: object) -> Registry:
    return load_registry(entry_points=False, extra=plugins or [Ages()])


def codes(files: dict[str, str], registry: Registry | None) -> list[str]:
    return [each.code for each in load_files(files, declared_by=registry).errors]


def test_a_workspace_may_use_what_is_declared_and_nothing_else() -> None:
    loaded = load_files(FILES, declared_by=with_plugin())
    assert loaded.bundle is not None, loaded.problems
    assert loaded.bundle.events["shop_visited"].schema == VISITED.schema
    fact = loaded.bundle.catalogue.get("contact.generation")
    assert fact is not None and fact.choices == ("young", "old")
    for nobody in (None, load_registry(entry_points=False)):
        assert set(codes(FILES, nobody)) == {"RS101", "RS047"}


def test_lint_holds_conditions_against_the_declared_types_and_choices() -> None:
    wrong = {**FILES, "tags.yaml": FILES["tags.yaml"].replace("generation: young", "generation: middle")}
    told = load_files(wrong, declared_by=with_plugin()).problems
    assert any("middle" in each.message for each in told)
    wrong = {**FILES, "visit.yaml": FILES["visit.yaml"].replace("{gte: 5}", "{has: 5}")}
    assert codes(wrong, with_plugin())


def test_a_published_bundle_means_the_same_when_the_plugin_is_gone() -> None:
    bundle = load_files(FILES, declared_by=with_plugin()).bundle
    assert bundle is not None
    later = published_bundle(bundle.files)
    assert later.hash == bundle.hash
    assert (later.plugin_facts, later.events["shop_visited"]) == (
        ("generation",),
        bundle.events["shop_visited"],
    )
    assert later.knowing.values(later.plugin_facts, {"contact.birth_year": 1999}) == {
        "contact.generation": None
    }


def test_what_other_plugins_declare_is_another_bundle_and_no_plugin_none_of_its_own() -> None:
    bundle = load_files(FILES, declared_by=with_plugin()).bundle
    newer = load_files(
        FILES, declared_by=with_plugin(Ages(FACT.__class__(**{**vars(FACT), "version": 2})))
    ).bundle
    assert bundle is not None and newer is not None
    assert bundle.hash != newer.hash
    assert bundle.profile.version != newer.profile.version, "contacts are computed anew"
    again = load_files(newer.files, declared_by=with_plugin()).bundle
    assert again is not None and again.hash == bundle.hash, "what was declared before is replaced"
    plain = {name: text for name, text in FILES.items() if name not in ("tags.yaml", "visit.yaml")}
    assert FILE not in with_declared(bundle.files, load_registry(entry_points=False))
    nothing = load_files(plain, declared_by=load_registry(entry_points=False)).bundle
    assert nothing is not None and nothing.hash == load_files(plain).bundle.hash  # type: ignore[union-attr]


def test_what_the_workspace_calls_so_itself_comes_first() -> None:
    own = {
        **FILES,
        "wayline.yaml": FILES["wayline.yaml"].replace(
            "{birth_year:", "{generation: {type: text}, birth_year:"
        ),
        "events.yaml": HEAD.format(kind="events", id="e")
        + "events: [{id: shop_visited, title: ours, schema: {properties: {minutes: {type: integer}}}}]\n",
    }
    bundle = load_files(own, declared_by=with_plugin()).bundle
    assert bundle is not None
    assert (bundle.plugin_facts, bundle.events["shop_visited"].title) == ((), "ours")


def test_a_built_in_event_type_keeps_its_meaning() -> None:
    registry = with_plugin(Ages(kind=EventKind("consent_granted", "ours", {})))
    bundle = load_files(
        {name: FILES[name] for name in ("wayline.yaml", "tags.yaml")}, declared_by=registry
    ).bundle
    assert bundle is not None
    assert bundle.events["consent_granted"].effect == "consent_granted"


def test_a_fact_whose_sources_the_workspace_lacks_is_not_there() -> None:
    without = {**FILES, "wayline.yaml": FILES["wayline.yaml"].replace("birth_year", "birth_month")}
    assert codes(without, with_plugin()) == ["RS101"]


def test_plans_know_what_plugins_declare() -> None:
    plan = HEAD.format(kind="plan", id="rest") + "pause: {journeys: [visit]}\nat_most: 3d\n"
    bundle = load_files({**FILES, "rest.yaml": plan}, declared_by=with_plugin()).bundle
    assert bundle is not None
    rested = bundle_with_plans(bundle.files, ["rest"])
    assert (rested.plugin_facts, "shop_visited" in rested.events) == (("generation",), True)


def test_it_is_one_more_file_with_nothing_but_what_was_declared() -> None:
    files = with_declared(FILES, with_plugin())
    assert set(files) - set(FILES) == {FILE}
    told: dict[str, Any] = json.loads(files[FILE])
    assert [each["name"] for each in told["facts"]] == ["generation"]
    assert declared_in(files).facts[0].reads == ("birth_year",)
    assert declared_in(FILES).events == ()


def test_a_broken_plugin_takes_nothing_of_others_with_it() -> None:
    broken = offering("broken", register_facts=["no fact"], register_event_types=[RuntimeError])
    registry = with_plugin(Ages(), broken)
    assert len(registry.faults) == 2
    assert load_files(FILES, declared_by=registry).bundle is not None


@pytest.mark.parametrize("hook", ["register_facts", "register_event_types"])
def test_a_hook_that_raises_is_contained(hook: str) -> None:
    class Raising:
        pass

    def explode(_: object) -> list[object]:
        raise RuntimeError

    setattr(Raising, hook, hookimpl(explode))
    registry = with_plugin(Ages(), Raising())
    assert [fault.code for fault in registry.faults] == ["PL001"]
    assert load_files(FILES, declared_by=registry).bundle is not None
