"""What channel plugins did lately, by what the database knows of the channels that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.gate.rates import read
from engine.store.tables import AttemptRow, ProviderRow

LATELY = timedelta(hours=1)
"""How far back health looks; a day of a busy channel would be long to count."""


def health_of(session: Session, bundle: Bundle, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """Name of a channel plugin -> the channels of the bundle that use it: what came of their calls within the
    last hour, by result, and until when a failing provider is left alone. `now` is delivery time. Plugins
    that the bundle does not use are left out.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    sent = _counted(
        session,
        select(col(AttemptRow.channel), col(AttemptRow.result), func.count(), func.max(AttemptRow.at))
        .where(col(AttemptRow.channel).in_(bundle.channels), col(AttemptRow.at) >= now - LATELY)
        .group_by(col(AttemptRow.channel), col(AttemptRow.result)),
    )
    circuits = {row.account: read(row.book).open_until for row in session.scalars(select(ProviderRow))}
    for name, channel in bundle.channels.items():
        provider = bundle.providers.get(name)
        until = circuits.get(provider.account) if provider is not None else None
        told = {"id": name, **sent.get(name, _NOTHING), "left_alone_until": until and until.isoformat()}
        found.setdefault(channel.plugin, []).append(told)
    return found


_NOTHING: Mapping[str, Any] = {"last_hour": {}, "latest_at": None}


def _counted(session: Session, query: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, result, number, latest in session.execute(query):
        told = found.setdefault(name, {"last_hour": {}, "latest_at": None})
        told["last_hour"][result] = number
        moment = latest.isoformat()
        told["latest_at"] = max(moment, told["latest_at"] or moment)
    return found


def with_health(
    described: list[dict[str, Any]], health: Mapping[str, list[dict[str, Any]]] | None
) -> list[dict[str, Any]]:
    """Plugins as `describe` tells them, their channels with `used_by`: null where nobody could be asked."""
    for plugin in described:
        for offer in plugin["offers"]:
            if offer["kind"] == "channel":
                offer["used_by"] = None if health is None else health.get(offer["name"], [])
    return described
