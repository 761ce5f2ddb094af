"""`wayline consent import`, `consent show --at` and `audit verify`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from engine.store.database import Store
from tests.cli.conftest import Command

LINES = """contact,purpose,channel,decision,at,proof,jurisdiction
user:u1,marketing,email,granted,2024-05-01T09:00:00+08:00,form 17,CN
email:b@example.com,marketing,,granted,2024-05-02T09:00:00+08:00,form 18,CN
user:u1,marketing,email,maybe,2024-05-03T09:00:00+08:00,form 19,CN
user:u2,espionage,email,granted,2024-05-03T09:00:00+08:00,form 20,CN
user:u3,marketing,email,granted,2024-05-03T09:00:00,form 21,CN
user:u4,marketing,email,granted,2024-05-03T09:00:00+08:00,,CN
42,marketing,email,granted,2024-05-03T09:00:00+08:00,form 22,CN
"""


def imported(wayline: Command, tmp_path: Path, content: str = LINES, name: str = "old.csv") -> Path:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    return file


def test_good_lines_are_recorded_with_their_proof_and_bad_ones_named(
    published: Command, tmp_path: Path
) -> None:
    file = imported(published, tmp_path)
    shown = published("consent", "import", file, "--source", "old_crm")
    assert shown.status == 1
    assert shown.out.splitlines()[0] == "recorded 2, known already 0, not usable 5"
    assert [line for line in shown.err.splitlines() if line.startswith("old.csv")] == [
        "old.csv:4: EV011 column 'decision' is not granted, denied or withdrawn",
        "old.csv:5: EV006 properties.purpose: not a purpose of this workspace",
        "old.csv:6: EV011 column 'at' does not hold a moment with its zone",
        "old.csv:7: EV011 column 'proof' is empty: without it this proves nothing",
        "old.csv:8: EV011 column 'contact' is not an identity as user:42 or email:a@b.c",
    ]
    (entry,) = published("consent", "show", "user:u1", "--format", "json").json["ledger"]
    assert (entry["source"], entry["proof"], entry["jurisdiction"]) == ("import:old_crm", "form 17", "CN")
    assert entry["recorded_at"] == "2024-05-01T01:00:00+00:00"
    assert entry["received_at"] > "2026"
    assert len(published("deadletter", "list", "--format", "json").json) == 5


def test_what_is_recorded_without_effect_is_named(published: Command, tmp_path: Path) -> None:
    heading, first = LINES.splitlines()[:2]
    refusal = first.replace("granted", "withdrawn").replace("email", "e-mail")
    file = imported(published, tmp_path, f"{heading}\n{refusal}\n")
    shown = published("consent", "import", file, "--source", "old_crm")
    assert shown.out.splitlines()[0] == "recorded 1, known already 0, not usable 0"
    assert (
        "old.csv:2: properties.channel is no channel of this workspace: kept, and without effect as it is; "
        "did you mean 'email'?"
    ) in shown.err.splitlines()


def test_a_file_taken_in_twice_counts_once(published: Command, tmp_path: Path) -> None:
    file = imported(published, tmp_path)
    published("consent", "import", file, "--source", "old_crm")
    again = published("consent", "import", file, "--source", "old_crm", "--format", "json").json
    assert (again["accepted"], again["duplicates"]) == (0, 2)


def test_an_import_never_overrides_a_withdrawal(published: Command, tmp_path: Path) -> None:
    line = {"contact": "user:u1", "purpose": "marketing", "decision": "granted", "proof": "form 1"}
    file = imported(published, tmp_path, json.dumps({**line, "at": "2024-05-01T09:00:00Z"}), "a.ndjson")
    assert published("consent", "import", file, "--source", "crm").status == 0
    published("consent", "withdraw", "user:u1", "marketing")
    later = imported(published, tmp_path, json.dumps({**line, "at": "2026-01-01T09:00:00Z"}), "b.ndjson")
    assert published("consent", "import", later, "--source", "crm").status == 0
    report = published("consent", "show", "user:u1", "--format", "json").json
    states = {each["state"] for each in report["state"] if each["purpose"] == "marketing"}
    assert states == {"withdrawn"}
    assert len(report["ledger"]) == 3


def test_an_agreement_that_lifts_no_refusal_says_so_and_what_would(
    published: Command, tmp_path: Path
) -> None:
    published("consent", "import", imported(published, tmp_path), "--source", "old_crm")
    published("consent", "withdraw", "user:u1", "*")
    whole = published("consent", "grant", "user:u1", "marketing", "--channel", "email").out.splitlines()
    assert whole[0] == "granted"
    assert whole[1].startswith("and refused still on email: they refused everything on 20")
    assert "the contact alone, on the preference page" in whole[1]
    published("consent", "withdraw", "email:b@example.com", "marketing", "--channel", "email")
    narrow = published("consent", "grant", "email:b@example.com", "marketing", "--format", "json").json
    assert [(each["channel"], each["refused"]) for each in narrow["refused_still"]] == [
        ("email", "marketing")
    ]
    assert "--channel email" in narrow["refused_still"][0]["lifted_by"]
    lifted = published("consent", "grant", "email:b@example.com", "marketing", "--channel", "email").out
    assert lifted == "granted\n"


def test_what_stood_at_a_moment_is_what_was_known_then(published: Command, tmp_path: Path) -> None:
    file = imported(published, tmp_path)
    published("consent", "import", file, "--source", "old_crm")
    before = published("consent", "show", "user:u1", "--at", "2025-01-01T00:00:00Z", "--format", "json").json
    # It is dated 2024, and nobody here could have known of it in 2025.
    assert before["ledger"] == []
    assert {each["state"] for each in before["state"]} == {"unknown"}
    now = published("consent", "show", "user:u1", "--format", "json").json
    granted = [each for each in now["state"] if each["state"] == "granted"]
    assert [(each["purpose"], each["channel"], each["may_be_sent"]) for each in granted] == [
        ("marketing", "email", True)
    ]
    assert "granted" in published("consent", "show", "user:u1").out
    assert (
        "nothing is recorded" in published("consent", "show", "user:u1", "--at", "2020-01-01T00:00:00Z").out
    )
    refused = published("consent", "show", "user:u1", "--at", "2020-01-01")
    assert (refused.status, "is not a moment with its zone" in refused.err) == (2, True)


def test_files_and_sources_that_cannot_be_used_are_refused(published: Command, tmp_path: Path) -> None:
    file = imported(published, tmp_path, "contact,purpose\nuser:1,marketing\n")
    shown = published("consent", "import", file, "--source", "crm")
    assert (shown.status, "no column 'decision', 'at', 'proof'" in shown.err) == (2, True)
    assert published("consent", "import", tmp_path / "none.csv", "--source", "crm").status == 2
    assert "--source" in published("consent", "import", file, "--source", "Old CRM").err


def test_the_ledger_is_verified_against_tampering_and_against_a_new_chain(
    published: Command, tmp_path: Path
) -> None:
    file = imported(published, tmp_path)
    published("consent", "import", file, "--source", "old_crm")
    whole = published("audit", "verify", "--format", "json").json
    assert (whole["length"], whole["faults"]) == (2, [])
    assert published("audit", "verify", "--kept", whole["end"]).status == 0
    assert published("audit", "verify", "--kept", "2:" + "0" * 64).status == 1
    assert published("audit", "verify", "--kept", "yesterday").status == 2
    with (
        closing(Store(f"sqlite:///{tmp_path / 'data' / 'wayline.db'}")) as store,
        store.begin() as session,
    ):
        session.execute(text("UPDATE consent SET decision = 'granted', channel = '*' WHERE id = 1"))
    broken = published("audit", "verify")
    assert (broken.status, "was changed after it was written" in broken.out) == (1, True)
