"""Windows in which platforms take messages: when one is open, how far it is used, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.gate.concerning import caps_of, caps_on, part_of, places_on
from engine.gate.judging import Way, confirm, judge
from engine.gate.model import Answer, Intent, Outcome, Purpose, Verdict
from engine.gate.state import GateRules, Identity, Moment, Place, Standing, View
from engine.gate.windowing import answerable, check_window, check_window_for
from engine.gate.windows import MESSAGE, MOST_KEPT, ChannelWindows, Heard, Window, opened

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
REPLY = Window("reply", 2 * DAY, allowance=5, source="the platform's page", as_of="2026-11-21")
MENU = Window("menu", MINUTE, ("menu_clicked", "followed"), allowance=3)
CREDIT = Window("credit", None, ("subscribed",), allowance=1)
CHAT = ChannelWindows((REPLY, MENU))
RULES = GateRules(
    version="b1",
    timezone="UTC",
    purposes={"service": Purpose("service", "Service", "1", "transactional", 3 * DAY)},
    platforms={"chat": "chat", "mail": "mail"},
    caps=(),
    resume_within={},
    windows={"chat": CHAT},
)
INTENT = Intent("k", "ann", "service", 50, "hello", ("chat", "mail"), "s", 1, START)


def view(
    heard: dict[str, datetime], sent: dict[datetime, str] | None = None, chat: ChannelWindows = CHAT
) -> View:
    last = {kind: Heard(at) for kind, at in heard.items()}
    places = [
        Place(f"window:chat:{name}", f"m{number}", at, True, "service", "chat")
        for number, (at, name) in enumerate((sent or {}).items())
    ]
    return View(
        replace(RULES, windows={"chat": chat}),
        Standing(),
        identities=(Identity("chat", "ann-1", heard={"chat": last}), Identity("mail", "a@example.com")),
        places=tuple(places),
    )


def at(moment: datetime) -> Moment:
    return Moment(moment, moment)


def test_who_was_never_heard_is_written_to_by_the_next_channel() -> None:
    way = judge(INTENT, view({}), at(START))
    assert isinstance(way, Way)
    assert (way.channel, way.earlier) == ("mail", {"chat": "channel.window_closed"})


def test_a_closed_window_says_when_it_was_open_and_what_would_open_it() -> None:
    said = check_window(INTENT, view({MESSAGE: START}), at(START + 2 * DAY), "chat")
    assert (said.verdict, said.reason) == (Verdict.SKIP, "channel.window_closed")
    assert said.evidence == {
        "window": "reply",
        "length_s": 172800.0,
        "allowance": 5,
        "source": "the platform's page",
        "as_of": "2026-11-21",
        "last_heard": START.isoformat(),
        "heard_by": MESSAGE,
        "closes_at": (START + 2 * DAY).isoformat(),
        "opened_by": ["followed", "menu_clicked", MESSAGE],
    }
    assert said.would_pass_if == "the contact is heard on chat again"
    before = check_window(INTENT, view({MESSAGE: START}), at(START + 2 * DAY - MINUTE), "chat")
    assert before.verdict is Verdict.ALLOW


def test_an_allowance_is_whole_again_once_they_write_again() -> None:
    five = {START + n * MINUTE: "reply" for n in range(5)}
    later = START + HOUR
    said = check_window(INTENT, view({MESSAGE: START}, five), at(later), "chat")
    assert (said.reason, said.evidence["used"], said.evidence["allowance"]) == ("channel.window_spent", 5, 5)
    four = dict(list(five.items())[1:])
    assert check_window(INTENT, view({MESSAGE: START}, four), at(later), "chat").verdict is Verdict.ALLOW
    again = view({MESSAGE: later}, five)
    assert check_window(INTENT, again, at(later), "chat").verdict is Verdict.ALLOW


def test_what_a_message_took_itself_does_not_stand_against_it() -> None:
    own = Place("window:chat:reply", "k", START, False, "service", "chat")
    others = {START + n * MINUTE: "reply" for n in range(4)}
    seen = view({MESSAGE: START}, others)
    seen = replace(seen, places=(*seen.places, own))
    assert check_window(INTENT, seen, at(START + HOUR), "chat").verdict is Verdict.ALLOW


def test_any_of_several_windows_is_enough_and_each_counts_for_itself() -> None:
    spent = {START + n * MINUTE: "reply" for n in range(5)}
    later = START + HOUR
    seen = view({MESSAGE: START, "followed": later}, spent)
    assert check_window(INTENT, seen, at(later + MINUTE / 2), "chat").verdict is Verdict.ALLOW
    assert check_window(INTENT, seen, at(later + MINUTE), "chat").reason == "channel.window_spent"


def test_a_window_without_an_end_lasts_until_it_is_used() -> None:
    rules = ChannelWindows((CREDIT,))
    much_later = at(START + 900 * DAY)
    assert (
        check_window(INTENT, view({"subscribed": START}, chat=rules), much_later, "chat").verdict
        is Verdict.ALLOW
    )
    used = view({"subscribed": START}, {START + DAY: "credit"}, chat=rules)
    assert check_window(INTENT, used, much_later, "chat").reason == "channel.window_spent"


def test_who_may_write_first_is_asked_of_the_finished_message() -> None:
    seen = view({}, chat=replace(CHAT, writes_first=True))
    assert check_window(INTENT, seen, at(START), "chat").verdict is Verdict.ALLOW
    assert check_window_for(INTENT, seen, at(START), "chat", within=()).verdict is Verdict.ALLOW
    said = check_window_for(INTENT, seen, at(START), "chat", within=None)
    assert said.reason == "channel.window_closed"
    assert "approved template" in said.would_pass_if
    assert said.evidence["last_heard"] is None


def test_a_message_that_needs_one_window_is_not_let_go_by_another() -> None:
    seen = view({MESSAGE: START})
    assert (
        check_window_for(INTENT, seen, at(START), "chat", within=("menu",)).reason == "channel.window_closed"
    )
    assert check_window_for(INTENT, seen, at(START), "chat", within=("reply",)).verdict is Verdict.ALLOW
    # A name that no window has opens nothing.
    assert (
        check_window_for(INTENT, seen, at(START), "chat", within=("other",)).reason == "channel.window_closed"
    )


def test_what_was_heard_at_one_address_opens_nothing_for_another() -> None:
    seen = view({MESSAGE: START})
    newer = Identity("chat", "ann-2")
    seen = replace(seen, identities=(newer, *seen.identities))
    assert check_window(INTENT, seen, at(START), "chat").reason == "channel.window_closed"


def test_it_is_asked_again_under_the_lock_and_the_end_is_blocked() -> None:
    spent = view({MESSAGE: START}, {START + n * MINUTE: "reply" for n in range(5)})
    assert confirm(INTENT, spent, at(START + HOUR), "chat").reason == "channel.window_spent"
    assert confirm(INTENT, spent, at(START + HOUR), "chat", within=()).verdict is Verdict.ALLOW
    alone = judge(replace(INTENT, channels=("chat",)), spent, at(START + HOUR))
    assert isinstance(alone, Answer)
    assert (alone.reason, alone.outcome) == ("channel.window_spent", Outcome.BLOCKED)


def test_messages_are_counted_in_the_windows_they_may_leave_through_and_never_capped_by_them() -> None:
    def named(within: tuple[str, ...] | None) -> list[str]:
        return [cap.id for cap in places_on(INTENT, RULES, "chat", frozenset(), within)]

    assert named(None) == ["window:chat:reply", "window:chat:menu"]
    assert named(("menu",)) == ["window:chat:menu"]
    assert named(()) == []
    assert [cap.id for cap in caps_of(INTENT, RULES)] == named(None)
    assert caps_on(INTENT, RULES, "chat", frozenset()) == ()
    free = Window("reply", DAY)
    assert (
        places_on(
            INTENT, replace(RULES, windows={"chat": ChannelWindows((free,))}), "chat", frozenset(), None
        )
        == ()
    )


moments = st.integers(0, 400).map(lambda minutes: START + minutes * MINUTE)


@given(
    heard=st.dictionaries(st.sampled_from([MESSAGE, "menu_clicked", "followed"]), moments, max_size=3),
    sent=st.lists(moments, max_size=9),
    length=st.integers(1, 300),
    allowance=st.one_of(st.none(), st.integers(1, 4)),
    now=moments,
)
def test_a_window_is_open_exactly_while_it_lasts_and_has_something_left(
    heard: dict[str, datetime], sent: list[datetime], length: int, allowance: int | None, now: datetime
) -> None:
    window = Window("w", length * MINUTE, (MESSAGE, "followed"), allowance)
    found = opened(window, {kind: Heard(at) for kind, at in heard.items()}, sent)
    that_open = [moment for kind, moment in heard.items() if kind != "menu_clicked"]
    if not that_open:
        assert found is None
        return
    since = max(that_open)
    lasts = now < since + length * MINUTE
    left = allowance is None or len([moment for moment in sent if moment >= since]) < allowance
    assert found is not None
    assert found.is_open(now) == (lasts and left)


def test_channels_without_windows_are_asked_nothing() -> None:
    assert check_window(INTENT, view({}), at(START), "mail").verdict is Verdict.ALLOW
    assert check_window_for(INTENT, view({}), at(START), "mail", within=None).verdict is Verdict.ALLOW


CREDITS = Window(
    "credits", None, ("allowed",), allowance=1, adds_up=True, per="template", closed_by=("refused",)
)
acts = st.lists(
    st.tuples(moments, st.sampled_from(["allowed", "refused", "sent"]), st.sampled_from(["a", "b"])),
    max_size=20,
    unique_by=lambda act: act[0],
)


@given(acts=acts)
def test_permissions_of_a_template_are_used_one_by_one_until_they_are_refused(
    acts: list[tuple[datetime, str, str]],
) -> None:
    left = {"a": 0, "b": 0}
    heard: dict[str, Heard] = {}
    sent: dict[str, list[datetime]] = {"a": [], "b": []}
    for moment, act, part in sorted(acts):
        if act == "sent":
            if left[part]:
                sent[part].append(moment)
                left[part] -= 1
        else:
            left[part] = left[part] + 1 if act == "allowed" else 0
            before = heard.get(act, Heard(moment)).each
            heard[act] = Heard(moment, each=(*before, (moment, part)))
        for each, more in left.items():
            found = opened(CREDITS, heard, sent[each], each)
            assert (0 if found is None or not found.is_open(moment) else found.left) == more


@given(extra=st.integers(1, 6), used=st.integers(0, MOST_KEPT + 6))
def test_what_is_forgotten_lets_fewer_go_and_never_more(extra: int, used: int) -> None:
    allowed = [START + n * MINUTE for n in range(MOST_KEPT + extra)]
    kept = Heard(allowed[-1], each=tuple((at, "a") for at in allowed[-MOST_KEPT:]))
    used = min(used, len(allowed))
    sent = [allowed[-1] + (n + 1) * MINUTE for n in range(used)]
    found = opened(CREDITS, {"allowed": kept}, sent, "a")
    assert found is not None
    assert found.left == max(0, MOST_KEPT - used)


def test_a_message_takes_the_place_of_its_template_and_of_no_other() -> None:
    said = ChannelWindows((CREDITS,), writes_first=True)
    each = tuple((START - n * MINUTE, part) for n, part in ((2, "a"), (1, "b")))
    known = view({}, chat=said)
    known = replace(
        known,
        identities=(
            Identity("chat", "ann-1", heard={"chat": {"allowed": Heard(START - MINUTE, each=each)}}),
        ),
        places=(Place("window:chat:credits", "m1", START, True, "service", "chat", part="a"),),
    )
    now = at(START + MINUTE)
    spent = check_window_for(INTENT, known, now, "chat", within=("credits:a",))
    assert (spent.reason, spent.evidence["per"], spent.evidence["used"]) == (
        "channel.window_spent",
        "template",
        1,
    )
    assert check_window_for(INTENT, known, now, "chat", within=("credits:b",)).verdict is Verdict.ALLOW
    closed = check_window_for(INTENT, known, now, "chat", within=("credits:c",))
    assert closed.reason == "channel.window_closed"
    (cap,) = places_on(INTENT, known.rules, "chat", frozenset(), ("credits:b",))
    assert (cap.id, part_of(cap, "chat", ("credits:b",))) == ("window:chat:credits", "b")


def test_what_an_answer_has_to_name_is_told_while_its_window_is_open() -> None:
    named = {"message": "m-7"}
    known = view({MESSAGE: START})
    heard = {"chat": {MESSAGE: Heard(START, named), "followed": Heard(START)}}
    known = replace(known, identities=(Identity("chat", "ann-1", heard=heard),))
    assert answerable(INTENT, known, at(START), "chat") == {"reply": named}
    assert answerable(INTENT, known, at(START + 2 * DAY), "chat") == {}
    assert answerable(INTENT, known, at(START), "mail") == {}
    assert answerable(INTENT, view({MESSAGE: START}), at(START), "chat") == {}
