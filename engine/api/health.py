"""`/healthz`, `/readyz` and `/metrics`: for whoever keeps the process alive and watches it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from engine.api.access import Asked
from engine.api.problems import ProblemError
from engine.errors import NotFound
from engine.store.control import read_control
from engine.store.migrating import current_revision, newest_revision

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthy() -> dict[str, str]:
    """The process answers; nothing else is asked."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(services: Asked) -> dict[str, str | list[str]]:
    """Events can be taken in: the database is there and migrated, a bundle is live; 503 otherwise.

    `broken_plugins` names what is broken and left out. The process is ready all the same: what needs such a
    plugin is held or blocked with its reason, and turning events away would lose them.
    """

    def look() -> str | None:
        if current_revision(services.store.engine) != newest_revision():
            return "the database is not migrated; run `wayline db upgrade`"
        with services.store.read() as session:
            try:
                live = read_control(session).live_bundle
            except NotFound as error:
                return str(error)
        return None if live is not None else "no bundle is published; run `wayline publish`"

    fault = await services.store.run(look)
    if fault is not None:
        raise ProblemError(503, "not_ready", fault)
    broken = sorted({each.plugin for each in services.registry.faults})
    return {"status": "ready", **({"broken_plugins": broken} if broken else {})}


@router.get("/metrics")
def metrics() -> Response:
    """Everything that is counted, for Prometheus."""
    # In a thread: what the durable side counts is fetched.
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
