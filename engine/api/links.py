"""Pages behind signed links: what a link stands for, and what is shown when it no longer does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from engine.api.consenting import Standing, standing_of
from engine.api.pages import language_of, page, paragraph
from engine.api.services import Services

LARGEST_FORM = 16 * 1024
"""Bytes of what a page sends back."""
_WRONG = {
    "zh": "链接无效。请使用消息中的完整链接。",
    "en": "This link is not valid. Please use the whole link from the message.",
}
Texts = Mapping[str, Mapping[str, str]]
"""By language, what a page says; each has a `title`."""
_Meaning = TypeVar("_Meaning")


class DeadLinkError(Exception):
    """Answers the request with a page that says why the link leads nowhere."""

    def __init__(self, texts: Texts, why: str | None = None, status: int = 404) -> None:
        """`why` is one of the texts; without it the link was not signed here, or its contact is gone."""
        super().__init__(why or "wrong")
        self.texts = texts
        self.why = why
        self.status = status


def meaning_of(
    request: Request, token: str, texts: Texts, read: Callable[[str, str], _Meaning | None]
) -> _Meaning:
    """What the link's token stands for; DeadLinkError when it was not signed here for this."""
    meaning = read(request.app.state.secret, token)
    if meaning is None:
        raise DeadLinkError(texts)
    return meaning


async def whose(services: Services, contact_id: str, texts: Texts) -> Standing:
    """The link's contact as they stand; DeadLinkError when there is none any more."""
    standing = await standing_of(services, contact_id)
    if standing is None:
        raise DeadLinkError(texts)
    return standing


def answer_dead_links(app: FastAPI) -> None:
    """Have every DeadLinkError of `app` answered by its page."""
    app.add_exception_handler(DeadLinkError, _dead)


async def _dead(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, DeadLinkError)
    language = language_of(request)
    texts = error.texts[language]
    said = _WRONG[language] if error.why is None else texts[error.why]
    return page(request, texts["title"], paragraph(said), error.status)
