"""`/confirm/{token}`: the second half of a double opt-in, by the link that was sent to the address itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from engine.api.access import Asked
from engine.api.bodies import read_body
from engine.api.consenting import Standing, Wish, take_in
from engine.api.links import LARGEST_FORM, DeadLinkError, meaning_of, whose
from engine.api.pages import language_of, page, paragraph
from engine.api.services import Services
from engine.authoring.built_in import CONSENT_CONFIRMED
from engine.contacts.unsubscribe import Confirmation, read_confirmation
from engine.gate.consent import ConsentRecord, confirmable

SOURCE = "confirmation"

_TEXTS = {
    "zh": {
        "title": "确认订阅",
        "ask": "您请求接收以下内容。请确认这是您本人的意愿：",
        "all": "全部消息",
        "button": "确认",
        "done": "已确认，谢谢。您可以随时退订。",
        "nothing": "没有等待确认的请求：链接可能已过期、已使用，或您之后已退订。",
    },
    "en": {
        "title": "Confirm your subscription",
        "ask": "You asked to receive the following. Please confirm that it was you:",
        "all": "all messages",
        "button": "Confirm",
        "done": "Confirmed, thank you. You can unsubscribe at any time.",
        "nothing": (
            "Nothing waits to be confirmed: the link may be too old or used already, or you have "
            "unsubscribed since."
        ),
    },
}

router = APIRouter(tags=["consent"], default_response_class=HTMLResponse)


@router.get("/confirm/{token}")
async def show(token: str, request: Request, services: Asked) -> HTMLResponse:
    """Ask, and confirm nothing: mail scanners follow every link."""
    texts = _TEXTS[language_of(request)]
    _, standing, waiting = await _asked(token, request, services)
    names = dict.fromkeys(_title(each, standing, language_of(request)) for each in waiting)
    listed = "".join(f"<li>{escape(name)}</li>" for name in names)
    form = f'<form method="post"><button>{escape(texts["button"])}</button></form>'
    return page(request, texts["title"], f"{paragraph(texts['ask'])}<ul>{listed}</ul>{form}")


@router.post("/confirm/{token}")
async def confirm(token: str, request: Request, services: Asked) -> HTMLResponse:
    """Make consents of what waits for this link; repeating it does no harm."""
    await read_body(request, LARGEST_FORM)
    asked, _, waiting = await _asked(token, request, services)
    wishes: list[Wish] = [
        (CONSENT_CONFIRMED, {"purpose": each.purpose, "channel": each.channel, "over": asked.channel})
        for each in waiting
    ]
    await take_in(request, services, asked.contact_id, wishes, source=SOURCE)
    texts = _TEXTS[language_of(request)]
    return page(request, texts["title"], paragraph(texts["done"], role="status"))


async def _asked(
    token: str, request: Request, services: Services
) -> tuple[Confirmation, Standing, Sequence[ConsentRecord]]:
    """What the link asks for, of whom, and what of it still waits; DeadLinkError when nothing does."""
    asked = meaning_of(request, token, _TEXTS, read_confirmation)
    standing = await whose(services, asked.contact_id, _TEXTS)
    waiting = confirmable(standing.records, asked.channel, asked.asked_until, standing.now)
    if not waiting:
        raise DeadLinkError(_TEXTS, "nothing", 410)
    return asked, standing, waiting


def _title(record: ConsentRecord, standing: Standing, language: str) -> str:
    known = standing.bundle.purposes.get(record.purpose)
    return _TEXTS[language]["all"] if known is None else known.title_in(language)
