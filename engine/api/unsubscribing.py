"""`/u/{token}`: a link that shows who asks what, and one click that withdraws (RFC 8058)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from engine.api.access import Asked
from engine.api.bodies import read_body
from engine.api.consenting import not_set_up, take_in
from engine.api.links import LARGEST_FORM, meaning_of
from engine.api.pages import language_of, page, paragraph
from engine.api.services import Services
from engine.contacts.unsubscribe import read_token
from engine.errors import NotFound
from engine.gate.consent import ANY

SOURCE = "unsubscribe"

_TEXTS = {
    "zh": {
        "title": "退订",
        "ask": "您将不再通过此渠道收到：{what}。",
        "these": "这类消息",
        "button": "确认退订",
        "done": "已退订。您不会再收到这类消息。",
        "choose": "选择接收哪些消息",
    },
    "en": {
        "title": "Unsubscribe",
        "ask": "You will no longer receive here: {what}.",
        "these": "messages of this kind",
        "button": "Unsubscribe",
        "done": "You are unsubscribed. You will not receive this kind of message again.",
        "choose": "Choose what you receive",
    },
}

router = APIRouter(tags=["consent"], default_response_class=HTMLResponse)


@router.get("/u/{token}")
async def show(token: str, request: Request, services: Asked) -> HTMLResponse:
    """Ask, and change nothing: mail scanners follow every link."""
    texts = _TEXTS[language_of(request)]
    wish = meaning_of(request, token, _TEXTS, read_token)
    what = await services.store.run(_title_of, services, wish.purpose, language_of(request)) or texts["these"]
    form = (
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        f"<button>{escape(texts['button'])}</button></form>"
    )
    return page(request, texts["title"], f"{paragraph(texts['ask'].format(what=what))}{form}{_more(request)}")


@router.post("/u/{token}")
async def withdraw(token: str, request: Request, services: Asked) -> HTMLResponse:
    """Withdraw the consent the link names, at once, for every channel to such addresses; repeating it does
    no harm."""
    await read_body(request, LARGEST_FORM)
    texts = _TEXTS[language_of(request)]
    wish = meaning_of(request, token, _TEXTS, read_token)
    said = {"purpose": wish.purpose, "mechanism": "one_click"}
    channels = await services.store.run(_channels_of, services, wish.channel)
    wishes = [("consent_withdrawn", {**said, "channel": channel}) for channel in channels]
    await take_in(request, services, wish.contact_id, wishes, source=SOURCE)
    return page(request, texts["title"], f"{paragraph(texts['done'], role='status')}{_more(request)}")


def _more(request: Request) -> str:
    # Relative, so that it works behind a proxy under whatever path; a link keeps the page's language.
    token = request.path_params["token"]
    language = language_of(request)
    return f'<p><a href="{token}/preferences?lang={language}">{escape(_TEXTS[language]["choose"])}</a></p>'


def _channels_of(services: Services, channel: str) -> Sequence[str]:
    """The channels of the ruleset in force that reach the addresses of this one: to the person they are one.

    All there are, where it has another name by now: an old link must not leave the new name open.
    """
    with services.store.read() as session:
        try:
            channels = services.shelf.live(session).channels
        except NotFound as error:
            raise not_set_up(error) from error
    by = channels.get(channel)
    return sorted(name for name, each in channels.items() if by and each.identity == by.identity) or [ANY]


def _title_of(services: Services, purpose: str, language: str) -> str | None:
    """What people call the purpose; None when no ruleset in force knows it."""
    with services.store.read() as session:
        try:
            known = services.shelf.live(session).purposes.get(purpose)
        except NotFound:
            return None
    return known.title_in(language) if known is not None else None
