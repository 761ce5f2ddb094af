"""Consent against a second, simpler account of it: a walk through the entries that keeps four switches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.gate.consent import ANY, ConsentRecord, confirmable, settle_consent, take_back
from engine.gate.model import Purpose

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MARKETING = Purpose("marketing", "m", "3", "marketing", DAY)
SERVICE = Purpose("service", "s", "1", "transactional", DAY)
LAW = Purpose("law", "l", "1", "legal", DAY)
PURPOSES = {each.id: each for each in (MARKETING, SERVICE, LAW)}


def entry(
    day: int, decision: str, purpose: str, channel: str, version: str, lasts: int | None, source: str
) -> ConsentRecord:
    at = START + day * DAY
    until = None if lasts is None else at + lasts * DAY
    return ConsentRecord(purpose, channel, decision, at, until, source, version)


entries = st.builds(
    entry,
    st.integers(0, 20),
    st.sampled_from(["granted", "granted", "withdrawn", "denied", "pending"]),
    st.sampled_from(["marketing", "marketing", "service", ANY]),
    st.sampled_from(["email", "app", ANY]),
    st.sampled_from(["1", "2", "3"]),
    st.none() | st.integers(1, 15),
    st.sampled_from(["form", "form", "import:crm"]),
)
histories = st.lists(entries, max_size=10)
versions = st.sampled_from([None, frozenset({"3"}), frozenset({"2", "3"})])


@dataclass
class Model:
    """What one purpose on one channel has come to: each refusal is a switch, thrown until lifted by name."""

    no_global: str = ""
    no_here: str = ""
    no_purpose: str = ""
    no_both: str = ""
    latest_no: str = ""
    grants: list[ConsentRecord] = field(default_factory=list)
    asked: list[ConsentRecord] = field(default_factory=list)

    def hear(self, said: ConsentRecord) -> None:
        switch = {
            (True, True): "no_global",
            (True, False): "no_here",
            (False, True): "no_purpose",
            (False, False): "no_both",
        }[said.purpose == ANY, said.channel == ANY]
        if said.decision in {"withdrawn", "denied"}:
            setattr(self, switch, said.decision)
        elif said.decision == "pending":
            self.asked.append(said)
        else:
            self.grants.append(said)
            if not said.source.startswith("import"):
                setattr(self, switch, "")
                # Naming a channel opens it where the purpose was closed on all of them.
                if switch == "no_both":
                    self.no_purpose = ""
                if switch == "no_here":
                    self.no_global = ""

    @property
    def refused(self) -> bool:
        return bool(self.no_global or self.no_here or self.no_purpose or self.no_both)

    def answer(self, at: datetime, counting: frozenset[str] | None) -> str:
        def lasts(said: ConsentRecord) -> bool:
            return said.valid_until is None or at < said.valid_until

        if self.refused:
            return "refused"
        if any(
            lasts(each) and (counting is None or each.purpose_version in counting) for each in self.grants
        ):
            return "granted"
        if self.asked and lasts(self.asked[-1]):
            return "pending"
        if any(map(lasts, self.grants)):
            return "outdated"
        return "expired" if self.grants else "lapsed" if self.asked else "unknown"


def walk(history: list[ConsentRecord], at: datetime, purpose: str, channel: str) -> Model:
    model = Model()
    for said in sorted(history, key=lambda each: each.recorded_at):
        if said.recorded_at <= at and said.purpose in (ANY, purpose) and said.channel in (ANY, channel):
            model.hear(said)
    return model


@settings(max_examples=400)
@given(histories, st.integers(0, 40), versions)
def test_the_gate_and_the_model_agree(
    history: list[ConsentRecord], day: int, counting: frozenset[str] | None
) -> None:
    at = START + day * DAY
    found = settle_consent(history, "marketing", "email", at, counting).state.value
    found = "refused" if found in {"withdrawn", "denied"} else found

    assert found == walk(history, at, "marketing", "email").answer(at, counting)


@settings(max_examples=200)
@given(histories, st.integers(0, 25), st.sampled_from(["email", "app"]))
def test_confirming_what_is_pending_makes_a_consent_of_it_unless_a_refusal_is_wider(
    history: list[ConsentRecord], day: int, channel: str
) -> None:
    history = sorted(history, key=lambda each: each.recorded_at)
    at = START + day * DAY
    history = [each for each in history if each.recorded_at <= at]
    for pending in confirmable(history, channel, at, at):
        assert pending.decision == "pending"
        assert pending.channel in (ANY, channel)
        assert pending.valid_until is None or at < pending.valid_until
        # Of two that say the same at the same moment the later one is meant.
        later = history[len(history) - history[::-1].index(pending) :]
        for said in later:
            overlaps = ANY in (said.purpose, pending.purpose) or said.purpose == pending.purpose
            overlaps &= ANY in (said.channel, pending.channel) or said.channel == pending.channel
            assert not (overlaps and said.decision in {"withdrawn", "denied"})
    asked_before = confirmable(history, channel, START - DAY, at)
    assert asked_before == []


@settings(max_examples=300)
@given(
    histories,
    st.integers(0, 20),
    st.sampled_from(["marketing", "service", "law", ANY]),
    st.sampled_from(["email", "app", ANY]),
    st.sampled_from(["marketing", "service", "law"]),
    st.sampled_from([("email",), ("app",), ("email", "app")]),
)
def test_a_refusal_drops_exactly_the_messages_that_have_no_way_left(
    history: list[ConsentRecord],
    day: int,
    purpose: str,
    channel: str,
    of: str,
    channels: tuple[str, ...],
) -> None:
    refusal = entry(day, "withdrawn", purpose, channel, "3", None, "form")
    now = START + 30 * DAY
    known = [*history, refusal]
    taken = take_back(refusal, known, PURPOSES, now)
    if taken is None:
        return
    # Of what the law demands nothing is ever dropped, and a refusal of everything is about consent.
    rests_on_it = of != "law" and (purpose == of or (purpose == ANY and of == "marketing"))
    heard = known if of == "marketing" else [each for each in known if each.purpose != ANY]
    no_way_left = all(walk(heard, now, of, each).refused for each in channels)

    assert taken.stops(of, channels) == (rests_on_it and no_way_left)
    assert taken.ends_runs_of <= {"marketing", "service"}
    assert bool(taken.ends_runs_of) == (channel == ANY and purpose != "law")


def test_a_refusal_that_comes_in_late_stops_nothing_that_was_agreed_to_since() -> None:
    old = entry(1, "withdrawn", "marketing", ANY, "3", None, "import:crm")
    since = entry(5, "granted", "marketing", ANY, "3", None, "form")
    assert take_back(old, [since, old], PURPOSES, START + 6 * DAY) is None


def test_a_material_change_of_the_notice_voids_what_was_agreed_to_before() -> None:
    changed = Purpose("marketing", "m", "3", "marketing", DAY, honours=frozenset())
    wider = Purpose("marketing", "m", "3", "marketing", DAY, honours=frozenset({"2"}))
    two = entry(1, "granted", "marketing", ANY, "2", None, "form")
    at = START + 2 * DAY
    states = [
        settle_consent([two], "marketing", "email", at, each.versions).state.value
        for each in (MARKETING, changed, wider)
    ]
    assert states == ["granted", "outdated", "granted"]
