"""Old names of keys: read as the present ones, with a warning at their place, wherever they stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from engine.authoring.models.fields import Id, Items
from engine.authoring.models.part import Head, Part, Renamed
from engine.authoring.reading.renaming import old_keys, renamed
from engine.authoring.reading.source import read
from engine.authoring.reading.validating import validate_as
from engine.errors import Place


class Parcel(Part):
    renamed: ClassVar[Mapping[str, Renamed]] = {
        "send_via": Renamed("channel", "0.4"),
        "content": Renamed("inside", "0.4"),
    }

    channel: Id = Field(description="")
    inside: Items[Parcel] = Field((), description="")


class ParcelsFile(Head):
    renamed: ClassVar[Mapping[str, Renamed]] = {"items": Renamed("parcels", "0.3")}

    kind: Literal["parcels"] = Field(description="")
    parcels: Items[Parcel] = Field(description="")


HEAD = "kind: parcels\nid: a\ntitle: a\nowner: a\n"


def test_an_old_name_is_read_as_the_new_one_with_a_warning_at_its_place() -> None:
    source, problems = renamed(read(f"{HEAD}parcels:\n  - {{send_via: email}}\n", "a.yaml"), ParcelsFile)

    file, more = validate_as(ParcelsFile, source)
    assert more == []
    assert file is not None
    assert file.parcels[0].channel == "email"
    (problem,) = problems
    assert problem.is_warning
    assert (problem.code, problem.place, problem.path) == (
        "RW021",
        Place("a.yaml", 6, 6),
        "parcels[0].send_via",
    )
    assert "'channel'" in problem.message
    assert "0.4" in problem.message
    assert problem.hint == "write 'channel'"


def test_a_mistake_below_an_old_name_is_still_found_at_its_place() -> None:
    text = f"{HEAD}items:\n  - send_via: email\n    content: [{{send_via: 'NOT AN ID'}}]\n"
    source, problems = renamed(read(text, "a.yaml"), ParcelsFile)

    assert [problem.path for problem in problems] == [
        "items",
        "items[0].send_via",
        "items[0].content",
        "items[0].content[0].send_via",
    ]
    _, (mistake,) = validate_as(ParcelsFile, source)
    assert mistake.path == "parcels[0].inside[0].channel"
    assert mistake.place == Place("a.yaml", 7, 26)


def test_both_names_side_by_side_are_refused() -> None:
    text = f"{HEAD}parcels:\n  - {{send_via: email, channel: sms}}\n"
    source, (problem,) = renamed(read(text, "a.yaml"), ParcelsFile)

    assert (problem.code, problem.hint) == ("RS081", "keep 'channel'")
    file, more = validate_as(ParcelsFile, source)
    assert more == []
    assert file is not None
    assert file.parcels[0].channel == "sms"


def parcels(deep: int) -> st.SearchStrategy[dict[str, object]]:
    inner = st.lists(parcels(deep - 1), max_size=2) if deep else st.just([])
    return st.builds(
        lambda old_one, old_two, inside: {
            "send_via" if old_one else "channel": "email",
            "content" if old_two else "inside": inside,
        },
        st.booleans(),
        st.booleans(),
        inner,
    )


@settings(max_examples=40)
@given(st.lists(parcels(2), max_size=3), st.booleans())
def test_whatever_mixture_of_names_is_written_the_file_means_the_same(items: list[object], old: bool) -> None:
    def present(value: object) -> object:
        if isinstance(value, list):
            return [present(each) for each in value]
        if isinstance(value, dict):
            names = {"send_via": "channel", "content": "inside"}
            return {names.get(key, key): present(each) for key, each in value.items()}
        return value

    head = {"kind": "parcels", "id": "a", "title": "a", "owner": "a"}
    text = json.dumps({**head, "items" if old else "parcels": items})
    source, problems = renamed(read(text, "a.yaml"), ParcelsFile)

    assert source.data == {**head, "parcels": present(items)}
    assert list(old_keys(source, ParcelsFile)) == []
    assert all(problem.code == "RW021" for problem in problems)
