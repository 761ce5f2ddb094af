"""Events from files: JSON Lines and CSV with a mapping."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import CommandError
from engine.intake.files import Line, in_batches, read_file
from engine.intake.incoming import IncomingEvent, Unusable
from engine.intake.mapping import read_mapping

MAP = ["userId=customer", 'event="order_paid"', "timestamp=date", "properties.amount:number=dollars"]


def lines_of(path: Path, *maps: str, **options: str) -> list[Line]:
    return list(read_file(path, read_mapping(list(maps), **options)))


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def event_of(line: Line) -> IncomingEvent:
    found = line.incoming()
    assert isinstance(found, IncomingEvent), found
    return found


def fault_of(line: Line) -> Unusable:
    found = line.incoming()
    assert isinstance(found, Unusable)
    return found


def test_json_lines_are_segment_messages(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "e.jsonl",
        '\ufeff{"type":"track","event":"a","userId":"1","messageId":"m1"}\n\n'
        '{"type":"identify","userId":"2","messageId":"m2"}',
    )
    assert [event_of(line).message_id for line in lines_of(path)] == ["m1", "m2"]


def test_a_broken_line_is_a_dead_letter_with_its_place_and_the_others_go_on(tmp_path: Path) -> None:
    path = write(tmp_path, "e.jsonl", '{"type":"track","event":"a"}\n{"type"\n[1]\n{"type":"track"}\n')
    first, broken, array, nameless = lines_of(path)
    event_of(first)
    assert (fault_of(broken).code, fault_of(broken).message) == ("EV011", "e.jsonl:2: the line is not JSON")
    assert fault_of(broken).raw == '{"type"'
    assert (fault_of(array).code, fault_of(array).message[:10]) == ("EV001", "e.jsonl:3:")
    assert fault_of(nameless).message.startswith("e.jsonl:4: event must")


def test_a_line_with_half_a_surrogate_pair_is_a_dead_letter(tmp_path: Path) -> None:
    path = write(tmp_path, "e.jsonl", '{"type":"track","event":"a","properties":{"x":"\\ud83d"}}')
    assert fault_of(lines_of(path)[0]).code == "EV009"


def test_lines_without_an_id_are_named_after_file_line_and_content(tmp_path: Path) -> None:
    text = '{"type":"track","event":"a","userId":"1"}\n' * 2
    path = write(tmp_path, "e.jsonl", text)
    once = [event_of(line).message_id for line in lines_of(path)]
    again = [event_of(line).message_id for line in lines_of(path)]
    assert once == again
    assert len(set(once)) == 2


def test_csv_columns_are_mapped(tmp_path: Path) -> None:
    path = write(tmp_path, "o.csv", "customer,date,dollars\n4,19970101,29.33\n21,19970118,\n")
    first, second = lines_of(path, *MAP, time_format="%Y%m%d", timezone="America/New_York")
    event = event_of(first)
    assert event.type == "order_paid"
    assert event.identities == (("user", "4"),)
    assert event.properties == {"amount": 29.33}
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "1997-01-01T05:00:00+00:00"
    assert event_of(second).properties == {}


def test_a_csv_cell_that_cannot_be_read_names_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path, "o.csv", "customer,date,dollars\n4,1997-01-01T00:00:00Z,13812345678x\n")
    fault = fault_of(lines_of(path, *MAP)[0])
    assert fault.message == "o.csv:2: column 'dollars' does not hold a number"


def test_a_quoted_cell_may_hold_lines_and_the_next_place_is_still_right(tmp_path: Path) -> None:
    path = write(tmp_path, "o.csv", 'customer,date,dollars\n4,1997-01-01,"1\n"\n5,1997-01-01,x\n')
    assert [line.place for line in lines_of(path, *MAP)] == ["o.csv:2", "o.csv:4"]


def test_a_csv_row_with_too_many_cells_is_no_event_for_its_values_have_shifted(tmp_path: Path) -> None:
    path = write(tmp_path, "o.csv", "customer,date,dollars\n4,1997-01-01,1,234.50\n5,1997-01-01,2\n")
    shifted, good = lines_of(path, *MAP)
    assert fault_of(shifted).message == "o.csv:2: more cells than the heading has columns"
    assert event_of(good).properties == {"amount": 2}


def test_a_csv_file_in_another_encoding_is_refused_before_names_come_in_spoilt(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes("customer,date,dollars\n王,1997-01-01,1\n".encode("gbk"))
    with pytest.raises(CommandError, match=r"o\.csv:2: not UTF-8; save the file as UTF-8"):
        lines_of(path, *MAP)


@pytest.mark.parametrize("ending", ["\n", ""])
def test_a_line_that_is_too_long_does_not_stop_the_others(tmp_path: Path, ending: str) -> None:
    good = '{"type":"track","event":"a","userId":"1"}\n'
    path = write(tmp_path, "e.jsonl", f'{good}"{"x" * 3_000_000}"{ending}{good if ending else ""}')
    lines = lines_of(path)
    assert "longer than" in fault_of(lines[1]).message
    assert [line.fault is None for line in lines] == ([True, False, True] if ending else [True, False])
    assert lines[-1].bytes_read == path.stat().st_size


def test_bytes_read_grow_to_the_size_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "o.csv", "customer,date,dollars\n4,1997-01-01,1\n5,1997-01-01,2\n")
    assert [line.bytes_read for line in lines_of(path, *MAP)][-1] == path.stat().st_size


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (["userId"], "cannot be read"),
        (["userId=customer"], "names no event"),
        (['event="x"', "nonsense=customer"], "not a part of an event"),
        (['event="x"', "properties.=customer"], "not a part of an event"),
        (['event="x"', "properties.a:date=customer"], "not a type"),
        (['event="x"', "userId=client"], "no column 'client'"),
    ],
)
def test_a_wrong_mapping_is_the_commands_fault(tmp_path: Path, maps: list[str], words: str) -> None:
    path = write(tmp_path, "o.csv", "customer\n1\n")
    with pytest.raises(CommandError, match=words):
        lines_of(path, *maps)


@pytest.mark.parametrize("name", ["missing.jsonl", "events.txt", "o.csv"])
def test_a_file_that_cannot_be_read_is_the_commands_fault(tmp_path: Path, name: str) -> None:
    if name != "missing.jsonl":
        write(tmp_path, name, "a\n1\n")
    with pytest.raises(CommandError):
        lines_of(tmp_path / name)


def test_batches_keep_the_order() -> None:
    lines = [Line(str(number), {}) for number in range(5)]
    assert [[line.place for line in batch] for batch in in_batches(lines, 2)] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]
