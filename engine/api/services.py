"""What the HTTP side asks of the process it runs in."""

from __future__ import annotations

from typing import Protocol

from engine.clock import Clock
from engine.delivery.service import Delivery
from engine.governance.erasing import Eraser
from engine.intake.accepting import Intake
from engine.intake.callbacks import Callbacks
from engine.intake.merging import Merger
from engine.plugin.registry import Registry
from engine.runs.service import Runs
from engine.settings import Settings
from engine.store.bundles import BundleShelf
from engine.store.database import Store


class Services(Protocol):
    """The services of one process, opened; whoever made them closes them."""

    @property
    def settings(self) -> Settings: ...

    @property
    def clock(self) -> Clock:
        """Delivery time."""

    @property
    def store(self) -> Store: ...

    @property
    def shelf(self) -> BundleShelf: ...

    @property
    def registry(self) -> Registry:
        """The plugins of this installation."""

    @property
    def intake(self) -> Intake: ...

    @property
    def callbacks(self) -> Callbacks:
        """Takes in what platforms tell."""

    @property
    def merger(self) -> Merger: ...

    @property
    def eraser(self) -> Eraser: ...

    @property
    def runs(self) -> Runs: ...

    @property
    def delivery(self) -> Delivery: ...

    @property
    def secret_key(self) -> str:
        """Signs links and keys the list of suppressed addresses."""
