"""Bundles with plans on: checked before they are in force, and written down for every process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.authoring.compiling.overlaying import overlay_hash
from engine.authoring.loading import bundle_with_plans
from engine.errors import CommandError, RulesetError
from engine.rules.proving import Unproved, prove
from engine.store.bulk import insert_new
from engine.store.tables import ControlRow, OverlayRow


@dataclass(frozen=True)
class Checked:
    """A bundle that was found good with these plans on."""

    base: str
    """Its hash."""
    plans: tuple[str, ...]
    """Ids, sorted."""


def check(base: Bundle, plans: Sequence[str]) -> Checked:
    """KeyError, RulesetError or CommandError when the bundle cannot be in force with these plans."""
    _proved(bundle_with_plans(base.files, plans), base)
    return Checked(base.hash, tuple(plans))


def check_kept_on(
    control: ControlRow, base_hash: str, bundle: Callable[[], Bundle], checked: Checked | None = None
) -> Checked | None:
    """What was found good when a new bundle is to be in force with the plans that are on; None without any.

    CommandError when one of them is not in it or does not fit it: a plan is never dropped silently. It takes
    seconds, so do it before the control row is held; what is `checked` already is not checked again.
    """
    names = sorted(each["id"] for each in control.plans)
    if not names or checked == Checked(base_hash, tuple(names)):
        return checked
    try:
        return check(bundle(), names)
    except KeyError as error:
        raise CommandError(
            f"the plan {error.args[0]!r} is on, and this bundle has no such plan; switch it off first"
        ) from None
    except RulesetError as error:
        shown = "; ".join(
            f"{each.place.file}:{each.place.line} {each.message}" for each in error.problems[:3]
        )
        raise CommandError(
            f"this bundle does not fit the plans that are on ({', '.join(names)}): {shown}"
        ) from None


def kept_on(session: Session, control: ControlRow, base_hash: str) -> tuple[str, list[dict[str, Any]]]:
    """The hash that a new bundle is in force under while the present plans stay on, and those plans.

    `check_kept_on` has found them good together.
    """
    names = sorted(each["id"] for each in control.plans)
    return (overlaid(session, base_hash, names), list(control.plans)) if names else (base_hash, [])


def _proved(bundle: Bundle, base: Bundle) -> None:
    """Return when the matcher can be trusted with what plans add: journeys that were switched off till now.

    CommandError otherwise. Everything else was proved when the bundle was published.
    """
    if bundle.rules == base.rules:
        return
    try:
        prove(bundle.rules)
    except Unproved as doubt:
        raise CommandError(f"the rule {doubt.rule!r} was not decided safely: {doubt.why}") from doubt


def overlaid(session: Session, base: str, plans: Sequence[str]) -> str:
    """The hash of the bundle with these plans on, written down so that every process can make it."""
    made = overlay_hash(base, plans)
    insert_new(session, OverlayRow, [{"hash": made, "base": base, "plans": list(plans)}])
    return made
