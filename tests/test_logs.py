"""Logs hold no personal data, whoever writes them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from engine.logs import set_up_logs
from engine.masking import mask_address, mask_text, mask_value


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    stream = io.StringIO()
    set_up_logs("json", stream=stream)
    yield stream
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_value_of_an_entry_is_masked(logged: io.StringIO) -> None:
    structlog.get_logger("test").warning(
        "for zoe@example.com", phone="13812345678", inside={"list": ["+8613812345678"]}, count=13812345678
    )
    (entry,) = lines(logged)
    assert entry["event"] == "for z***@example.com"
    assert entry["phone"] == "138****5678"
    assert entry["inside"] == {"list": ["+86****5678"]}
    assert (entry["level"], entry["count"]) == ("warning", 13812345678)


def test_libraries_that_log_are_masked_as_well(logged: io.StringIO) -> None:
    logging.getLogger("library").error("mail to %s", "zoe@example.com")
    assert lines(logged)[0]["event"] == "mail to z***@example.com"


def test_a_stack_trace_is_masked_too(logged: io.StringIO) -> None:
    try:
        raise ValueError("zoe@example.com")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert "zoe@" not in logged.getvalue()
    assert "ValueError: z***@example.com" in lines(logged)[0]["exception"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key wl_write_abcDEF-123_x", "key wl_write_***"),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***"),
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("GET /u/eyJh.c2ln HTTP", "GET /u/*** HTTP"),
        ("run 3f6c0d5b2a9e4f718c0b13812345678a ended", "run 3f6c0d5b2a9e4f718c0b13812345678a ended"),
        ("at 2026-03-01T10:00:00.123456Z", "at 2026-03-01T10:00:00.123456Z"),
    ],
)
def test_secrets_are_masked_and_ids_and_times_are_not(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("zoe@example.com", "z***@example.com"),
        ("13812345678", "138****5678"),
        ("ext_abc1", "ex***"),
        ("ab", "***"),
    ],
)
def test_an_address_is_recognised_only_by_who_knows_it(address: str, masked: str) -> None:
    assert mask_address(address) == masked


def test_values_that_are_no_text_keep_their_kind() -> None:
    assert mask_value({"n": 1, "yes": True, "none": None}) == {"n": 1, "yes": True, "none": None}
