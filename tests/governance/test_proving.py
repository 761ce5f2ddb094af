"""No bundle is put in force whose rules were not decided safely by a process of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.authoring.loading import bundle_of
from engine.authoring.reporting import report
from engine.errors import RulesetError
from engine.governance.publishing import list_bundles, prove_rules, publish
from engine.store.database import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_rules_that_crash_the_matcher_are_not_published(
    store: Store, shipped_files: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "durable_rules_engine.py").write_text("import os\nos.abort()\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    files = {name: text.replace("older_than: 30d", "older_than: 31d") for name, text in shipped_files.items()}
    files["wayline.yaml"] += "\n# never proved before by this process\n"
    bundle = bundle_of(files)
    first = bundle.rules[0].id

    with pytest.raises(RulesetError) as caught, store.begin() as session:
        publish(session, files, by="ana", now=NOW)

    [problem] = caught.value.problems
    assert problem.place == bundle.rule_places[first]
    assert report([problem]).startswith(
        f"{problem.place}: RS066 {first}: this rule, or one compiled together with it, "
        "was not decided safely: the matcher crashed (SIGABRT)\n    hint: nothing was published;"
    )
    with store.read() as session:
        assert list_bundles(session) == []


def test_the_shipped_rules_are_proved(shipped_files: Mapping[str, str]) -> None:
    prove_rules(bundle_of(shipped_files))
