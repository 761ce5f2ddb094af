"""The file channel: one line per key, on the disk before it answers, whatever broke before."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plugin import Accepted, Rejected, Retry
from engine.plugin.testing import EXAMPLE_MESSAGE, FixedClock, check_channel
from plugins.channels.file import FileChannel, FileSettings
from tests.plugins.conftest import NOW

TODAY = "2026-11-21.jsonl"


def channel_for(folder: Path, clock: FixedClock | None = None, **others: object) -> FileChannel:
    return FileChannel(FileSettings.model_validate({"folder": folder, **others}), clock or FixedClock(NOW))


def files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.jsonl"))


def lines_of(folder: Path) -> list[dict[str, object]]:
    return [
        json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_bytes().splitlines()
    ]


def test_it_passes_the_contract_tests(tmp_path: Path) -> None:
    check_channel(FileChannel(), settings={"folder": str(tmp_path / "letters")})


async def test_a_message_is_one_line_in_the_file_of_its_day(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    channel = channel_for(tmp_path, clock)
    assert await channel.send(EXAMPLE_MESSAGE, "one") == Accepted(f"{TODAY}@0")
    clock.advance(timedelta(days=1))
    await channel.send(EXAMPLE_MESSAGE, "two")
    assert files_in(tmp_path) == [TODAY, "2026-11-22.jsonl"]
    first, second = lines_of(tmp_path)
    assert (first["key"], first["at"], second["key"]) == ("one", "2026-11-21T09:30:00+00:00", "two")
    assert first["body"] == EXAMPLE_MESSAGE.body
    assert first["unsubscribe_url"] == EXAMPLE_MESSAGE.unsubscribe_url


async def test_a_repeated_key_is_accepted_without_a_second_line(tmp_path: Path) -> None:
    channel = channel_for(tmp_path)
    first = await channel.send(EXAMPLE_MESSAGE, "same")
    assert await channel.send(EXAMPLE_MESSAGE, "same") == first
    assert len(lines_of(tmp_path)) == 1


async def test_a_key_is_recognised_after_a_restart_and_on_the_next_day(tmp_path: Path) -> None:
    first = await channel_for(tmp_path).send(EXAMPLE_MESSAGE, "same")
    later = channel_for(tmp_path, FixedClock(NOW + timedelta(days=2)))
    assert await later.send(EXAMPLE_MESSAGE, "same") == first
    assert len(lines_of(tmp_path)) == 1


async def test_a_key_older_than_it_was_told_to_remember_counts_as_new(tmp_path: Path) -> None:
    await channel_for(tmp_path).send(EXAMPLE_MESSAGE, "same")
    later = channel_for(tmp_path, FixedClock(NOW + timedelta(days=9)), remember="7d")
    await later.send(EXAMPLE_MESSAGE, "same")
    assert len(lines_of(tmp_path)) == 2


async def test_two_channels_on_one_folder_see_each_others_lines(tmp_path: Path) -> None:
    one, other = channel_for(tmp_path), channel_for(tmp_path)
    await asyncio.gather(
        *(channel.send(EXAMPLE_MESSAGE, f"key-{number}") for number in range(20) for channel in (one, other))
    )
    assert sorted(str(line["key"]) for line in lines_of(tmp_path)) == sorted(f"key-{n}" for n in range(20))


def write_from_another_process(folder: str, keys: list[str]) -> None:
    async def write() -> None:
        channel = channel_for(Path(folder))
        for key in keys:
            assert isinstance(await channel.send(EXAMPLE_MESSAGE, key), Accepted)

    asyncio.run(write())


def test_processes_that_write_the_same_keys_at_once_write_each_once(tmp_path: Path) -> None:
    keys = [f"key-{number}" for number in range(40)]
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=write_from_another_process, args=(str(tmp_path), order))
        for order in (keys, keys[::-1])
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(str(line["key"]) for line in lines_of(tmp_path)) == sorted(keys)


@pytest.mark.parametrize("kept", [1, 20, -1])
async def test_a_line_torn_by_a_crash_is_replaced_and_its_key_written_anew(tmp_path: Path, kept: int) -> None:
    await channel_for(tmp_path).send(EXAMPLE_MESSAGE, "whole")
    whole = (tmp_path / TODAY).read_bytes()
    await channel_for(tmp_path).send(EXAMPLE_MESSAGE, "torn")
    torn = (tmp_path / TODAY).read_bytes()[len(whole) :]
    (tmp_path / TODAY).write_bytes(whole + torn[:kept])
    channel = channel_for(tmp_path)
    assert await channel.send(EXAMPLE_MESSAGE, "torn") == Accepted(f"{TODAY}@{len(whole)}")
    assert [line["key"] for line in lines_of(tmp_path)] == ["whole", "torn"]


async def test_lines_edited_by_hand_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / TODAY).write_bytes(b'not json\n[1]\n{"key": 7}\n{"key": "theirs"}\n\xff\xfe\n')
    channel = channel_for(tmp_path)
    assert await channel.send(EXAMPLE_MESSAGE, "theirs") == Accepted(f"{TODAY}@24")
    await channel.send(EXAMPLE_MESSAGE, "ours")
    (tmp_path / TODAY).write_bytes(b"")
    await channel.send(EXAMPLE_MESSAGE, "after the file was emptied")
    assert [line["key"] for line in lines_of(tmp_path)] == ["after the file was emptied"]


async def test_a_folder_that_cannot_be_written_means_come_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = await channel_for(tmp_path / "file" / "letters").send(EXAMPLE_MESSAGE, "k")
    assert isinstance(result, Retry)
    assert result.code.startswith("disk.")


async def test_a_message_without_an_address_is_refused(tmp_path: Path) -> None:
    channel = channel_for(tmp_path)
    nameless = replace(EXAMPLE_MESSAGE, to="")
    assert not channel.preflight(nameless).ok
    assert isinstance(await channel.send(nameless, "k"), Rejected)
    assert isinstance(await FileChannel().send(EXAMPLE_MESSAGE, "k"), Rejected)


@given(
    st.text(alphabet=st.characters(), max_size=40), st.text(alphabet=st.characters(), min_size=1, max_size=20)
)
@settings(max_examples=60)
def test_every_text_and_every_key_survive_the_disk(
    tmp_path_factory: pytest.TempPathFactory, text: str, key: str
) -> None:
    folder = tmp_path_factory.mktemp("letters")
    message = replace(EXAMPLE_MESSAGE, body=text)
    asyncio.run(channel_for(folder).send(message, key))
    asyncio.run(channel_for(folder).send(message, key))
    (line,) = lines_of(folder)
    assert (line["body"], line["key"]) == (text, key)
