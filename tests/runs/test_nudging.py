"""A run whose wait is moved all day long is nudged once until its workflow has looked; no move is lost."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlmodel import col

from engine.governance.publishing import publish
from engine.intake.incoming import IncomingEvent
from engine.runs.telling import NUDGE_LASTS
from engine.store.database import Store
from engine.store.tables import OutboxRow, RunRow
from tests.runs.conftest import Spine

HOUR, MINUTE, YEAR = timedelta(hours=1), timedelta(minutes=1), timedelta(days=365)
TRIAL = """
    enter: {event: added, reentry: never}
    steps:
      - {wait: trial, until: contact.trial_ends_at}
      - {send: over, content: text, channels: [email]}
    """


class Trial:
    """Ann waits for the end of her trial; her workflow knows what it was told, and when it looked."""

    def __init__(self, spine: Spine) -> None:
        self.spine = spine
        self.signals = 0
        """That her workflow has not followed yet."""
        self.written = 0
        """Nudges since it last looked."""
        self._events = 0
        files = spine.files(trial=TRIAL)
        files["wayline.yaml"] += "attributes: {trial_ends_at: {type: instant}}\n"
        with spine.store.begin() as session:
            publish(session, files, by="test", now=spine.clock.now(), shelf=spine.shelf)
        self.move(48, "added")
        self.due_at = asyncio.run(spine.runs.carry(self.run.id)).due_real
        self._take_errands()
        self.looked_at = spine.clock.now()

    @property
    def run(self) -> RunRow:
        return self.spine.run()

    def move(self, hours: int, event: str = "viewed") -> None:
        """An event tells that the trial is to end so many hours from now."""
        self._events += 1
        now = self.spine.clock.now()
        traits = {"trial_ends_at": (now + hours * HOUR).isoformat()}
        came = IncomingEvent(f"m{self._events}", event, (("user", "ann"),), {}, traits, now)
        before = self._open()
        assert self.spine.intake.accept([came], source="test").accepted == 1
        self.written += self._open() - before

    def tell(self) -> None:
        """The dispatcher tells whatever is to be told."""
        self.signals += self._take_errands()

    def look(self) -> None:
        """Her workflow looks, if it has a reason to."""
        now = self.spine.clock.now()
        if self.signals or (self.due_at is not None and self.due_at <= now):
            self.signals = self.written = 0
            self.looked_at = now
            self.due_at = asyncio.run(self.spine.runs.carry(self.run.id, durable=True)).due_real

    def _open(self) -> int:
        return self.spine.errands().count("run.signal")

    def _take_errands(self) -> int:
        found = self._open()
        with self.spine.store.begin() as session:
            session.execute(delete(OutboxRow).where(col(OutboxRow.id) > 0))
        return found


@contextmanager
def trial(template: Path) -> Iterator[Trial]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            spine = Spine(store)
            yield Trial(spine)
            spine.shelf.close()


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(1, 60)),
        st.tuples(st.just("pass"), st.integers(1, 15)),
        st.tuples(st.sampled_from(["tell", "look"]), st.just(0)),
    ),
    min_size=2,
    max_size=30,
)


@settings(max_examples=40)
@given(acts=ACTS)
def test_whatever_comes_between_the_workflow_learns_of_the_last_move(
    acts: Sequence[tuple[str, int]], _sqlite_template: Path
) -> None:
    with trial(_sqlite_template) as ann:
        for act, much in acts:
            match act:
                case "move":
                    ann.move(much)
                case "pass":
                    ann.spine.clock.advance(much * MINUTE)
                case "tell":
                    ann.tell()
                case "look":
                    ann.look()
            unfollowed = ann.spine.clock.now() - ann.looked_at
            assert ann.written <= 1 + unfollowed / NUDGE_LASTS
        ann.tell()
        ann.look()
        assert ann.run.status == "ended" or ann.run.due_at == ann.due_at


def test_hundreds_of_moves_are_one_nudge_and_after_a_while_another(_sqlite_template: Path) -> None:
    with trial(_sqlite_template) as ann:
        for number in range(200):
            ann.move(10 + number % 7)
        assert ann.written == 1
        ann.tell()  # and Temporal's database is lost with it
        ann.signals = 0
        ann.spine.clock.advance(NUDGE_LASTS)
        ann.move(5)
        assert ann.written == 2


def test_a_nudge_of_a_clock_that_was_a_year_ahead_keeps_no_other_back(_sqlite_template: Path) -> None:
    with trial(_sqlite_template) as ann:
        with ann.spine.store.begin() as session:
            session.execute(update(RunRow).values(nudged_at=ann.spine.clock.now() + YEAR))
        ann.move(10)
        assert ann.written == 1
