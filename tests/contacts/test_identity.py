"""From addresses to contacts: known first, conflicts left alone, one contact however many ask at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, event, select
from sqlmodel import col

from engine.contacts.identity import Address, RacedError, Wanted, addresses_of, resolve_batch
from engine.contacts.rows import lock_profiles
from engine.store.database import Store
from engine.store.tables import ContactRow, IdentityRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def resolve(store: Store, *wanted: tuple[Address, ...]) -> list[str]:
    """The contacts, in a transaction of their own, which is done again when another was quicker."""
    while True:
        with suppress(RacedError), store.begin() as session:
            found = resolve_batch(session, [Wanted(identities) for identities in wanted], NOW)
            return list(found.contact_ids)


def owners(store: Store) -> dict[Address, str]:
    with store.read() as session:
        rows = session.scalars(select(IdentityRow)).all()
    return {(row.platform, row.address): row.contact_id for row in rows}


def contacts(store: Store) -> set[str]:
    with store.read() as session:
        return set(session.scalars(select(col(ContactRow.id))))


def test_a_new_address_makes_a_contact_and_keeps_it(store: Store) -> None:
    [first] = resolve(store, (("user", "u1"),))
    [again] = resolve(store, (("user", "u1"),))
    assert first == again
    assert contacts(store) == {first}
    with store.read() as session:
        row = session.get_one(ContactRow, first)
    assert (row.created_at, row.tags, row.attributes, row.order_count) == (NOW, [], {}, 0)


def test_a_contact_id_tells_nothing_of_the_address(store: Store) -> None:
    [one] = resolve(store, (("email", "ana@example.com"),))
    with store.begin() as session:
        session.execute(delete(IdentityRow))
        session.execute(delete(ContactRow))
    [two] = resolve(store, (("email", "ana@example.com"),))
    assert one != two


def test_new_addresses_beside_a_known_one_join_its_contact(store: Store) -> None:
    [ana] = resolve(store, (("anonymous", "a1"),))
    [same] = resolve(store, (("user", "u1"), ("anonymous", "a1"), ("email", "ana@example.com")))
    assert same == ana
    assert set(owners(store).values()) == {ana}


def test_entries_of_one_batch_see_each_other(store: Store) -> None:
    found = resolve(
        store,
        (("anonymous", "a1"),),
        (("user", "u1"), ("anonymous", "a1")),
        (("user", "u1"),),
        (("user", "u2"),),
    )
    assert found[0] == found[1] == found[2] != found[3]
    assert contacts(store) == set(found)


def test_of_two_known_contacts_the_first_wins_and_nothing_is_merged(store: Store) -> None:
    ana, ben = resolve(store, (("user", "u1"),), (("anonymous", "a1"),))
    [found] = resolve(store, (("user", "u1"), ("anonymous", "a1"), ("email", "x@example.com")))
    assert found == ana
    assert owners(store) == {("user", "u1"): ana, ("anonymous", "a1"): ben, ("email", "x@example.com"): ana}


def test_another_user_on_the_same_device_is_another_person(store: Store) -> None:
    [ana] = resolve(store, (("user", "u1"), ("anonymous", "device")))
    [ben] = resolve(store, (("user", "u2"), ("email", "ben@example.com"), ("anonymous", "device")))
    assert ben != ana
    assert owners(store) == {
        ("user", "u1"): ana,
        ("anonymous", "device"): ana,
        ("user", "u2"): ben,
        ("email", "ben@example.com"): ben,
    }
    assert contacts(store) == {ana, ben}
    assert resolve(store, (("anonymous", "device"),)) == [ana]
    assert resolve(store, (("user", "u2"), ("anonymous", "device"))) == [ben]


def test_two_users_of_one_device_in_one_batch_are_two_people(store: Store) -> None:
    found = resolve(
        store,
        (("anonymous", "device"),),
        (("user", "u1"), ("anonymous", "device")),
        (("user", "u2"), ("anonymous", "device")),
        (("user", "u1"), ("anonymous", "device")),
        (("user", "u2"), ("anonymous", "device")),
    )
    assert found[0] == found[1] == found[3] != found[2] == found[4]
    assert owners(store)["anonymous", "device"] == found[0]


def test_the_first_user_of_a_device_takes_over_what_it_did_before(store: Store) -> None:
    [visitor] = resolve(store, (("anonymous", "device"), ("email", "ana@example.com")))
    assert resolve(store, (("user", "u1"), ("anonymous", "device"))) == [visitor]


def test_the_same_address_on_two_platforms_is_two_addresses(store: Store) -> None:
    user, app = resolve(store, (("user", "1"),), (("app", "1"),))
    assert user != app


@pytest.mark.parametrize("address", ["名前 🎉", "مرحبا", "'; DROP TABLE contact; --", "a" * 256, "%_\\"])
def test_any_text_is_an_address(store: Store, address: str) -> None:
    [found] = resolve(store, (("user", address),))
    assert owners(store) == {("user", address): found}


def test_profiles_are_those_of_the_rows_whether_just_made_or_found(store: Store) -> None:
    [ben] = resolve(store, (("user", "u2"),))
    with store.begin() as session:
        made = resolve_batch(session, [Wanted((("user", "u1"),))], NOW, also=[ben, "nobody"])
        assert set(made.profiles) == {made.contact_ids[0], ben}
    with store.begin() as session:
        assert lock_profiles(session, made.profiles) == made.profiles


def test_nobody_at_all_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="without identities"):
        resolve(store, ())
    assert resolve(store) == []


def test_addresses_are_listed_by_contact(store: Store) -> None:
    ana, ben = resolve(store, (("user", "u1"), ("email", "ana@example.com")), (("user", "u2"),))
    with store.read() as session:
        found = addresses_of(session, [ana, ben, "nobody"])
    assert {owner: [(row.platform, row.address) for row in rows] for owner, rows in found.items()} == {
        ana: [("email", "ana@example.com"), ("user", "u1")],
        ben: [("user", "u2")],
    }


def test_eight_who_meet_the_same_new_people_make_each_of_them_once(store: Store) -> None:
    people = [(("user", f"u{number}"), ("anonymous", f"a{number}")) for number in range(40)]
    found: list[dict[int, str]] = [{} for _ in range(8)]
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        order = list(enumerate(people))
        random.Random(seed).shuffle(order)
        start.wait()
        for half in (order[:20], order[20:]):
            ids = resolve(store, *(identities for _, identities in half))
            found[seed] |= dict(zip((number for number, _ in half), ids, strict=True))

    _in_threads(work)
    assert all(each == found[0] for each in found)
    assert len(set(found[0].values())) == 40 == len(contacts(store))


def test_eight_who_know_different_addresses_of_the_same_people_never_make_a_contact_without_a_row(
    store: Store,
) -> None:
    """Who meets whom is a race; but each answer must be a contact that exists and that an address names."""
    found: list[list[str]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        start.wait()
        for _ in range(6):
            wanted = [
                tuple(chance.sample([(kind, f"{number}") for kind in ("user", "anonymous", "email")], k=2))
                for number in chance.sample(range(12), k=5)
            ]
            found[seed] += resolve(store, *wanted)

    _in_threads(work)
    known = contacts(store)
    assert {contact for each in found for contact in each} <= known
    assert set(owners(store).values()) == known


def test_of_eight_users_who_log_in_on_one_device_at_once_one_becomes_its_visitor(store: Store) -> None:
    [visitor] = resolve(store, (("anonymous", "device"), ("anonymous", "tablet")))
    found = _log_in_at_once(store, [("anonymous", "device"), ("anonymous", "tablet")])
    assert len(set(found)) == 8
    assert visitor in found


def test_of_eight_users_who_log_in_on_a_new_device_at_once_one_gets_it(store: Store) -> None:
    found = _log_in_at_once(store, [("anonymous", "device")])
    assert len(set(found)) == 8 == len(contacts(store))
    assert owners(store)["anonymous", "device"] in found


def _log_in_at_once(store: Store, devices: list[Address]) -> list[str]:
    found: dict[int, str] = {}
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        start.wait()
        [found[seed]] = resolve(store, (("user", f"u{seed}"), devices[seed % len(devices)]))

    _in_threads(work)
    return list(found.values())


def test_a_batch_of_a_hundred_takes_a_handful_of_statements(store: Store) -> None:
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    resolve(store, *((("user", f"u{number}"), ("anonymous", f"a{number}")) for number in range(100)))
    resolve(store, *((("user", f"u{number}"), ("anonymous", f"a{number}")) for number in range(100)))
    assert len([text for text in statements if not text.startswith("BEGIN")]) == 7


def _in_threads(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=[seed]) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
