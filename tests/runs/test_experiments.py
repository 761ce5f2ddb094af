"""Arms in SQL: kept for good, recorded once, and in balance however many transactions take places at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engine.experiments.bucketing import arm_in, bucket_of, ranges_of
from engine.store.tables import DecisionRow, ExposureRow, IntentRow, RunRow, StratumRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)

TONE = """
    enter: {event: added, reentry: always}
    steps:
      - experiment: tone
        arms:
          - {id: warm, weight: WARM, steps: [{send: warmly, content: text, channels: [email]}]}
          - {id: dry, weight: DRY, steps: [{send: dryly, content: text, channels: [email]}]}
      - branch: after
        cases:
          - when: {journey.arms.tone: warm}
            steps: [{tag: mark, add: [was_warm]}]
    """
BALANCED = """
    enter: {event: added, reentry: always}
    steps:
      - experiment: tone
        stratify_by: [contact.locale]
        arms:
          - {id: warm, weight: 1, steps: [{send: warmly, content: text, channels: [email]}]}
          - {id: dry, weight: 1, steps: [{send: dryly, content: text, channels: [email]}]}
    """


def tone(warm: int = 1, dry: int = 1) -> str:
    return TONE.replace("WARM", str(warm)).replace("DRY", str(dry))


def arms(spine: Spine) -> dict[str, str]:
    return {row.contact_id: row.arm for row in spine.rows(ExposureRow)}


async def people_of_both_arms(spine: Spine) -> list[str]:
    """Eight people at least, and as many more as it takes until each arm has one; chance deals."""
    people: list[str] = []
    while len(people) < 8 or set(arms(spine).values()) != {"warm", "dry"}:
        people.append(f"c{len(people)}")
        await spine.feed("added", who=people[-1])
    return people


async def test_the_arm_follows_from_seed_and_contact_and_is_written_down(spine: Spine) -> None:
    spine.publish(hello=tone())
    for number in range(12):
        await spine.feed("added", who=f"c{number}")

    assert len(arms(spine)) == 12
    for row in spine.rows(ExposureRow):
        bucket = bucket_of("hello/tone", row.contact_id)
        assert (row.experiment, row.seed, row.by, row.bucket) == ("hello/tone", "hello/tone", "hash", bucket)
        assert row.arm == ("warm", "dry")[arm_in(ranges_of([1, 1]), bucket)]
        (run,) = spine.rows(RunRow, id=row.run_id)
        assert (run.contact_id, run.bundle_hash, run.variables["arms"]) == (
            row.contact_id,
            row.bundle_hash,
            {"tone": row.arm},
        )
        assert row.at == run.started_at
        (sent,) = spine.rows(IntentRow, run_id=run.id)
        assert sent.step_id == {"warm": "warmly", "dry": "dryly"}[row.arm]
        assert sent.variables["journey"]["arms"] == {"tone": row.arm}


async def test_the_decision_says_why_it_is_this_arm(spine: Spine) -> None:
    spine.publish(hello=tone())
    await spine.feed("added")

    (exposure,) = spine.rows(ExposureRow)
    (decision,) = spine.rows(DecisionRow, kind="experiment")
    assert decision.reason == "experiment.exposed"
    assert decision.evidence == {
        "step": "tone",
        "arm": exposure.arm,
        "by": "hash",
        "seed": "hello/tone",
        "hash": exposure.bucket,
        "range": [0.0, 0.5] if exposure.arm == "warm" else [0.5, 1.0],
    }


async def test_an_arm_stays_in_later_runs_and_when_the_weights_change(spine: Spine) -> None:
    spine.publish(hello=tone())
    people = await people_of_both_arms(spine)
    before = arms(spine)
    spine.publish(hello=tone(1, 9999))  # nearly everybody would be dry now
    for who in people:
        await spine.feed("added", who=who)

    assert arms(spine) == before
    assert Counter(spine.post.delivered) == {
        "warmly": 2 * list(before.values()).count("warm"),
        "dryly": 2 * list(before.values()).count("dry"),
    }
    assert [row.evidence["by"] for row in spine.rows(DecisionRow, kind="experiment")][-1] == "kept"


async def test_an_arm_that_was_taken_out_is_drawn_anew_and_the_earlier_one_is_remembered(
    spine: Spine,
) -> None:
    spine.publish(hello=tone())
    people = await people_of_both_arms(spine)
    before = arms(spine)
    spine.publish(hello=tone().replace("id: dry", "id: plain"))
    for who in people:
        await spine.feed("added", who=who)

    rows = spine.rows(ExposureRow)
    assert len(rows) == len(people)
    for row in rows:
        was = before[row.contact_id]
        assert (row.arm, row.instead_of) == (("warm", None) if was == "warm" else (row.arm, "dry"))
        assert row.arm in {"warm", "plain"}


async def test_two_runs_of_a_contact_at_once_share_one_arm(spine: Spine) -> None:
    spine.publish(hello=tone())
    receipt = spine.accept_all("added", "added")
    await asyncio.gather(*(spine.runs.carry(run_id) for run_id in receipt.run_ids))

    assert len(spine.rows(ExposureRow)) == 1
    assert len(set(spine.post.delivered)) == 1


async def test_conditions_in_the_same_breath_see_the_arm(spine: Spine) -> None:
    spine.publish(hello=tone())
    for number in range(8):
        await spine.feed("added", who=f"c{number}")
    taken = {row.contact_id: row.evidence["taken"] for row in spine.rows(DecisionRow, kind="branch")}

    assert taken == {who: 1 if arm == "warm" else "else" for who, arm in arms(spine).items()}


def test_a_stratum_is_in_balance_whoever_takes_places_at_once(spine: Spine) -> None:
    spine.publish(hello=BALANCED)
    people = [f"c{number}" for number in range(30)]
    runs = [run_id for who in people for run_id in spine.accept("added", who=who).run_ids]

    def carry(run_id: str) -> None:
        asyncio.run(spine.runs.carry(run_id))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(carry, runs))

    rows = spine.rows(ExposureRow)
    assert sorted(row.place for row in rows if row.place is not None) == list(range(len(people)))
    assert Counter(row.arm for row in rows) == {"warm": 15, "dry": 15}
    in_order = sorted(rows, key=lambda row: row.place or 0)
    assert all(Counter(row.arm for row in in_order[: 2 * n])["warm"] == n for n in range(16))
    (stratum,) = spine.rows(StratumRow)
    assert (stratum.stratum, stratum.taken) == ("[null]", 30)


async def test_a_transaction_that_fails_gives_its_place_back(spine: Spine) -> None:
    spine.publish(hello=BALANCED)
    failing = spine.accept("added", who="unlucky").run_ids[0]
    plan = spine.post.plan_each

    def fails(*arguments: Any, **named: Any) -> None:
        raise RuntimeError("the process dies here")

    spine.post.plan_each = fails  # type: ignore[method-assign, assignment]
    with suppress(RuntimeError):
        await spine.runs.carry(failing)
    assert spine.rows(ExposureRow) == []
    assert spine.rows(StratumRow) == []

    spine.post.plan_each = plan  # type: ignore[method-assign]
    await spine.feed("added", who="lucky")
    await spine.runs.carry(failing)
    assert [(row.place, row.stratum) for row in spine.rows(ExposureRow)] == [(0, "[null]"), (1, "[null]")]
    (late,) = spine.rows(ExposureRow, run_id=failing)
    assert late.place == 1
