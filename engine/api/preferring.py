"""`/u/{token}/preferences`: one contact's choices, by purpose and channel, and whether they are personal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from engine.api.access import Asked
from engine.api.bodies import read_body
from engine.api.consenting import Standing, Wish, take_in
from engine.api.links import LARGEST_FORM, meaning_of, whose
from engine.api.pages import language_of, page, paragraph
from engine.api.services import Services
from engine.contacts.unsubscribe import read_token
from engine.gate.consent import (
    ANY,
    CROSS_BORDER,
    PERSONALISATION,
    ConsentState,
    consent_for,
    may_be_personal,
    may_cross,
    standing_refusals,
)

SOURCE = "preferences"

_STOP, _SAVE, _LIFT = "stop", "save", "lift"
_TEXTS = {
    "zh": {
        "title": "消息偏好设置",
        "intro": "选择您希望收到的消息和方式。更改立即生效。",
        "saved": "已保存。",
        "pending": "（待确认：请查收确认消息）",
        "personal": "个性化",
        "personal_label": "根据我的行为和购买记录挑选内容",
        "personal_note": "关闭后，您仍会收到以上所选的消息，但内容不针对您个人。",
        "abroad": "跨境提供",
        "abroad_label": "同意将我的信息提供到境外，用于撰写发给我的消息",
        "abroad_note": "取消后即不再提供，您仍会收到以上所选的消息。",
        "law": "法律要求的通知始终会发送：{what}。",
        "save": "保存",
        "stop": "停止全部营销消息",
        "refused": "您曾要求不再接收任何需要同意的消息，因此以下选择暂不生效。",
        "lift": "撤销该要求，由我逐项选择",
        "gone": "没有可设置的内容。",
    },
    "en": {
        "title": "Message preferences",
        "intro": "Choose what you want to receive, and how. Changes take effect at once.",
        "saved": "Your choices are saved.",
        "pending": "(to be confirmed: please look for our message)",
        "personal": "Personalisation",
        "personal_label": "Choose contents by what I do and buy",
        "personal_note": "When this is off you still get what you chose, with texts that suit everybody.",
        "abroad": "Abroad",
        "abroad_label": "Facts about me may be told to a service abroad that writes messages to me",
        "abroad_note": "When this is off nothing more is told there, and you still get what you chose.",
        "law": "What the law requires is always sent: {what}.",
        "save": "Save",
        "stop": "Stop all marketing messages",
        "refused": "You once asked for no messages at all that need your consent, so no choice below counts.",
        "lift": "Take that back, and let me choose one by one",
        "gone": "There is nothing to choose.",
    },
}
_CHANNELS = {
    "email": ("电子邮件", "E-mail"),
    "sms": ("短信", "Text message"),
    "app": ("应用通知", "App notification"),
    "letter": ("信件", "Letter"),
    "push": ("推送通知", "Push notification"),
    "phone": ("电话", "Telephone"),
    "wecom": ("企业微信", "WeCom"),
    "wechat": ("微信", "WeChat"),
}
"""What people call channels of common names; others are called by their id."""

router = APIRouter(tags=["consent"], default_response_class=HTMLResponse)


@dataclass(frozen=True)
class Choice:
    """One box: a purpose on a channel, or personalisation."""

    purpose: str
    channel: str
    is_on: bool
    state: ConsentState = ConsentState.UNKNOWN

    @property
    def name(self) -> str:
        return f"{self.purpose}|{self.channel}"


@router.get("/u/{token}/preferences")
async def show(token: str, request: Request, services: Asked) -> HTMLResponse:
    """Show what is chosen, and change nothing."""
    standing = await _whose(token, request, services)
    return page(request, _TEXTS[language_of(request)]["title"], _form(standing, request))


@router.post("/u/{token}/preferences")
async def choose(token: str, request: Request, services: Asked) -> Response:
    """Record what has changed, each choice as an entry of its own; then show the page again."""
    body = await read_body(request, LARGEST_FORM)
    language = language_of(request)
    standing = await _whose(token, request, services)
    try:
        given = parse_qs(body.decode(), max_num_fields=1_000)
    except ValueError:  # not UTF-8, or more fields than any page has
        given = {}
    if _LIFT in given:
        wishes = _lifted(standing, language)
    elif _STOP in given:
        wishes = _stopped(standing, language)
    elif _SAVE in given:
        wishes = _changed(standing, set(given.get("on", ())), set(given.get("shown", ())), language)
    else:
        wishes = []
    if wishes:
        await take_in(request, services, standing.contact_id, wishes, source=SOURCE)
    # To the page by GET: reloading it then says nothing a second time.
    return RedirectResponse(f"preferences?lang={language}&saved=1", status_code=303)


async def _whose(token: str, request: Request, services: Services) -> Standing:
    return await whose(services, meaning_of(request, token, _TEXTS, read_token).contact_id, _TEXTS)


def choices(standing: Standing) -> list[Choice]:
    """What the contact can choose: purposes that a refusal can stop, on channels that reach them."""
    bundle = standing.bundle
    found = []
    for purpose in bundle.purposes.values():
        if purpose.kind == "legal":
            continue
        for channel in bundle.channels.values():
            if channel.identity not in standing.platforms:
                continue
            state = consent_for(standing.records, purpose, channel.id, standing.now).state
            refused = state in {ConsentState.WITHDRAWN, ConsentState.DENIED}
            is_on = state is ConsentState.GRANTED if purpose.needs_consent else not refused
            found.append(Choice(purpose.id, channel.id, is_on, state))
    return found


def _changed(standing: Standing, wanted: set[str], shown: set[str], language: str) -> list[Wish]:
    """Only what the page showed is said anything of; what is as it was is not said again."""
    wishes: list[Wish] = []
    for choice in choices(standing):
        if choice.name in shown and (choice.name in wanted) != choice.is_on:
            wishes.append(_wish(choice, standing, language))
    # Here it can only be taken back: who agrees has to be told first who receives what, and where.
    if (
        CROSS_BORDER in shown
        and CROSS_BORDER not in wanted
        and may_cross(standing.records, ANY, standing.now)
    ):
        wishes.append(_wish(Choice(CROSS_BORDER, ANY, is_on=True), standing, language))
    if PERSONALISATION in shown:
        personal = may_be_personal(standing.records)
        if (PERSONALISATION in wanted) != personal:
            wishes.append(_wish(Choice(PERSONALISATION, ANY, personal), standing, language))
    return wishes


def _stopped(standing: Standing, language: str) -> list[Wish]:
    # By name, not everything at once: the page must be able to start each of them again.
    return [
        _wish(Choice(purpose.id, ANY, is_on=True), standing, language)
        for purpose in standing.bundle.purposes.values()
        if purpose.needs_consent
    ]


def _refused_whole(standing: Standing) -> list[str]:
    """The channels, or `*`, on which the contact has refused everything: no single choice lifts that."""
    refusals = standing_refusals(standing.records)
    return sorted({refusal.channel for refusal in refusals if refusal.purpose == ANY})


def _lifted(standing: Standing, language: str) -> list[Wish]:
    """Takes a refusal of everything back and agrees to nothing: each purpose is refused by name instead."""
    wishes: list[Wish] = []
    for channel in _refused_whole(standing):
        lift = {
            "purpose": ANY,
            "channel": channel,
            "mechanism": "preference_page",
            "language": language,
            "notice": _TEXTS[language]["lift"],
        }
        wishes.append(("consent_granted", lift))
        wishes += [
            ("consent_withdrawn", {**lift, "purpose": purpose.id})
            for purpose in standing.bundle.purposes.values()
            if purpose.needs_consent
        ]
    return wishes


def _wish(choice: Choice, standing: Standing, language: str) -> Wish:
    """The event that turns a choice round."""
    kind = "consent_withdrawn" if choice.is_on else "consent_granted"
    said = {
        "purpose": choice.purpose,
        "channel": choice.channel,
        "mechanism": "preference_page",
        "language": language,
        "notice": _label(choice, standing, language),
    }
    return kind, said


def _form(standing: Standing, request: Request) -> str:
    language = language_of(request)
    texts = _TEXTS[language]
    by_purpose: dict[str, list[Choice]] = {}
    for choice in choices(standing):
        by_purpose.setdefault(choice.purpose, []).append(choice)
    parts = []
    if request.query_params.get("saved") == "1":
        parts.append(paragraph(texts["saved"], role="status"))
    if not by_purpose:
        return "".join([*parts, paragraph(texts["gone"])])
    if _refused_whole(standing):
        parts.append(
            f'{paragraph(texts["refused"])}<form method="post" action="?lang={language}">'
            f'<p><button class="plain" name="{_LIFT}" value="1">{escape(texts["lift"])}</button></p></form>'
        )
    parts += [paragraph(texts["intro"]), f'<form method="post" action="?lang={language}">']
    for purpose, boxes in by_purpose.items():
        legend = escape(standing.bundle.purposes[purpose].title_in(language))
        lines = "".join(_box(box, texts, _channel(box.channel, language)) for box in boxes)
        parts.append(f"<fieldset><legend>{legend}</legend>{lines}</fieldset>")
    personal = Choice(PERSONALISATION, ANY, may_be_personal(standing.records))
    parts.append(
        f"<fieldset><legend>{escape(texts['personal'])}</legend>"
        f"{_checkbox(PERSONALISATION, personal.is_on, texts['personal_label'], 'personal-note')}"
        f'<p class="note" id="personal-note">{escape(texts["personal_note"])}</p></fieldset>'
    )
    if may_cross(standing.records, ANY, standing.now):
        parts.append(
            f"<fieldset><legend>{escape(texts['abroad'])}</legend>"
            f"{_checkbox(CROSS_BORDER, True, texts['abroad_label'], 'abroad-note')}"
            f'<p class="note" id="abroad-note">{escape(texts["abroad_note"])}</p></fieldset>'
        )
    lawful = [each.title_in(language) for each in standing.bundle.purposes.values() if each.kind == "legal"]
    if lawful:
        parts.append(paragraph(texts["law"].format(what=", ".join(lawful))))
    parts.append(
        f'<p><button name="{_SAVE}" value="1">{escape(texts["save"])}</button> '
        f'<button class="plain" name="{_STOP}" value="1">{escape(texts["stop"])}</button></p></form>'
    )
    return "".join(parts)


def _box(choice: Choice, texts: Mapping[str, str], title: str) -> str:
    note = texts["pending"] if choice.state is ConsentState.PENDING else ""
    return _checkbox(choice.name, choice.is_on, f"{title} {note}".strip())


def _checkbox(name: str, is_on: bool, label: str, described_by: str = "") -> str:
    described = f' aria-describedby="{described_by}"' if described_by else ""
    return (
        f'<input type="hidden" name="shown" value="{escape(name)}"><label><input type="checkbox" name="on" '
        f'value="{escape(name)}"{" checked" if is_on else ""}{described}>{escape(label)}</label>'
    )


def _label(choice: Choice, standing: Standing, language: str) -> str:
    """What the person read beside the box: the notice that their choice rests on."""
    if choice.purpose == CROSS_BORDER:
        return _TEXTS[language]["abroad_label"]
    if choice.purpose == PERSONALISATION:
        return _TEXTS[language]["personal_label"]
    title = standing.bundle.purposes[choice.purpose].title_in(language)
    return title if choice.channel == ANY else f"{title}: {_channel(choice.channel, language)}"


def _channel(channel: str, language: str) -> str:
    names = _CHANNELS.get(channel)
    return channel if names is None else names[0 if language == "zh" else 1]
