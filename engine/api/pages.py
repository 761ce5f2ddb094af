"""Pages for the people who get the messages: plain HTML without scripts, in Chinese or English."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from fastapi import Request
from fastapi.responses import HTMLResponse

LANGUAGES = {"zh": "中文", "en": "English"}
"""What the pages speak, with the name of each in itself."""

# Dark on white, 4.5:1 and more everywhere (WCAG 2.2 AA); what has the focus is outlined.
_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;color:#1f2328;background:#fff;max-width:40rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.1rem;margin:1.5rem 0 .25rem}"
    "a{color:#0550ae}nav{text-align:right}fieldset{border:1px solid #8c959f;border-radius:6px;margin:1rem 0;"
    "padding:.5rem 1rem 1rem}legend{font-weight:600;padding:0 .25rem}label{display:block;padding:.25rem 0}"
    "input{width:1.1rem;height:1.1rem;vertical-align:-.15rem;margin-right:.5rem}"
    "button{font:inherit;padding:.5rem 1.5rem;color:#fff;background:#0550ae;border:2px solid #0550ae;"
    "border-radius:6px}button.plain{color:#a40e26;background:#fff;border-color:#a40e26}"
    ":focus-visible{outline:3px solid #bf8700;outline-offset:2px}.note{color:#57606a}"
    "[role=status]{border-left:4px solid #1a7f37;padding-left:.75rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def language_of(request: Request) -> str:
    """The language asked for: the page's own switch (`?lang=`), else the reader's browser, else Chinese."""
    switched = request.query_params.get("lang", "")
    if switched in LANGUAGES:
        return switched
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "").lower().split(",")[:20]:
        name, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        language = name.split("-")[0]
        if weight > 0 and language in {*LANGUAGES, "*"}:
            wanted.append((-weight, language))
        elif weight > 0 and language:
            # Whoever reads neither is likelier to read English.
            wanted.append((-weight, "en"))
    best = min(wanted, key=lambda each: each[0])[1] if wanted else "zh"
    return "zh" if best == "*" else best


def page(request: Request, title: str, body: str, status: int = 200) -> HTMLResponse:
    """A page with a title and a switch of language; `body` is HTML, already escaped."""
    language = language_of(request)
    switch = " ".join(
        f'<a href="?lang={code}" lang="{code}" hreflang="{code}">{name}</a>'
        for code, name in LANGUAGES.items()
        if code != language
    )
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><nav>{switch}</nav>"
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>",
        status_code=status,
        headers=_HEADERS,
    )


def paragraph(text: str, *, role: str = "") -> str:
    """One paragraph of plain text."""
    return f"<p{f' role={chr(34)}{role}{chr(34)}' if role else ''}>{escape(text)}</p>"
