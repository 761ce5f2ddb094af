"""One contact's arm: what is kept wins, and what is not known is a stratum too."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from engine.experiments.assignment import By, Design, assign
from engine.experiments.balancing import largest_gap
from engine.rules.facts import FactValue
from engine.simulation.exposures import MemoryAssignments

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HALVES = Design("welcome/tone", "welcome/tone", ("warm", "dry"), (1, 1))
STRATA = replace(HALVES, stratify_by=("contact.stage", "contact.member"))


def test_an_arm_stays_when_weights_and_facts_change() -> None:
    memory = MemoryAssignments()
    first = assign(STRATA, "ann", {"contact.stage": "new"}, memory)
    memory.keep(STRATA, "ann", first, NOW)
    changed = replace(STRATA, weights=(1, 99) if first.arm == "warm" else (99, 1))

    again = assign(changed, "ann", {"contact.stage": "valued"}, memory)

    assert (again.arm, again.by, again.since) == (first.arm, By.KEPT, NOW)
    assert not again.is_new


def test_another_seed_draws_anew() -> None:
    memory = MemoryAssignments()
    memory.give(HALVES, "ann", "dry", NOW)

    assert assign(replace(HALVES, seed="second"), "ann", {}, memory).by is By.HASH


def test_an_arm_that_is_gone_is_drawn_anew_among_those_that_are_left() -> None:
    memory = MemoryAssignments()
    memory.give(HALVES, "ann", "dry", NOW)
    without = replace(HALVES, arms=("warm", "plain"))

    found = assign(without, "ann", {}, memory)

    assert found.arm in without.arms
    assert (found.by, found.instead_of, found.is_new) == (By.HASH, "dry", True)


def test_the_reason_can_be_worked_out_again() -> None:
    found = assign(HALVES, "ann", {}, MemoryAssignments())

    assert found.evidence(HALVES) == {
        "arm": found.arm,
        "by": "hash",
        "seed": "welcome/tone",
        "hash": found.bucket,
        "range": [0.0, 0.5] if found.arm == "warm" else [0.5, 1.0],
    }


def test_those_of_whom_a_fact_is_not_known_are_a_stratum_of_their_own() -> None:
    assert STRATA.stratum({"contact.stage": "new"}) == '["new",null]'
    assert STRATA.stratum({"contact.stage": "null", "contact.member": False}) == '["null",false]'
    memory = MemoryAssignments()
    places = [assign(STRATA, f"c{n}", {"contact.stage": "new"}, memory).place for n in range(3)]

    assert places == [0, 1, 2]
    assert assign(STRATA, "other", {"contact.stage": "new", "contact.member": True}, memory).place == 0


def test_other_weights_count_the_places_from_the_beginning() -> None:
    memory = MemoryAssignments()
    for number in range(3):
        assign(STRATA, f"c{number}", {}, memory)

    assert assign(replace(STRATA, weights=(2, 1)), "late", {}, memory).place == 0


@given(
    people=st.lists(
        st.tuples(st.sampled_from(["new", "valued", None]), st.sampled_from([True, None])), max_size=80
    ),
    weights=st.sampled_from([(1, 1), (2, 1), (33, 33, 34)]),
)
def test_in_every_stratum_the_arms_are_balanced_however_people_come(
    people: list[tuple[str | None, bool | None]], weights: tuple[int, ...]
) -> None:
    arms = ("a", "b", "c")[: len(weights)]
    design = Design("j/e", "seed", arms, weights, ("contact.stage", "contact.member"))
    memory = MemoryAssignments()
    found: Counter[tuple[str, str]] = Counter()
    sizes: Counter[str] = Counter()
    for number, (stage, member) in enumerate(people):
        facts: dict[str, FactValue | None] = {"contact.stage": stage, "contact.member": member}
        assignment = assign(design, f"c{number}", facts, memory)
        memory.keep(design, f"c{number}", assignment, NOW)
        found[design.stratum(facts), assignment.arm] += 1
        sizes[design.stratum(facts)] += 1
    for stratum, size in sizes.items():
        for number, arm in enumerate(arms):
            share = weights[number] / sum(weights)
            assert abs(found[stratum, arm] - share * size) <= largest_gap(number, weights) + 1e-9
