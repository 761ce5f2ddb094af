"""All tables. Rows stay in `engine/store` and the services; models and dataclasses cross their boundaries."""

from engine.store.tables.calls import CallRow
from engine.store.tables.contacts import (
    ChainRow,
    ConsentRow,
    ContactRow,
    EventRow,
    IdentityRow,
    PatternRow,
    ProfileSweepRow,
    SuppressionRow,
)
from engine.store.tables.experiments import ExposureRow, StratumRow
from engine.store.tables.governance import BundleRow, ControlRow, InFlightRow, OverlayRow, SwitchRow
from engine.store.tables.intake import DeadLetterRow, OutboxRow
from engine.store.tables.journeys import RunRow, ScheduleRow, WaitRow
from engine.store.tables.messages import (
    AttemptRow,
    BreakerRow,
    CapPlaceRow,
    DecisionRow,
    IntentRow,
    ProviderRow,
)
from engine.store.tables.tasks import TaskRow

__all__ = [
    "AttemptRow",
    "BreakerRow",
    "BundleRow",
    "CallRow",
    "CapPlaceRow",
    "ChainRow",
    "ConsentRow",
    "ContactRow",
    "ControlRow",
    "DeadLetterRow",
    "DecisionRow",
    "EventRow",
    "ExposureRow",
    "IdentityRow",
    "InFlightRow",
    "IntentRow",
    "OutboxRow",
    "OverlayRow",
    "PatternRow",
    "ProfileSweepRow",
    "ProviderRow",
    "RunRow",
    "ScheduleRow",
    "StratumRow",
    "SuppressionRow",
    "SwitchRow",
    "TaskRow",
    "WaitRow",
]
