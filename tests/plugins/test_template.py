"""The template generator: what a text may say, and that it can neither reach out nor run away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plugin import ContentSpec, GenerateRequest, GeneratorFailed
from engine.plugin.testing import check_generator
from plugins.generators.template import MOST_OUTPUT, TemplateGenerator, render

FACTS: dict[str, Any] = {
    "contact": {
        "name": "Ann",
        "nickname": None,
        "tags": {"vip", "new"},
        "timezone": "Asia/Shanghai",
        "items": ["first", "second"],
        "values": {"keys": 3},
    },
    "event": {"amount": 1234.5, "count": 20.0, "lines": [{"sku": "a"}, {"sku": "b"}]},
    "journey": {"at": datetime(2026, 1, 1, 20, 0, tzinfo=UTC)},
}


def failure_of(source: str, facts: Mapping[str, Any] = FACTS) -> str:
    with pytest.raises(GeneratorFailed) as caught:
        render(source, facts)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_it_passes_the_contract_tests() -> None:
    check_generator(TemplateGenerator())


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Hello {{ contact.name }}", "Hello Ann"),
        ("{{ contact['name'] | upper }}", "ANN"),
        ("{{ contact.nickname | default('there') }}", "there"),
        ("{% if 'vip' in contact.tags %}VIP{% else %}-{% endif %}", "VIP"),
        ("{% if contact.nickname is defined %}x{% else %}y{% endif %}", "y"),
        ("{% for line in event.lines %}{{ loop.index }}{{ line.sku }} {% endfor %}", "1a 2b "),
        ("{{ contact.tags | join(', ') }}", "new, vip"),
        ("{{ event.amount | money }}", "¥1,234.50"),
        ("{{ event.amount | money('USD') }}", "$1,234.50"),
        ("{{ event.amount | money('JPY') }}", "¥1,234"),
        ("{{ (0 - event.amount) | money(currency='SEK') }}", "-1,234.50 SEK"),
        ("{{ journey.at | date }}", "2026-01-01"),
        ("{{ journey.at | date('%m月%d日 %H:%M', contact.timezone) }}", "01月02日 04:00"),
        ("{{ '2026-01-01T00:00:00Z' | date('%d') }}", "01"),
        ("{{ event.count }} {{ event.count + 0.5 }} {{ 7 // 2 }}", "20 20.5 3"),
        ("{{ contact.name ~ '!' }}", "Ann!"),
        ("<b>{{ contact.name }}</b> & co", "<b>Ann</b> & co"),
        ("没有变量", "没有变量"),
        ("", ""),
    ],
)
def test_a_template_becomes_the_text_one_expects(source: str, text: str) -> None:
    assert render(source, FACTS) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("hello", "hello"),
        ("你好\n\n再见\n", "你好\n\n再见"),
        ("a\r\nb", "a\nb"),
        ("a{# why #}b", "ab"),
    ],
)
def test_a_text_that_names_no_fact_is_the_same_for_everybody(source: str, text: str) -> None:
    assert render(source, FACTS) == render(source, {}) == text


def test_facts_named_like_methods_of_a_mapping_are_facts() -> None:
    assert render("{{ contact.items[1] }} {{ contact.values.keys }}", FACTS) == "second 3"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("{{ contact.nam }}", "contact.nam is not known"),
        ("{{ contact.nickname }}", "contact.nickname is not known"),
        ("{{ contcat.name }}", "'contcat' is not known"),
        ("{{ contact.city.street }}", "contact.city is not known"),
        ("{{ contact.items[5] }}", "contact.items[5] is not known"),
        ("{{ event.lines[1].price }}", "event.lines[1].price is not known"),
        ("{{ contact.nam | upper }}", "contact.nam is not known"),
        ("{{ contact.nam + 1 }}", "contact.nam is not known"),
        ("{% for x in contact.nam %}{% endfor %}", "contact.nam is not known"),
        ("{% if contact.nam > 3 %}{% endif %}", "contact.nam is not known"),
        ("{{ contact.nam | money }}", "contact.nam is not known"),
        ("{{ contact.nam | date }}", "contact.nam is not known"),
    ],
)
def test_a_fact_that_is_not_known_is_named(source: str, name: str) -> None:
    assert failure_of(source) == name


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ contact.__class__ }}",
        "{{ contact['__class__'] }}",
        "{{ contact.name.__class__ }}",
        "{{ contact.name.upper() }}",
        "{{ contact.name.format }}",
        "{{ '{0.__class__}'.format(contact) }}",
        "{{ contact | attr('__class__') }}",
        "{{ self }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{{ range(10) }}",
        "{{ joiner }}",
        "{{ namespace(a=1) }}",
        "{% set a = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% filter upper %}x{% endfilter %}",
        "{% call x() %}{% endcall %}",
        "{% for a in event.lines recursive %}{{ loop(a) }}{% endfor %}",
        "{{ loop }}",
        "{% for a in event.lines %}{{ loop.cycle('a') }}{% endfor %}",
        "{% for a in event.lines %}{{ loop.__init__ }}{% endfor %}",
        "{{ contact }}",
        "{{ contact.tags }}",
        "{{ 'a' | map(attribute='x') | list }}",
    ],
)
def test_nothing_reaches_beyond_the_facts(source: str) -> None:
    assert failure_of(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ 1000000000 * 'x' }}",
        "{{ [1] * 1000000000 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'x' | center(1000000000) }}",
        "{{ 'x' | indent(1000000000) }}",
        "{% for a in numbers %}{% for b in numbers %}{% endfor %}{% endfor %}",
        "{% for a in numbers %}{{ long }}{% endfor %}",
        "{% for a in long %}x{% endfor %}",
        "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
        "x" * 100_001,
        "{{ 5 | round(-999999999) }}",
        "{{ 1.5 | round(999999999, 'ceil') }}",
    ],
)
def test_nothing_runs_away(source: str) -> None:
    assert failure_of(source, {"numbers": list(range(600)), "long": "x" * 1_000})


def test_the_length_of_a_text_is_bounded() -> None:
    assert f"longer than {MOST_OUTPUT}" in failure_of("{{ long }}", {"long": "x" * (MOST_OUTPUT + 1)})


def test_a_mistake_in_the_template_names_its_line() -> None:
    assert failure_of("one\ntwo {{ contact.name }\n").startswith("line 2: ")


@pytest.mark.parametrize(
    "source",
    [
        "{{ contact.name | money }}",
        "{{ contact.name | date }}",
        "{{ journey.at | date('%d', contact.name) }}",
        "{{ contact.name / 2 }}",
        "{{ contact.name < 3 }}",
        "{{ contact.name | round }}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_value_that_does_not_fit_is_never_quoted(source: str) -> None:
    assert "Ann" not in failure_of(source)


def test_a_failure_names_the_content_and_the_part() -> None:
    content = ContentSpec("hello", "zh", body="x", subject="{{ contact.city }}")
    with pytest.raises(GeneratorFailed) as caught:
        TemplateGenerator().generate(GenerateRequest(content, FACTS, "email", "marketing"))
    assert str(caught.value) == "content 'hello' (zh), subject: contact.city is not known"


def test_a_draft_says_where_it_comes_from() -> None:
    content = ContentSpec("hello", "en", body="{{ contact.name }}", subject="s", call_to_action="c")
    draft = TemplateGenerator().generate(GenerateRequest(content, FACTS, "email", "marketing"))
    assert (draft.body, draft.subject, draft.call_to_action, draft.locale) == ("Ann", "s", "c", "en")
    assert (draft.provenance.generator, draft.provenance.ai_generated) == ("template", False)


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_what_a_contact_wrote_is_never_read_as_a_template(name: str) -> None:
    assert render("{{ contact.name }}", {"contact": {"name": name}}) == name


@given(st.text(alphabet="{}%|.()[]'\" abcfori_+*~<>=0123456789\n", max_size=60))
@settings(max_examples=300)
def test_any_template_gives_a_text_or_a_reason(source: str) -> None:
    try:
        assert isinstance(render(source, FACTS), str)
    except GeneratorFailed as failure:
        assert str(failure)
