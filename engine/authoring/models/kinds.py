"""The kinds of files there are."""

from __future__ import annotations

from engine.authoring.models.calendars import CalendarFile
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.limits import BreakersFile, CapsFile
from engine.authoring.models.messages import ChannelsFile, ChecksFile, ContentFile, LexiconFile
from engine.authoring.models.part import Head
from engine.authoring.models.plans import PlanFile
from engine.authoring.models.profile import AudienceFile
from engine.authoring.models.workspace import EventsFile, PurposesFile, TagsFile, WorkspaceFile

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
    "content": ContentFile,
    "checks": ChecksFile,
    "lexicon": LexiconFile,
    "breakers": BreakersFile,
    "plan": PlanFile,
}
KINDS_NOT_YET = ("budgets", "quiet_hours", "brand", "review", "experiment")
