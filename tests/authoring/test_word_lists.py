"""Groups of a word list are written out where they are named; what names nothing is refused at its place."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engine.authoring.loading import load_files

LIST = """\
kind: lexicon
id: claims
title: 说法
owner: tests
source: tests
as_of: "2026-11-22"
groups: {scope: [全网, 全国]}
contexts: [{id: warned, before: [<scope>, 谨防]}]
entries:
  - {term: 最低, severity: warn, parts: [[<scope>, 全城], ["<number>"], [最低]], gap: 2}
"""


def test_groups_are_written_out_in_parts_and_contexts(small: Mapping[str, str]) -> None:
    bundle = load_files({**small, "claims.yaml": LIST}).bundle
    assert bundle is not None
    lexicon = bundle.lexicons["claims"]
    (entry,), (context,) = lexicon.entries, lexicon.contexts
    assert entry.parts == (("全网", "全国", "全城"), ("<number>",), ("最低",))
    assert (entry.gap, context.before) == (2, ("全网", "全国", "谨防"))


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("[<scope>, 全城]", "[<scop>]", "entries[0].parts[0]"),
        ("[<scope>, 谨防]", "[<scop>]", "contexts[0].before"),
        ('["<number>"]', '["<number>", 三]', "entries[0].parts[1]"),
        ("[最低]]", "[]]", "entries[0].parts[2]"),
        ('[[<scope>, 全城], ["<number>"], [最低]]', "[]", "entries[0].gap"),
        ('[[<scope>, 全城], ["<number>"], [最低]]', '[["<number>"], ["<percent>"]]', "entries[0].parts"),
    ],
)
def test_what_names_no_words_is_refused(small: Mapping[str, str], old: str, new: str, place: str) -> None:
    assert old in LIST
    (problem,) = load_files({**small, "claims.yaml": LIST.replace(old, new)}).problems
    assert problem.code == "RS055"
    assert place in problem.message or place in str(problem)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("scope: [全网, 全国]", "scope: []", "groups.scope"),
        ("before: [<scope>, 谨防]", "together: [[谨防], []]", "contexts[0].together[1]"),
    ],
)
def test_a_group_of_no_words_which_nothing_would_ever_be_found_by_is_refused(
    small: Mapping[str, str], old: str, new: str, place: str
) -> None:
    assert old in LIST
    (problem,) = load_files({**small, "claims.yaml": LIST.replace(old, new)}).problems
    assert (problem.code, problem.path) == ("RS005", place)
