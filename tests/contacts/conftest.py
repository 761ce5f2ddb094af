"""The small workspace, compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.rules.matcher import Matcher
from engine.store.database import Store, upgrade


@pytest.fixture(scope="session")
def small(small_files: Mapping[str, str]) -> Bundle:
    """The small workspace as a bundle."""
    return bundle_of(small_files)


@pytest.fixture(scope="session")
def small_matcher(small: Bundle) -> Iterator[Matcher]:
    """Its rules."""
    matcher = Matcher(small.rules)
    yield matcher
    matcher.close()


@pytest.fixture(scope="session")
def sqlite_store_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A database for property tests, which undo what each example did."""
    url = f"sqlite:///{tmp_path_factory.mktemp('kept') / 'wayline.db'}"
    upgrade(url)
    with closing(Store(url)) as store:
        yield store
