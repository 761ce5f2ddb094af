"""`wayline review`: list, show, decide; who published a text does not approve it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command

REVIEW = """\
kind: review
id: review
title: 审核
owner: tests
stages: [{id: legal}]
policies: [{id: hello, contents: [welcome_hello], stages: [legal]}]
"""


@pytest.fixture
def reviewing(published: Command, tmp_path: Path) -> Command:
    folder = tmp_path / "rulesets"
    (folder / "review.yaml").write_text(REVIEW, encoding="utf-8")
    assert published("publish", folder).status == 0
    return published


def test_texts_are_listed_shown_and_decided(reviewing: Command) -> None:
    listed = reviewing("review", "list", "--format", "json").json["reviews"]
    assert {each["content"] for each in listed} == {"welcome_hello"}
    review = listed[0]["id"]
    assert review[:12] in reviewing("review", "list").out

    # The same account has published it.
    refused = reviewing("review", "decide", review[:12], "approve")
    assert refused.status == 2 and "nobody approves what they wrote" in refused.err
    said = reviewing("review", "decide", review[:12], "reject", "--why", "too long")
    assert said.out == f"{review[:12]} rejected in legal: rejected; still to approve: legal\n"
    shown = reviewing("review", "show", review[:12])
    assert "too long" in shown.out
    rejected = reviewing("review", "list", "--state", "rejected", "--format", "json").json["reviews"]
    assert [each["id"] for each in rejected] == [review]
    assert reviewing("review", "show", "000000").status == 2
