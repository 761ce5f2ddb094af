"""`/u/{token}`: a link that shows who asks what, and one click that withdraws (RFC 8058)."""

from __future__ import annotations

import uuid
from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from engine.api.access import Asked
from engine.api.bodies import read_body
from engine.api.problems import ProblemError
from engine.api.services import Services
from engine.contacts.unsubscribe import Unsubscribe, read_token
from engine.errors import NotFound
from engine.intake.accepting import Receipt
from engine.intake.carrying import Carrier
from engine.intake.incoming import IncomingEvent

SOURCE = "unsubscribe"

_LARGEST_FORM = 16 * 1024
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
_TEXTS = {
    "zh": {
        "title": "退订",
        "ask": "您将不再通过此渠道收到：{what}。",
        "these": "这类消息",
        "button": "确认退订",
        "done": "已退订。您不会再收到这类消息。",
        "wrong": "链接无效。请使用消息中的完整链接。",
    },
    "en": {
        "title": "Unsubscribe",
        "ask": "You will no longer receive here: {what}.",
        "these": "messages of this kind",
        "button": "Unsubscribe",
        "done": "You are unsubscribed. You will not receive this kind of message again.",
        "wrong": "This link is not valid. Please use the whole link from the message.",
    },
}

router = APIRouter(tags=["unsubscribe"], default_response_class=HTMLResponse)


@router.get("/u/{token}")
async def show(token: str, request: Request, services: Asked) -> HTMLResponse:
    """Ask, and change nothing: mail scanners follow every link."""
    texts = _texts(request)
    wish = _read(request, token)
    if wish is None:
        return _page(request, escape(texts["wrong"]), 404)
    what = await services.store.run(_title_of, services, wish.purpose) or texts["these"]
    form = f'<form method="post"><button>{escape(texts["button"])}</button></form>'
    return _page(request, f"{escape(texts['ask'].format(what=what))}</p>{form}<p>", 200)


@router.post("/u/{token}")
async def withdraw(token: str, request: Request, services: Asked) -> HTMLResponse:
    """Withdraw the consent the link names, at once; repeating it does no harm."""
    await read_body(request, _LARGEST_FORM)
    wish = _read(request, token)
    if wish is None:
        return _page(request, escape(_texts(request)["wrong"]), 404)
    event = _withdrawal(wish)

    def accept() -> Receipt:
        return services.intake.accept([event], source=SOURCE)

    try:
        receipt = await services.store.run(accept)
    except NotFound as error:
        raise ProblemError(503, "not_set_up", str(error), headers={"Retry-After": "30"}) from error
    carrier: Carrier = request.app.state.carrier
    carrier.hand(receipt.run_ids)
    return _page(request, escape(_texts(request)["done"]), 200)


def _title_of(services: Services, purpose: str) -> str | None:
    """What people call the purpose; None when no ruleset in force knows it."""
    with services.store.read() as session:
        try:
            known = services.shelf.live(session).purposes.get(purpose)
        except NotFound:
            return None
    return known.title if known is not None else None


def _withdrawal(wish: Unsubscribe) -> IncomingEvent:
    # Each click is an event of its own: between two of them the person may have agreed again.
    message_id = f"unsubscribe:{uuid.uuid4().hex}"
    properties = {"purpose": wish.purpose, "channel": wish.channel, "mechanism": "one_click"}
    return IncomingEvent(
        message_id=message_id,
        type="consent_withdrawn",
        contact_id=wish.contact_id,
        properties=properties,
        raw={
            "type": "track",
            "event": "consent_withdrawn",
            "messageId": message_id,
            "properties": properties,
            "context": {"contact_id": wish.contact_id},
        },
    )


def _read(request: Request, token: str) -> Unsubscribe | None:
    secret: str = request.app.state.secret
    return read_token(secret, token)


def _language(request: Request) -> str:
    wanted = request.headers.get("accept-language", "").lower()
    first = wanted.split(",")[0].strip()
    return "en" if first and not first.startswith("zh") else "zh"


def _texts(request: Request) -> dict[str, str]:
    return _TEXTS[_language(request)]


def _page(request: Request, body: str, status: int) -> HTMLResponse:
    title = escape(_texts(request)["title"])
    return HTMLResponse(
        f'<!doctype html><html lang="{_language(request)}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        "<style>body{font:16px/1.6 sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}"
        "button{font:inherit;padding:.5rem 1.5rem}</style>"
        f"<h1>{title}</h1><p>{body}</p></html>",
        status_code=status,
        headers=_HEADERS,
    )
