"""`wayline suppress`: by hand, by block lists, by the mails that come back; and for good."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Command
from tests.intake.test_bounces import ARF, DSN


def come(wayline: Command, tmp_path: Path, *addresses: str) -> None:
    """Let contacts with these addresses be taken in."""
    lines = [
        json.dumps({"type": "identify", "userId": f"u{number}", "traits": {"email": address}})
        for number, address in enumerate(addresses)
    ]
    (tmp_path / "people.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert wayline("ingest", tmp_path / "people.jsonl").status == 0


def suppressed(wayline: Command, user: str = "user:u0") -> dict[str, str | None]:
    contact = wayline("contact", "show", user, "--format", "json").json
    return {each["platform"]: each["suppressed"] for each in contact["identities"]}


def test_an_address_is_suppressed_listed_masked_and_allowed_again(published: Command, tmp_path: Path) -> None:
    come(published, tmp_path, "ann@example.com")
    assert published("suppress", "add", "email:ann@example.com", "--reason", "complaint").status == 0
    assert suppressed(published)["email"] == "complaint"
    listed = published("suppress", "list").out
    assert "complaint" in listed
    assert "ann@example.com" not in listed
    assert published("suppress", "remove", "email:ann@example.com").status == 0
    assert suppressed(published)["email"] is None
    assert published("suppress", "remove", "email:ann@example.com").status == 2


def test_an_address_on_the_list_is_suppressed_whenever_it_comes(published: Command, tmp_path: Path) -> None:
    """As after an erasure: nothing but the keyed hash is left of it."""
    assert published("suppress", "add", "email:gone@example.com", "--reason", "complaint").status == 0
    come(published, tmp_path, "gone@example.com", "new@example.com")
    assert suppressed(published)["email"] == "complaint"
    assert suppressed(published, "user:u1")["email"] is None


def test_the_list_itself_holds_no_address(published: Command, tmp_path: Path) -> None:
    published("suppress", "add", "email:nobody-yet@example.com")
    for file in (tmp_path / "data").glob("wayline.db*"):
        assert b"nobody-yet" not in file.read_bytes()


def test_a_block_list_is_taken_over_and_bad_lines_are_named(published: Command, tmp_path: Path) -> None:
    come(published, tmp_path, "ann@example.com")
    blocked = tmp_path / "blocked.txt"
    blocked.write_text("# ours\nann@example.com\n\nnot an address\nbob@example.com\n", encoding="utf-8")
    shown = published("suppress", "import", blocked)
    assert (shown.status, shown.out) == (1, "suppressed 2, of which 2 new; not usable 1\n")
    assert "blocked.txt:4: this is no address on email" in shown.err
    assert suppressed(published)["email"] == "block_list"
    again = published("suppress", "import", blocked, "--format", "json").json
    assert (again["addresses"], again["new"]) == (2, 0)


def test_bounces_and_complaints_suppress_what_they_name(published: Command, tmp_path: Path) -> None:
    come(published, tmp_path, "gone@example.com", "ann@example.com", "busy@example.com")
    mails = [
        DSN.format(action="failed", status="5.1.1"),
        ARF.format(kind="abuse", named="X-A: b"),
        DSN.format(action="delayed", status="4.2.2").replace("gone@", "busy@"),
        "From: a@example.com\nSubject: Hello\n\nHow are you?\n",
    ]
    files = []
    for number, text in enumerate(mails):
        files.append(tmp_path / f"{number}.eml")
        files[-1].write_text(text, encoding="utf-8")
    said = published("suppress", "bounces", *files, "--format", "json").json
    assert said == {
        "mails": 4, "unreadable": 0, "other": 2, "hard_bounce": 1, "complaint": 1, "new": 2,
    }  # fmt: skip
    states = [suppressed(published, f"user:u{number}")["email"] for number in range(3)]
    assert states == ["hard_bounce", "complaint", None]
    box = tmp_path / "box"
    box.write_text("".join(f"From x Thu Jan  1 00:00:00 2026\n{text}\n" for text in mails), encoding="utf-8")
    assert published("suppress", "bounces", box, "--format", "json").json["new"] == 0


def test_a_contact_as_a_whole_is_suppressed_and_allowed(published: Command, tmp_path: Path) -> None:
    come(published, tmp_path, "ann@example.com")
    assert published("suppress", "add", "user:u0", "--contact", "--reason", "asked").status == 0
    assert published("contact", "show", "user:u0", "--format", "json").json["suppressed"] == "asked"
    assert published("suppress", "remove", "user:u0", "--contact").status == 0
    assert published("contact", "show", "user:u0", "--format", "json").json["suppressed"] is None


def test_what_is_no_address_of_this_workspace_is_refused(published: Command, tmp_path: Path) -> None:
    for named, said in (
        ("ann@example.com", "name an address with its platform"),
        ("pigeon:7", "is not a platform of this workspace"),
        ("email:nobody", "this is no address on email"),
    ):
        shown = published("suppress", "add", named)
        assert (shown.status, said in shown.err) == (2, True), named
    assert published("suppress", "list").out == "nothing is suppressed\n"
    assert published("suppress", "bounces", tmp_path / "none.eml").status == 2
