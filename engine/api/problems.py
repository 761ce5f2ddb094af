"""Errors as RFC 9457 problem documents, everywhere, and never with a value that a sender sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from engine.authoring.reporting import as_data
from engine.errors import CommandError, DriverUnavailable, NotFound, RulesetError, WaylineError

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger(__name__)


class ProblemError(Exception):
    """Answers the request with a problem document."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.members = members


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
) -> JSONResponse:
    """A problem document; `code` is what programs may rely on."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **members,
    }
    return JSONResponse(jsonable_encoder(body), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Have every error of `app` answered by a problem document."""
    app.add_exception_handler(ProblemError, _asked)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _request)
    app.add_exception_handler(WaylineError, _ours)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(PoolTimeout, _database)
    app.add_exception_handler(Exception, _defect)


async def _asked(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem(error.status, error.code, error.detail, headers=error.headers, **error.members)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    details = {404: "there is nothing at this address", 405: "this address does not know that method"}
    status = error.status_code
    headers = dict(error.headers) if error.headers else None
    return problem(
        status, codes.get(status, "http_error"), details.get(status, str(error.detail)), headers=headers
    )


async def _request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if any(fault["type"] == "json_invalid" for fault in error.errors()):
        return problem(400, "json_broken", "the body is not JSON")
    # Only where and what kind: pydantic's own errors hold the input.
    faults = [
        {"at": ".".join(map(str, fault["loc"])), "fault": fault["type"], "message": fault["msg"]}
        for fault in error.errors()
    ]
    return problem(422, "request_invalid", "the request does not have the wanted shape", errors=faults)


async def _ours(_: Request, error: Exception) -> Response:
    match error:
        case RulesetError():
            return problem(422, "ruleset_invalid", str(error), problems=as_data(error.problems))
        case NotFound():
            return problem(404, "not_found", str(error))
        case DriverUnavailable():
            return problem(503, "driver_unavailable", str(error), headers={"Retry-After": "5"})
        case CommandError():
            return problem(409, "refused", str(error))
        case _:
            _log.error("request failed", error=repr(error))
            return problem(500, "failed", str(error))


async def _database(_: Request, error: Exception) -> Response:
    if isinstance(error, DataError):
        return problem(400, "value_unstorable", "the request holds a value that the database cannot hold")
    _log.error("database failed", error=type(error).__name__)
    return problem(
        503,
        "database_unavailable",
        "the database did not answer; nothing of the request was kept",
        headers={"Retry-After": "5"},
    )


async def _defect(request: Request, error: Exception) -> Response:
    _log.error("defect", method=request.method, route=request.scope.get("path"), exc_info=error)
    return problem(500, "defect", "something went wrong on our side; nothing of the request was kept")
