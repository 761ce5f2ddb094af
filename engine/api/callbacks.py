"""`/callbacks/{channel}`: what platforms tell; who signed it is verified over the bytes as they came."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from engine.api.access import Asked
from engine.api.bodies import read_body
from engine.api.problems import ProblemError
from engine.api.services import Services
from engine.intake.callbacks import CallbackFailed
from engine.intake.carrying import Carrier
from engine.plugin.callbacks import Refused

_REFUSED = {
    "signature": (401, "callback_unsigned", "the signature does not fit the body and the channel's secret"),
    "stale": (401, "callback_stale", "it was signed too long ago, or for a time to come"),
    "malformed": (400, "callback_malformed", "it is signed well, and not what the platform documents"),
}

router = APIRouter(prefix="/callbacks", tags=["callbacks"])


@router.get("/{channel}")
async def try_out(channel: str, request: Request, services: Asked) -> Response:
    """Answer a platform that tries the address out, as it documents; 401 when it does not sign as agreed."""
    return await _take(channel, b"", request, services)


@router.post("/{channel}")
async def take(channel: str, request: Request, services: Asked) -> Response:
    """Take in what a platform tells: signed as it documents, each delivery once, however often it comes."""
    return await _take(channel, await read_body(request, services.settings.max_body), request, services)


async def _take(channel: str, body: bytes, request: Request, services: Services) -> Response:
    query = dict(request.query_params)
    try:
        taken = await services.callbacks.take(channel, body, dict(request.headers), query)
    except CallbackFailed as error:
        raise ProblemError(500, "callback_failed", f"{error}; nothing of it was kept") from error
    if isinstance(taken, Refused):
        status, code, detail = _REFUSED[taken.code]
        raise ProblemError(status, code, detail)
    carrier: Carrier = request.app.state.carrier
    carrier.hand(taken.run_ids)
    return Response(taken.callback.reply, media_type=taken.callback.media_type)
