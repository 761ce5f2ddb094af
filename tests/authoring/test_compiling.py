"""From files to the bundle: steps joined, conditions filed under their rules, values of the right kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.compiling.reaching import exits
from engine.authoring.compiling.run_facts import program_facts
from engine.authoring.loading import bundle_of
from engine.errors import Place
from engine.gate.model import CalendarUnit, CalendarWindow, RollingWindow, WhenFull
from engine.journeys.program import (
    Branch,
    ChangeTags,
    Keeps,
    Program,
    Reentry,
    ReentryKind,
    Send,
    SetValues,
    Stop,
    Wait,
    WaitFor,
)
from engine.rules.evaluator import evaluate
from engine.rules.truth import Truth

Make = Callable[..., dict[str, str]]


def program(files: Mapping[str, str]) -> Program:
    return bundle_of(files).programs["welcome"]


def test_nested_lists_join_the_step_after_them(with_journey: Make) -> None:
    steps = program(
        with_journey("""\
  - send: hi
    content: hello
    channels: [email]
    outcomes:
      capped:
        - {wait: breathe, for: 1d}
        - {send: late, content: hello, channels: [letter]}
      failed: []
      blocked: [{stop: blocked_end}]
  - wait_for: order
    event: order_paid
    up_to: 2d
    then: [{tag: mark, add: [buyer]}]
  - branch: way
    cases:
      - {when: {contact.member: true}, steps: [{set: size, values: {benefit: 5}}]}
      - {when: {contact.visits: {gte: 3}}, steps: []}
  - {wait: last, days: 2, at: "09:30", weekdays: [fri, mon]}
""")
    ).steps

    assert steps["hi"] == Send(
        "hi",
        "hello",
        ("email",),
        "marketing",
        "order",
        outcomes={"capped": "breathe", "failed": "order", "blocked": "blocked_end"},
    )
    assert steps["breathe"] == Wait("breathe", "late", for_=timedelta(days=1))
    assert steps["blocked_end"] == Stop("blocked_end")
    assert steps["order"] == WaitFor("order", ("order_paid",), None, timedelta(days=2), "mark", "way")
    assert steps["mark"] == ChangeTags("mark", ("buyer",), (), "way")
    assert steps["way"] == Branch(
        "way", (("branch:welcome/way/1", "size"), ("branch:welcome/way/2", "last")), "last"
    )
    assert steps["size"] == SetValues("size", {"benefit": 5}, "last")
    assert steps["last"] == Wait("last", None, days=2, at=time(9, 30), weekdays=(1, 5))
    assert list(steps)[:4] == ["hi", "breathe", "late", "blocked_end"]


steps_of_a_journey = st.recursive(
    st.just("leaf"), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=12
)


@settings(max_examples=60)
@given(tree=steps_of_a_journey)
def test_every_exit_of_every_step_leads_to_a_step_or_the_end(tree: object, with_journey: Make) -> None:
    lines: list[str] = []
    count = _write(tree if isinstance(tree, list) else [tree], lines, "  ", 0)
    compiled = program(with_journey("".join(f"{line}\n" for line in lines)))

    assert len(compiled.steps) == count
    reached = {compiled.first, *(exit_ for step in compiled.steps.values() for exit_ in exits(step))}
    assert reached - {None} == set(compiled.steps)


def _write(tree: list[object], lines: list[str], indent: str, count: int) -> int:
    for node in tree:
        count += 1
        if isinstance(node, list):
            lines.append(f"{indent}- wait_for: step_{count}")
            lines += [f"{indent}  event: order_paid", f"{indent}  up_to: 1d", f"{indent}  otherwise:"]
            count = _write(node, lines, indent + "    ", count)
        else:
            lines.append(f"{indent}- {{wait: step_{count}, for: 1h}}")
    return count


def test_conditions_are_filed_under_their_rules_with_their_places(with_journey: Make) -> None:
    files = with_journey(
        """\
  - branch: way
    cases:
      - when: {contact.member: true}
        steps: [{wait_for: again, event: order_paid, when: {event.amount: {gt: 5}}, up_to: 1d}]
""",
        enter="\n  event: [order_paid, product_viewed]\n  when: {contact.visits: {gte: 3}}",
        more="leave:\n  - event: order_paid\n  - when: {contact.tags: {has: quiet}}\n"
        "goal: {event: order_paid, when: {event.amount: {gt: 9}}, within: 7d}\n",
    )
    bundle = bundle_of(files)
    compiled = bundle.programs["welcome"]

    assert {(rule.id, rule.shard) for rule in bundle.rules} == {
        ("entry:welcome#order_paid", "entry:order_paid"),
        ("entry:welcome#product_viewed", "entry:product_viewed"),
        ("leave:welcome/2", "leave:welcome"),
        ("goal:welcome", "goal:welcome"),
        ("wait:welcome/again", "wait:welcome/again"),
        ("branch:welcome/way/1", "branch:welcome/way"),
    }
    assert compiled.entry.rule == "entry:welcome"
    assert [leave.rule for leave in compiled.leaves] == [None, "leave:welcome/2"]
    assert [leave.events for leave in compiled.leaves] == [("order_paid",), ()]
    assert compiled.goal is not None and compiled.goal.rule == "goal:welcome"
    lines = files["welcome.yaml"].split("\n")
    for rule in bundle.rules:
        place = bundle.rule_places[rule.id]
        assert lines[place.line - 1][place.column - 1 :].startswith("when:")
    for (rule_id, at), place in bundle.test_places.items():
        assert lines[place.line - 1][place.column - 1 :].startswith(f"{at[-1]}:"), (rule_id, at)


def test_rules_mean_what_was_written(with_journey: Make) -> None:
    bundle = bundle_of(
        with_journey(
            "  - {stop: end}\n", enter="{event: order_paid, when: {event.amount: {between: [10, 20]}}}"
        )
    )
    condition = bundle.condition("entry:welcome#order_paid")
    now = datetime(2026, 3, 1, tzinfo=UTC)

    assert evaluate(condition, {"event.amount": 15}, now) is Truth.TRUE
    assert evaluate(condition, {"event.amount": 25}, now) is Truth.FALSE
    assert evaluate(condition, {}, now) is Truth.UNKNOWN


@pytest.mark.parametrize(
    ("written", "reentry"),
    [
        ("never", Reentry(ReentryKind.NEVER)),
        ("always", Reentry(ReentryKind.ALWAYS)),
        ("{after: 90d}", Reentry(ReentryKind.AFTER, after=timedelta(days=90))),
        ("{once_per: event.order_id}", Reentry(ReentryKind.ONCE_PER, per="event.order_id")),
    ],
)
def test_every_form_of_reentry(written: str, reentry: Reentry, with_journey: Make) -> None:
    files = with_journey("  - {stop: end}\n", enter=f"{{event: order_paid, reentry: {written}}}")

    assert program(files).entry.reentry == reentry


def test_a_journey_that_says_nothing_of_reentry_is_entered_once(small: Mapping[str, str]) -> None:
    assert program(small).entry.reentry == Reentry(ReentryKind.NEVER)


def test_runs_keep_what_conditions_copied_values_and_texts_name_of_events(with_journey: Make) -> None:
    files = with_journey(
        """\
  - wait_for: look
    event: [product_viewed, order_paid]
    when: {event.amount: {gt: {fact: journey.entry.amount}}}
    up_to: 1d
  - {set: note, values: {which: {fact: journey.events.look.order_id}}}
  - {send: hi, content: hello, channels: [email]}
""",
        enter="{event: order_paid}",
    )
    body = "{{ journey.events.look.source | default('') }} {{ journey.entry.order_id | default('') }}"
    files["content.yaml"] = files["content.yaml"].replace("body: 你好", f'body: "{body}"')
    keeps = program(files).keeps

    assert keeps.entry == {"amount", "order_id"}
    assert keeps.events == {"look": {"order_id", "source"}}


def test_a_journey_that_names_no_event_keeps_nothing(small: Mapping[str, str]) -> None:
    assert program(small).keeps == Keeps()


def test_conditions_inside_a_journey_see_its_outcomes_and_values(with_journey: Make) -> None:
    bundle = bundle_of(
        with_journey("""\
  - {send: hi, content: hello, channels: [email]}
  - {set: size, values: {benefit: 5, name: gold, big: true}}
  - branch: way
    cases:
      - when: {journey.outcomes.hi: sent, journey.values.benefit: {gte: 5}, journey.values.big: true}
        steps: [{wait: a, until: contact.trial_ends_at}]
""")
    )

    assert {
        fact.path: str(fact.type)
        for fact in program_facts(bundle.programs["welcome"], bundle.events)
        if "entry" not in fact.path
    } == {
        "journey.outcomes.hi": "text",
        "journey.values.benefit": "number",
        "journey.values.name": "text",
        "journey.values.big": "boolean",
    }


def test_equal_files_give_equal_hashes_in_whatever_order(small: Mapping[str, str]) -> None:
    assert bundle_of(dict(reversed(list(small.items())))).hash == bundle_of(small).hash
    moved = {("other.yaml" if name == "content.yaml" else name): text for name, text in small.items()}
    assert bundle_of(moved).hash != bundle_of(small).hash


def test_a_journeys_version_follows_what_it_does_and_not_how_it_is_described(
    small: Mapping[str, str],
) -> None:
    text = small["welcome.yaml"]
    version = program(small).version

    prose = text.replace("title: 欢迎", "title: 新的欢迎\ndescription: 说明").replace(
        "owner: tests", "owner: others"
    )
    assert program({**small, "welcome.yaml": f"# 注释\n{prose}"}).version == version
    written_out = text.replace("{event: contact_added}", "{event: [contact_added], reentry: never}")
    assert program({**small, "welcome.yaml": written_out}).version == version
    other = text.replace("channels: [email]", "channels: [letter]")
    assert program({**small, "welcome.yaml": other}).version != version


def test_a_file_that_is_switched_off_is_as_if_it_were_not_there(small: Mapping[str, str]) -> None:
    off = small["welcome.yaml"].replace("owner: tests", "owner: tests\nenabled: false")

    assert bundle_of({**small, "welcome.yaml": off}).programs == {}


@pytest.fixture(scope="module")
def rich(small: Mapping[str, str]) -> Bundle:
    head = "id: more\ntitle: 更多\nowner: tests\n"
    return bundle_of(
        {
            **small,
            "caps.yaml": f"kind: caps\n{head}" + """\
caps:
  - {id: weekly, counts: {purpose: marketing, channels: [email], tags: [vip]}, limit: 3,
     window: {calendar: week, timezone: workspace, week_starts: sun}, when_full: next_channel}
  - {id: rolling, counts: {journeys: [welcome]}, limit: 2, window: {rolling: 36h}, when_full: defer,
     max_defer: 2d}
  - {id: gap, counts: {}, min_gap: 4h, when_full: skip}
""",
            "breakers.yaml": f"kind: breakers\n{head}" + """\
breakers:
  - id: failures
    scope: channel
    metric: send_failure_rate
    window: 10m
    min_samples: 50
    levels: {yellow: {gt: 15%}, red: {gt: 40%}}
    recover: {probe_after: 5m, probes: 20, close_when: {lt: 5%}, ramp: [5%, 25%, 100%]}
    held: {resume_within: 6h, then: drop}
""",
            "words.yaml": f"kind: lexicon\n{head}" + """\
source: 广告法
as_of: "2026-03-01"
entries:
  - {term: 最佳, severity: block, law: 第九条, exempt_when: [最佳食用期]}
""",
            "checks.yaml": f"kind: checks\n{head}" + """\
checks:
  - {id: law, plugin: lexicon, lexicons: [more], purposes: [marketing], settings: {strict: true}}
""",
            "tags.yaml": f"kind: tags\n{head}" + """\
tags:
  - {tag: 老客, level: behaviour, when: {contact.order_count: {gte: 2}}}
""",
        }
    )  # fmt: skip


def test_caps_are_compiled(rich: Bundle) -> None:
    weekly, rolling, gap = rich.caps

    assert weekly.window == CalendarWindow(CalendarUnit.WEEK, "workspace", 7)
    assert (weekly.limit, weekly.when_full) == (3, WhenFull.NEXT_CHANNEL)
    assert (weekly.counts.purpose, weekly.counts.channels, weekly.counts.tags) == (
        "marketing",
        ("email",),
        ("vip",),
    )
    assert rolling.window == RollingWindow(timedelta(hours=36)) and rolling.max_defer == timedelta(days=2)
    assert gap.min_gap == timedelta(hours=4) and gap.window is None and gap.limit is None
    assert (gap.file, gap.line) == ("caps.yaml", 10)


def test_breakers_are_compiled(rich: Bundle) -> None:
    (breaker,) = rich.breakers

    assert [(level.name, level.above) for level in breaker.levels] == [("yellow", 0.15), ("red", 0.4)]
    assert breaker.recovery.ramp == (0.05, 0.25, 1.0) and breaker.recovery.close_below == 0.05
    assert breaker.resume_within == timedelta(hours=6)


def test_lexicons_checks_and_tags_are_compiled(rich: Bundle) -> None:
    (entry,) = rich.lexicons["more"].entries
    assert (entry.term, str(entry.severity), entry.exempt_when) == ("最佳", "block", ("最佳食用期",))
    (check,) = rich.checks
    assert (check.lexicons, check.purposes, check.channels) == (("more",), ("marketing",), ())
    assert check.settings == {"strict": True}
    (tag,) = rich.tags
    assert (tag.tag, tag.level, tag.rule) == ("老客", "behaviour", "tag:老客")
    assert rich.rule_places["tag:老客"] == Place("tags.yaml", 6, 33)


def test_secrets_stay_references(rich: Bundle) -> None:
    assert rich.channels["email"].settings["password"] == {"env": "SMTP_PASSWORD"}
    assert rich.channels["letter"].settings["folder"] == {"env": "FOLDER", "default": "letters"}


def test_built_in_event_types_are_always_there(rich: Bundle) -> None:
    effects = {kind.id: kind.effect for kind in rich.events.values()}

    assert effects["consent_granted"] == "consent_granted" and effects["contact_deleted"] == "deleted"
    assert effects["consent_withdrawn"] == "consent_withdrawn" and effects["contact_added"] is None
    assert not rich.events["contact_added"].counts_as_activity
    assert rich.events["order_paid"].effect == "order" and rich.events["order_paid"].counts_as_activity


def test_a_workspace_adds_properties_to_a_built_in_type_without_losing_any(small: Mapping[str, str]) -> None:
    more = """\
  - id: consent_granted
    title: 同意
    schema: {type: object, required: [shop], properties: {shop: {type: string}}}
"""
    kind = bundle_of({**small, "events.yaml": small["events.yaml"] + more}).events["consent_granted"]

    assert kind.effect == "consent_granted" and not kind.counts_as_activity
    assert kind.schema["required"] == ["purpose", "shop"]
    assert {"purpose", "channel", "shop"} <= set(kind.schema["properties"])
