"""The HTTP application over the services of one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from engine.api import (
    budgets,
    callbacks,
    checks,
    confirming,
    consents,
    contacts,
    documenting,
    events,
    experiments,
    health,
    inbound,
    journeys,
    operating,
    plans,
    plugins,
    preferring,
    receipts,
    records,
    reviews,
    simulations,
    tasks,
    unsubscribing,
)
from engine.api.links import answer_dead_links
from engine.api.problems import answer_with_problems
from engine.api.services import Services
from engine.intake.carrying import Carrier
from engine.services import secret_of

DRAIN_SECONDS = 10.0
"""How long a stopping process still carries what it has just taken in."""


def create_app(services: Services) -> FastAPI:
    """The application; it uses `services` and leaves closing them to the caller."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        carrier = Carrier(services.runs.carry)
        app.state.carrier = carrier
        try:
            yield
        finally:
            await carrier.drain(DRAIN_SECONDS)

    app = FastAPI(
        title="Wayline",
        version=version("wayline"),
        description="Customer journeys: event intake and the operators' API.",
        lifespan=lifespan,
        # Its own page would fetch scripts from another company's servers.
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.state.secret = secret_of(services.settings)
    answer_with_problems(app)
    answer_dead_links(app)
    for module in (
        health,
        events,
        records,
        operating,
        plans,
        plugins,
        budgets,
        checks,
        journeys,
        reviews,
        tasks,
        experiments,
        simulations,
        unsubscribing,
        preferring,
        confirming,
        consents,
        contacts,
        receipts,
        callbacks,
        inbound,
        documenting,
    ):
        app.include_router(module.router)
    return app


def create_health_app(services: Services) -> FastAPI:
    """Only what watches a process: `/healthz`, `/readyz` and `/metrics`, for processes without the API."""
    app = FastAPI(title="Wayline", version=version("wayline"), openapi_url=None)
    app.state.services = services
    answer_with_problems(app)
    app.include_router(health.router)
    return app
