"""Experiments and hold-outs over HTTP and in the explanation of a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.explaining import explain_intent
from engine.delivery.rendering import render
from engine.experiments.bucketing import bucket_of
from engine.store.tables import ContactRow, ExposureRow, IdentityRow, IntentRow
from tests.api.conftest import NOW, Site, opened, workspace

TRIAL = """\
kind: journey
id: trial
title: trial
owner: tests
purpose: service
enter: {event: contact_added, reentry: always}
steps:
  - experiment: tone
    arms:
      - {id: warm, weight: 1, steps: [{send: warmly, content: hello, channels: [letter]}]}
      - {id: dry, weight: 3, steps: [{send: dryly, content: hello, channels: [letter]}]}
  - experiment: balanced
    stratify_by: [contact.nickname]
    arms: [{id: one, weight: 1}, {id: two, weight: 1, steps: [{tag: mark, add: [second]}]}]
  - {send: end, content: hello, channels: [letter]}
"""
HOLD_OUT = """\
kind: experiment
id: half_year
title: hold-out
owner: tests
hold_out: {share: 99%, of: {purposes: [marketing]}, seed: h1, starts: "2026-01-01", ends: "2026-06-30"}
"""
PEOPLE = [f"p{number}" for number in range(6)]


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    files = {**workspace(tmp_path / "letters"), "trial.yaml": TRIAL, "hold_out.yaml": HOLD_OUT}
    async with opened(database_url, tmp_path, files) as found:
        for who in PEOPLE:
            await found.post("/v1/identify", {"userId": who, "traits": {"app": who, "nickname": "Z"}})
            await found.post("/v1/track", {"userId": who, "event": "contact_added", "messageId": who})
        await found.carried()
        yield found


def intent_of(site: Site, step: str) -> Any:
    with site.services.store.read() as session:
        key = next(row.key for row in site.all(IntentRow) if row.step_id == step)
        return explain_intent(session, site.services.shelf, key)


async def test_experiments_are_listed_with_the_contacts_of_each_arm(site: Site) -> None:
    found = (await site.ask("GET", "/v1/experiments")).json()

    counted = Counter(row.arm for row in site.all(ExposureRow))
    balanced, tone = found["experiments"]
    assert tone == {
        "experiment": "trial/tone",
        "seed": "trial/tone",
        "in_force": True,
        "stratify_by": [],
        "contacts": len(PEOPLE),
        "arms": [
            {"arm": "warm", "contacts": counted["warm"], "expected": 0.25},
            {"arm": "dry", "contacts": counted["dry"], "expected": 0.75},
        ],
    }
    assert [(arm["arm"], arm["contacts"]) for arm in balanced["arms"]] == [("one", 3), ("two", 3)]
    assert found["hold_outs"] == [
        {
            "hold_out": "half_year",
            "share": 0.99,
            "seed": "h1",
            "starts": "2026-01-01",
            "ends": "2026-06-30",
            "purposes": ["marketing"],
            "channels": [],
            "journeys": [],
        }
    ]


async def test_one_experiment_shows_its_strata_and_its_contacts_page_by_page(site: Site) -> None:
    one = (await site.ask("GET", "/v1/experiments/trial/balanced")).json()
    assert one["strata"] == [
        {"seed": "trial/balanced", "stratum": '["Z"]', "arm": "one", "contacts": 3},
        {"seed": "trial/balanced", "stratum": '["Z"]', "arm": "two", "contacts": 3},
    ]

    where = {"experiment": "trial/balanced", "limit": 4}
    first = (await site.ask("GET", "/v1/exposures", params=where)).json()["exposures"]
    where["before"] = first[-1]["id"]
    rest = (await site.ask("GET", "/v1/exposures", params=where)).json()["exposures"]
    assert [row["place"] for row in (*first, *rest)] == [5, 4, 3, 2, 1, 0]
    where = {"experiment": "trial/balanced", "arm": "one"}
    assert len((await site.ask("GET", "/v1/exposures", params=where)).json()["exposures"]) == 3
    assert (await site.ask("GET", "/v1/experiments/trial/none")).status_code == 404


async def test_a_contact_shows_the_arms_it_has(site: Site) -> None:
    contact = (await site.ask("GET", f"/v1/contacts/app:{PEOPLE[0]}")).json()
    own = (await site.ask("GET", "/v1/exposures", params={"contact": f"app:{PEOPLE[0]}"})).json()

    assert [(arm["experiment"], arm["by"]) for arm in contact["arms"]] == [
        ("trial/tone", "hash"),
        ("trial/balanced", "block"),
    ]
    assert [row["arm"] for row in own["exposures"]] == [arm["arm"] for arm in contact["arms"]][::-1]


async def test_nobody_without_a_token_sees_them(site: Site) -> None:
    for path in ("/v1/experiments", "/v1/experiments/trial/tone", "/v1/exposures"):
        assert (await site.client.get(path)).status_code == 401


async def test_the_explanation_of_a_message_says_why_it_is_this_arm(site: Site) -> None:
    story = intent_of(site, "end")
    tone, balanced = (each.evidence for each in story.branches)
    bucket = bucket_of("trial/tone", story.contact_id)
    border = "[0.0000, 0.2500)" if tone["arm"] == "warm" else "[0.2500, 1.0000)"
    told = render(story)

    assert (
        f"+ experiment tone gave {tone['arm']}: hash under the seed 'trial/tone': "
        f"{bucket:.4f} lies in {border}" in told
    )
    place = balanced["place_in_stratum"]
    assert f"+ experiment balanced gave {balanced['arm']}: place {place} of the stratum" in told


async def test_the_explanation_of_what_was_held_back_says_by_what_and_until_when(site: Site) -> None:
    with site.services.store.begin() as session:
        session.add(ContactRow(id="ann", created_at=NOW, attributes={"nickname": "Ann"}))
        session.add(IdentityRow(platform="app", address="a1", contact_id="ann", added_at=NOW))
        session.flush()
        record_consent(session, ConsentEntry("ann", "marketing", "granted", NOW))
    added = {"userId": "x", "event": "contact_added", "messageId": "a", "context": {"traits": {"app": "a1"}}}
    assert (await site.post("/v1/track", added)).status_code == 200
    await site.carried()
    with site.services.store.read() as session:
        key = next(
            row.key for row in site.all(IntentRow) if row.journey == "welcome" and row.contact_id == "ann"
        )
        told = render(explain_intent(session, site.services.shelf, key))

    assert told.startswith("BLOCKED on letter because experiment.held_out: the contact is held out")
    assert f"hash: {bucket_of('h1', 'ann')}" in told
    assert "until: 2026-06-30" in told
    assert "hold_out.yaml:5" in told
    assert "  + frequency caps\n" in told
    assert "would pass if it is tried after 2026-06-30, the last day of half_year" in told
