"""The people of a world by id, also by the ids of those who have turned out to be one with another."""

from __future__ import annotations

from collections.abc import Iterator

from engine.contacts.joining import survivor_of
from engine.errors import NotFound
from engine.simulation.people import Living


class Everybody:
    """Who lives in a world now."""

    def __init__(self) -> None:
        self._people: dict[str, Living] = {}
        self._gone: dict[str, str] = {}
        """Who is part of whom by now."""

    def __iter__(self) -> Iterator[Living]:
        return iter(self._people.values())

    def __contains__(self, contact_id: str) -> bool:
        return contact_id in self._people

    def find(self, contact_id: str) -> Living:
        """The person with this id, or the one they are part of by now. NotFound when there is none."""
        person = self._people.get(self._gone.get(contact_id, contact_id) if self._gone else contact_id)
        if person is None:
            raise NotFound(f"there is no person {contact_id!r} in this simulation")
        return person

    def add(self, person: Living) -> None:
        """Let somebody live here."""
        self._people[person.profile.id] = person

    def join(self, one: Living, other: Living) -> tuple[Living, Living]:
        """Let two people be one from now on: who stays, and who is gone."""
        first, second = survivor_of(one.profile, other.profile)
        survivor, gone = self._people[first.id], self._people.pop(second.id)
        self._gone = {each: first.id if to == second.id else to for each, to in self._gone.items()}
        self._gone[second.id] = first.id
        return survivor, gone

    def clear(self) -> None:
        """Let nobody have been here."""
        self._people.clear()
        self._gone.clear()
