"""Request bodies: read as they come, unpacked, never more than allowed, parsed."""

from __future__ import annotations

import json
import zlib
from typing import Any, NoReturn

import orjson
from fastapi import Request

from engine.api.problems import ProblemError

_PATIENCE = 8
"""How many times the limit is read and dropped, so that a sender gets to hear the answer."""


async def read_json(request: Request, limit: int) -> Any:
    """The JSON document in the body; ProblemError 400, 413 or 415 when it cannot be had."""
    return parse_json(await read_body(request, limit))


async def read_body(request: Request, limit: int) -> bytes:
    """The body, unpacked when it is gzipped; neither may have more than `limit` bytes (413)."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise ProblemError(415, "encoding_unknown", "content-encoding must be gzip or absent")
    unpack = _Gunzip(limit) if encoding.endswith("gzip") else None
    body = bytearray()
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit * _PATIENCE:
            _too_large(limit)
        if received > limit or len(body) > limit:
            continue  # dropped; the answer follows when the sender has finished
        body += unpack.feed(chunk) if unpack is not None else chunk
    if received > limit or len(body) > limit:
        _too_large(limit)
    if unpack is not None:
        unpack.finish()
    return bytes(body)


def parse_json(data: bytes) -> Any:
    """The document; ProblemError 400 with the place of the fault."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        fault = f"{error.msg} (line {error.lineno}, column {error.colno})"
    # Half a surrogate pair spoils one event, not the batch around it: only such bodies are read leniently.
    if b"\\ud" in data.lower():
        try:
            return json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            pass
    raise ProblemError(400, "json_broken", f"the body is not JSON: {fault}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _too_large(limit: int) -> NoReturn:
    raise ProblemError(
        413, "body_too_large", f"the body has more than {limit} bytes; send smaller batches", limit=limit
    )


class _Gunzip:
    """Unpacks a gzip stream of one or more members, giving up one byte after the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._given = 0
        self._member = self._new()

    @staticmethod
    def _new() -> zlib._Decompress:
        return zlib.decompressobj(wbits=31)

    def feed(self, data: bytes) -> bytes:
        given = bytearray()
        try:
            while data and self._given <= self._limit:
                if self._member.eof:
                    self._member = self._new()
                part = self._member.decompress(data, self._limit + 1 - self._given)
                given += part
                self._given += len(part)
                data = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as error:
            raise ProblemError(400, "gzip_broken", "the body is not gzip, though it says so") from error
        return bytes(given)

    def finish(self) -> None:
        if not self._member.eof:
            raise ProblemError(400, "gzip_broken", "the gzip body ends too early")
