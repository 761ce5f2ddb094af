"""The second blind set is what was judged: no sentence of it is changed, and each is well formed."""

from __future__ import annotations

import hashlib

from benchmarks.checks import BLIND2, RULES, sentences

FROZEN = "24e14531bf253d1fdd96437d32a96f51d5a96c9fc8fe63411b2135f4221ae7f3"
"""Stays as it is, also when somebody has learned from the set: the README says so then."""


def test_no_sentence_was_changed_after_it_was_judged() -> None:
    digest = hashlib.sha256()
    for path in sorted(BLIND2.glob("*.yaml")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    assert digest.hexdigest() == FROZEN


def test_each_sentence_stands_once_and_under_a_rule_that_is_looked_for() -> None:
    known = list(sentences(BLIND2))

    assert len(known) >= 500
    assert len({each.text for each in known}) == len(known)
    assert {each.rule for each in known} == set(RULES)
    assert not any("⟦" in each.text or "⟧" in each.text for each in known)
