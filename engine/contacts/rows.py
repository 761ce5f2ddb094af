"""Between a contact's row and its profile as a value."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from engine.contacts.profile import Profile
from engine.store.tables import ContactRow

_SETS = {"tags", "derived_tags"}
_FIELDS = tuple(field.name for field in fields(Profile))
_WRITTEN = tuple(name for name in _FIELDS if name not in {"id", "created_at"})


def profile_of(row: ContactRow) -> Profile:
    """The row's profile; changing it does not change the row."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    values["attributes"] = dict(row.attributes)
    for name in _SETS:
        values[name] = set(values[name])
    return Profile(**values)


def write_profile(row: ContactRow, profile: Profile) -> None:
    """Bring the row to the profile; what did not change is not written. ValueError for another's row."""
    if row.id != profile.id:
        raise ValueError("the profile belongs to another contact")
    for name in _WRITTEN:
        value = getattr(profile, name)
        if name in _SETS:
            value = sorted(value)
        if getattr(row, name) != value:
            setattr(row, name, dict(value) if name == "attributes" else value)
