"""All tables. Rows stay in `engine/store` and the services; models and dataclasses cross their boundaries."""

from engine.store.tables.budgets import (
    BudgetHaltRow,
    BudgetPeriodRow,
    BudgetPlaceRow,
    BudgetPurseRow,
    BudgetReturnRow,
    BudgetWindowRow,
)
from engine.store.tables.calls import CallRow
from engine.store.tables.contacts import (
    ChainRow,
    ConsentRow,
    ContactRow,
    ErasureRow,
    EventRow,
    IdentityRow,
    MergeRow,
    PatternRow,
    ProfileSweepRow,
    SuppressionRow,
)
from engine.store.tables.experiments import ExposureRow, StratumRow
from engine.store.tables.governance import BundleRow, ControlRow, InFlightRow, OverlayRow, SwitchRow
from engine.store.tables.intake import CallbackRow, DeadLetterRow, OutboxRow, PollRow
from engine.store.tables.journeys import RunRow, ScheduleRow, WaitRow
from engine.store.tables.messages import (
    AttemptRow,
    BreakerRow,
    CapPlaceRow,
    DecisionRow,
    EarlyReceiptRow,
    IntentRow,
    MetricMarkRow,
    ProviderRow,
    ReceiptRow,
)
from engine.store.tables.reviews import ReviewDecisionRow, ReviewRow
from engine.store.tables.tasks import TaskRow
from engine.store.tables.writing import GeneratorDayRow, GeneratorSpendRow, WrittenTextRow

__all__ = [
    "AttemptRow",
    "BreakerRow",
    "BudgetHaltRow",
    "BudgetPeriodRow",
    "BudgetPlaceRow",
    "BudgetPurseRow",
    "BudgetReturnRow",
    "BudgetWindowRow",
    "BundleRow",
    "CallRow",
    "CallbackRow",
    "CapPlaceRow",
    "ChainRow",
    "ConsentRow",
    "ContactRow",
    "ControlRow",
    "DeadLetterRow",
    "DecisionRow",
    "EarlyReceiptRow",
    "ErasureRow",
    "EventRow",
    "ExposureRow",
    "GeneratorDayRow",
    "GeneratorSpendRow",
    "IdentityRow",
    "InFlightRow",
    "IntentRow",
    "MergeRow",
    "MetricMarkRow",
    "OutboxRow",
    "OverlayRow",
    "PatternRow",
    "PollRow",
    "ProfileSweepRow",
    "ProviderRow",
    "ReceiptRow",
    "ReviewDecisionRow",
    "ReviewRow",
    "RunRow",
    "ScheduleRow",
    "StratumRow",
    "SuppressionRow",
    "SwitchRow",
    "TaskRow",
    "WaitRow",
    "WrittenTextRow",
]
