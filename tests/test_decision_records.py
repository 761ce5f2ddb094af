"""Decision records: one number each, and a list that leads to all of them."""

from __future__ import annotations

import re
from pathlib import Path

RECORDS = Path(__file__).parents[1] / "engine" / "adr"


def test_every_record_has_a_number_of_its_own_and_none_is_left_out() -> None:
    names = sorted(file.name for file in RECORDS.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_the_list_names_every_record_by_its_number_and_title() -> None:
    for file in sorted(RECORDS.glob("[0-9]*.md")):
        heading = re.fullmatch(r"# (\d+)\. (.+)", file.read_text(encoding="utf-8").split("\n")[0])
        assert heading is not None, file.name
        number, title = heading.groups()
        assert int(number) == int(file.name[:4])
        assert f"{number}. [{title}]({file.name})" in (RECORDS / "README.md").read_text(encoding="utf-8")
