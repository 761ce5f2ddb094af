"""The kinds of files there are."""

from __future__ import annotations

from typing import Any

from engine.authoring.models.actions import ActionsFile
from engine.authoring.models.brand import BrandFile
from engine.authoring.models.breakers import BreakersFile
from engine.authoring.models.budgets import BudgetsFile
from engine.authoring.models.calendars import CalendarFile
from engine.authoring.models.channels import ChannelsFile
from engine.authoring.models.checks import ChecksFile, LexiconFile
from engine.authoring.models.contents import ContentFile
from engine.authoring.models.events import EventsFile
from engine.authoring.models.experiment import ExperimentFile
from engine.authoring.models.generators import GeneratorsFile
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.limits import CapsFile
from engine.authoring.models.opt_outs import OptOutsFile
from engine.authoring.models.part import Head
from engine.authoring.models.plans import PlanFile
from engine.authoring.models.platforms import PlatformsFile
from engine.authoring.models.profile import AudienceFile
from engine.authoring.models.purposes import PurposesFile
from engine.authoring.models.quiet import QuietHoursFile
from engine.authoring.models.review import ReviewFile
from engine.authoring.models.scripts import ScriptsFile
from engine.authoring.models.tags import TagsFile
from engine.authoring.models.workspace import WorkspaceFile

KINDS: dict[str, type[Head]] = {
    "workspace": WorkspaceFile,
    "purposes": PurposesFile,
    "events": EventsFile,
    "journey": JourneyFile,
    "calendar": CalendarFile,
    "caps": CapsFile,
    "tags": TagsFile,
    "audience": AudienceFile,
    "channels": ChannelsFile,
    "actions": ActionsFile,
    "generators": GeneratorsFile,
    "content": ContentFile,
    "scripts": ScriptsFile,
    "checks": ChecksFile,
    "lexicon": LexiconFile,
    "platforms": PlatformsFile,
    "breakers": BreakersFile,
    "plan": PlanFile,
    "budgets": BudgetsFile,
    "quiet_hours": QuietHoursFile,
    "opt_outs": OptOutsFile,
    "brand": BrandFile,
    "review": ReviewFile,
    "experiment": ExperimentFile,
}


def model_of(data: Any) -> type[Head] | None:
    """The model of a file's data by its kind; None when it does not say one that is known."""
    kind = data.get("kind") if isinstance(data, dict) else None
    return KINDS.get(kind) if isinstance(kind, str) else None
