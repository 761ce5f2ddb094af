"""What is being done about people on their way in earlier versions, as the control row says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from engine.authoring.compiling.overlaying import overlay_hash
from engine.journeys.program import InFlight
from engine.store.tables import ControlRow, OverlayRow


@dataclass(frozen=True)
class Order:
    """What becomes of one journey's people who are on their way in certain bundles."""

    policy: InFlight
    """Never PIN, which is to do nothing."""
    bundle: str
    """Hash, without plans, of the bundle whose publish ordered it: there they go."""
    left: frozenset[str]
    """Hashes of the bundles that they come from."""

    @property
    def is_moving(self) -> bool:
        """Whether it takes people off their version; otherwise it only keeps others from entering."""
        return self.policy in (InFlight.MIGRATE, InFlight.END)


def orders_of(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, Order]:
    """Journey -> its order, of the control row's field `in_flight`."""
    return {
        journey: Order(InFlight(each["policy"]), each["bundle"], frozenset(each["left"]))
        for journey, each in raw.items()
    }


def as_document(orders: Mapping[str, Order]) -> dict[str, Any]:
    """The field `in_flight` that says the same."""
    return {
        journey: {"policy": each.policy.value, "bundle": each.bundle, "left": sorted(each.left)}
        for journey, each in sorted(orders.items())
    }


def orders_after(
    standing: Mapping[str, Order], wanted: str, live: str, said: Mapping[str, Order | None]
) -> tuple[dict[str, Order], dict[str, str]]:
    """The orders that stand once `wanted` is in force (with plans: as `live`), and journey -> why one ended.

    `said` is what this publish says: an order, or None for to leave people where they are. An earlier order
    goes on where it says nothing; but from what is in force again nobody is taken away.
    """
    orders, ended = {}, {}
    for journey, order in standing.items():
        left = order.left - {wanted, live}
        if left:
            orders[journey] = replace(order, left=left)
        else:
            ended[journey] = "restored"
    for journey, new in said.items():
        if orders.pop(journey, None) is not None:
            ended[journey] = "replaced"
        if new is not None:
            orders[journey] = replace(new, bundle=wanted)
    return orders, ended


def draining(control: ControlRow) -> frozenset[str]:
    """The journeys that nobody enters before people on earlier versions have finished."""
    return frozenset(
        journey for journey, each in control.in_flight.items() if each["policy"] == InFlight.DRAIN
    )


def bundle_for(session: Session, order: Order, plans: Sequence[str]) -> str:
    """Hash of the bundle that a run goes to which entered while these plans were on: with them, where the
    bundle it was ordered to has been in force with them, else without."""
    overlaid = overlay_hash(order.bundle, plans)
    return overlaid if plans and session.get(OverlayRow, overlaid) is not None else order.bundle
