"""A text with scripts is the text with the pieces typed in by hand, for everything that reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of, bundle_with_plans, load_files
from engine.authoring.mending import mend
from engine.authoring.models.scripts import ScriptEntry
from engine.authoring.outgoing import outgoing, sent_by_journeys
from engine.authoring.scripts import put_in
from engine.plugin.registry import Registry

HEAD = {"title": "a", "owner": "a"}
NAMES = ("greeting", "price", "opt_out")

words = st.text(st.sampled_from("您好ab %#-\"'\n"), max_size=8)
pieces = st.one_of(
    words,
    st.sampled_from(["{{ contact.city | default('您', true) }}", "{% if contact.member %}x{% endif %}"]),
).filter(lambda text: bool(text.removesuffix("\n")))
texts = st.lists(st.one_of(words, st.sampled_from(NAMES).map(lambda name: (name,))), max_size=6)


def scripts(**locales: Mapping[str, str]) -> str:
    entries = [
        {"id": name, "title": name, "situation": "a", "locales": dict(each)} for name, each in locales.items()
    ]
    return json.dumps({"kind": "scripts", "id": "scripts", **HEAD, "scripts": entries})


def contents(*others: str, **said: Any) -> str:
    """The content `hello`, and others that say the same."""
    entries = [{"id": name, **said} for name in ("hello", *others)]
    return json.dumps({"kind": "content", "id": "content", **HEAD, "contents": entries})


def written(text: list[Any]) -> str:
    return "a" + "".join(each if isinstance(each, str) else f"{{{{ scripts.{each[0]} }}}}" for each in text)


def by_hand(text: list[Any], library: Mapping[str, str]) -> str:
    return "a" + "".join(
        each if isinstance(each, str) else library[each[0]].removesuffix("\n") for each in text
    )


def everything(bundle: Bundle) -> Any:
    """What the bundle says of its texts and of who is sent them; its files differ."""
    programs = {name: replace(program, version="") for name, program in bundle.programs.items()}
    texts = (bundle.contents, bundle.plain_contents, bundle.channel_contents, bundle.plain_channel_contents)
    sent = [list(outgoing(bundle, *use)) for use in sent_by_journeys(bundle)]
    return programs, texts, sent


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    library=st.fixed_dictionaries(dict.fromkeys(NAMES, pieces)),
    parts=st.fixed_dictionaries({"subject": texts, "body": texts, "call_to_action": texts}),
)
def test_a_text_with_scripts_is_the_text_with_the_pieces_typed_in(
    small: Mapping[str, str], library: Mapping[str, str], parts: Mapping[str, list[Any]]
) -> None:
    library_file = scripts(**{name: {"zh": text} for name, text in library.items()})

    def bundle(text: Mapping[str, str]) -> Bundle:
        both = [{"channels": ["letter"], "locales": {"zh": text}}]
        content = contents(locales={"zh": text}, variants=both)
        loaded = load_files({**small, "content.yaml": content, "scripts.yaml": library_file})
        assert loaded.bundle is not None, loaded.problems
        return loaded.bundle

    named = bundle({part: written(text) for part, text in parts.items()})
    typed = bundle({part: by_hand(text, library) for part, text in parts.items()})

    assert everything(named) == everything(typed)


def entry(text: str) -> ScriptEntry:
    return ScriptEntry(id="greeting", title="a", situation="a", locales={"zh": text})


@settings(max_examples=60, deadline=None)
@given(piece=st.text(max_size=40), before=st.text("{}%# a", max_size=6), after=st.text("{}%# a", max_size=6))
def test_whatever_a_piece_holds_it_is_put_in_as_it_stands(piece: str, before: str, after: str) -> None:
    place = "{{ scripts.greeting }}"
    whole = put_in(f"{before}{place}{after}", "zh", {"greeting": entry(piece)} if piece else {})

    piece = piece.removesuffix("\n")
    assert whole == f"{before}{piece or place}{after}"


def test_each_language_gets_its_own_piece_and_a_changed_piece_is_another_bundle(
    small: Mapping[str, str],
) -> None:
    files = {**small, "wayline.yaml": small["wayline.yaml"].replace("locales: [zh]", "locales: [zh, en]")}
    said = {"body": "{{scripts.greeting}}!"}
    files["content.yaml"] = contents(locales={"zh": said, "en": said})
    one = bundle_of({**files, "scripts.yaml": scripts(greeting={"zh": "您好", "en": "Hello\n"})})
    other = bundle_of({**files, "scripts.yaml": scripts(greeting={"zh": "您好", "en": "Good day"})})

    assert {locale: text.body for locale, text in one.contents["hello"].items()} == {
        "zh": "您好!",
        "en": "Hello!",
    }
    assert other.contents["hello"]["en"].body == "Good day!"
    assert one.hash != other.hash


def test_what_a_plan_puts_in_a_contents_place_gets_its_scripts_too(small: Mapping[str, str]) -> None:
    festive = {"id": "festive", "locales": {"zh": {"body": "{{ scripts.greeting }}，节日快乐"}}}
    plan = {"kind": "plan", "id": "feast", **HEAD, "at_most": "1d", "contents": {"hello": "festive"}}
    more = {"kind": "content", "id": "more", **HEAD, "contents": [festive]}
    files = {**small, "scripts.yaml": scripts(greeting={"zh": "您好"})}
    files |= {"more.yaml": json.dumps(more), "plan.yaml": json.dumps(plan)}

    assert bundle_with_plans(files, ["feast"]).contents["hello"]["zh"].body == "您好，节日快乐"


def test_a_text_about_the_reader_is_one_wherever_it_says_so(small: Mapping[str, str]) -> None:
    files = {**small, "content.yaml": contents(locales={"zh": {"body": "{{ scripts.greeting }}"}})}
    files["scripts.yaml"] = scripts(greeting={"zh": "{{ contact.id }}您好"})

    assert [each.code for each in load_files(files).problems] == ["RW161"]


def test_a_fault_of_a_script_is_told_once_where_it_is_mended(
    small: Mapping[str, str], registry: Registry
) -> None:
    said = {"zh": {"subject": "{{ scripts.greeting }}", "body": "欢迎，{{ scripts.greeting }}"}}
    files = {**small, "content.yaml": contents("other", locales=said)}
    files["scripts.yaml"] = scripts(greeting={"zh": "{{ contact.citi }}"})

    (problem,) = load_files(files, registry).errors

    assert (problem.code, problem.place.file, problem.path) == (
        "RS058",
        "scripts.yaml",
        "scripts[0].locales.zh",
    )
    assert "'hello'" in problem.message


def test_pieces_that_make_a_whole_only_together_are_read_together(
    small: Mapping[str, str], registry: Registry
) -> None:
    files = {**small, "content.yaml": contents(locales={"zh": {"body": "{{scripts.a}}x{{scripts.b}}"}})}
    files["scripts.yaml"] = scripts(a={"zh": "{% if contact.order_count %}"}, b={"zh": "{% endif %}"})

    loaded = load_files(files, registry)

    assert loaded.errors == ()
    assert loaded.bundle is not None
    assert loaded.bundle.contents["hello"]["zh"].body == "{% if contact.order_count %}x{% endif %}"


def test_a_misspelt_script_is_mended_at_its_place(small: Mapping[str, str]) -> None:
    content = contents(locales={"zh": {"body": "{{ scripts.greting }} greting"}})
    files = {**small, "content.yaml": content, "scripts.yaml": scripts(greeting={"zh": "您好"})}

    result = mend(files)

    assert result.files["content.yaml"] == content.replace("scripts.greting", "scripts.greeting")


def test_a_script_that_nobody_says_is_told_to_who_writes(small: Mapping[str, str]) -> None:
    files = {**small, "scripts.yaml": scripts(greeting={"zh": "您好"}, price={"zh": "可分期"})}
    files["content.yaml"] = contents(locales={"zh": {"body": "{{ scripts.price }}"}})

    unused = [each for each in load_files(files, advise=True).problems if each.code == "RW036"]

    assert [each.path for each in unused if each.place.file == "scripts.yaml"] == ["scripts[0].id"]


@pytest.mark.parametrize("part", ["subject", "call_to_action"])
def test_short_parts_stay_short_with_their_scripts(small: Mapping[str, str], part: str) -> None:
    def codes(length: int) -> list[str]:
        text = {"body": "a", part: "ab{{ scripts.greeting }}"}
        files = {**small, "content.yaml": contents(locales={"zh": text})}
        loaded = load_files({**files, "scripts.yaml": scripts(greeting={"zh": "长" * length})})
        return [each.code for each in loaded.errors]

    assert codes(498) == []
    assert codes(499) == ["RS174"]
