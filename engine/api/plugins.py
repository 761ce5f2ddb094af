"""The plugins of this process over HTTP: what they offer and take, and how they have been answering."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from engine.api.access import Asked, require_operator
from engine.errors import NotFound
from engine.governance.plugins import health_of, with_health
from engine.plugin.describing import describe

router = APIRouter(prefix="/v1/plugins", tags=["operating"], dependencies=[Depends(require_operator)])

_SCHEMA = "JSON Schema; secrets are `writeOnly`. No value of any setting is ever shown."


class UseRecord(BaseModel):
    """A channel of the bundle in force, and what providers answered through it."""

    id: str
    last_hour: dict[str, int] = Field(description="accepted, retry, rejected, unknown -> how often.")
    latest_at: datetime | None
    left_alone_until: datetime | None = Field(description="The provider keeps failing (`circuit`).")


class TallyRecord(BaseModel):
    """Calls of this process since it started."""

    calls: int
    failures: dict[str, int] = Field(description="raised, slow, nonsense, blocked -> how often.")
    latest_failure: str


class OfferRecord(BaseModel):
    """One of all that a plugin offers."""

    kind: Literal["channel", "generator", "check", "action", "fact", "event type", "metric"]
    name: str
    title: str | None = Field(default=None, description="Of a fact, a type of events or a metric.")
    settings: dict[str, Any] | None = Field(default=None, description=_SCHEMA)
    values: dict[str, Any] | None = Field(default=None, description="Of an action: what steps tell it.")
    results: dict[str, Any] | None = Field(default=None, description="Of an action: what it answers.")
    capabilities: dict[str, Any] | None = None
    idempotent: bool | None = None
    type: str | None = Field(default=None, description="Of a fact: what its value is.")
    reads: list[str] | None = Field(default=None, description="Of a fact: what it is computed from.")
    event_schema: dict[str, Any] | None = Field(
        default=None, alias="schema", description="Of a type of events: JSON Schema of their properties."
    )
    of: str | None = Field(default=None, description="Of a metric: messages or events.")
    receipts: list[str] | None = Field(default=None, description="Of a metric: what it listens to.")
    events: list[str] | None = Field(default=None, description="Of a metric: what it listens to.")
    scopes: list[str] | None = Field(default=None, description="Of a metric: what breakers watch by it.")
    used_by: list[UseRecord] | None = None
    in_this_process: TallyRecord | None = Field(default=None, description="Null: not called yet.")


class PluginRecord(BaseModel):
    """One plugin, wherever it is from."""

    name: str
    module: str
    distribution: str
    version: str
    state: Literal["active", "broken", "disabled"]
    faults: list[str] = Field(description="Why something of it is left out; codes in rulesets/ERRORS.md.")
    notes: list[str]
    offers: list[OfferRecord]


class PluginList(BaseModel):
    """Every plugin that was found when this process started, by name."""

    plugins: list[PluginRecord]


@router.get("")
async def plugins(services: Asked) -> PluginList:
    """What is installed, from which distribution, what it takes, and how it has been doing."""

    def look() -> list[dict[str, Any]]:
        described = describe(services.registry)
        with services.store.read() as session:
            try:
                bundle = services.shelf.live(session)
            except NotFound:
                return with_health(described, None)
            return with_health(described, health_of(session, bundle, services.clock.now()))

    return PluginList.model_validate({"plugins": await services.store.run(look)})
