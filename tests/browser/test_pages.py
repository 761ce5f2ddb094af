"""The pages for recipients in a real browser: without scripts, by keyboard, in both languages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from engine.contacts.unsubscribe import Unsubscribe, sign
from engine.store.tables import ConsentRow, ContactRow
from tests.api.conftest import SECRET
from tests.browser.conftest import Served

pytestmark = pytest.mark.xdist_group("browser")

CONTRASTS = """
() => {
  const light = text => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    const [r, g, b] = parts.slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)' && colour !== 'transparent') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('h1, p, a, label, legend, button')].map(node => {
    const [one, other] = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => b - a);
    return [node.textContent, (one + 0.05) / (other + 0.05)];
  });
}
"""


@asynccontextmanager
async def page_of(served: Served, language: str = "en-GB", scripts: bool = False) -> AsyncIterator[Page]:
    context = await served.browser.new_context(locale=language, java_script_enabled=scripts)
    page = await context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    # Whatever the content security policy blocks would be told here.
    assert complaints == []
    await context.close()


async def link_of(served: Served) -> str:
    granted = {"type": "track", "event": "consent_granted", "userId": "u1"}
    await served.site.post(
        "/v1/batch",
        {
            "batch": [
                {"type": "identify", "userId": "u1", "traits": {"app": "d"}},
                {**granted, "properties": {"purpose": "marketing"}},
            ]
        },
    )
    (contact,) = served.site.all(ContactRow)
    return f"{served.url}/u/{sign(SECRET, Unsubscribe(contact.id, 'marketing', 'letter'))}"


def ledger(served: Served) -> list[tuple[str, str, str]]:
    return [(row.decision, row.purpose, row.channel) for row in served.site.all(ConsentRow)]


async def test_one_looks_first_and_unsubscribes_with_one_press(served: Served) -> None:
    async with page_of(served) as page:
        await page.goto(await link_of(served))
        await expect(page.get_by_role("heading", level=1)).to_have_text("Unsubscribe")
        await expect(page.get_by_text("Offers and news")).to_be_visible()
        assert len(ledger(served)) == 1
        await page.get_by_role("button", name="Unsubscribe").click()
        await expect(page.get_by_role("status")).to_contain_text("You are unsubscribed")
    assert ledger(served)[1:] == [("withdrawn", "marketing", "letter")]


async def test_choices_are_made_by_their_labels_and_kept(served: Served) -> None:
    async with page_of(served) as page:
        await page.goto(await link_of(served))
        await page.get_by_role("link", name="Choose what you receive").click()
        offers = page.get_by_role("group", name="Offers and news").get_by_label("Letter")
        personal = page.get_by_label("Choose contents by what I do and buy")
        await expect(offers).to_be_checked()
        await expect(personal).to_be_checked()
        await offers.uncheck()
        await personal.uncheck()
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("status")).to_have_text("Your choices are saved.")
        await expect(offers).not_to_be_checked()
        await expect(personal).not_to_be_checked()
        await page.reload()
    assert ledger(served)[1:] == [
        ("withdrawn", "marketing", "letter"),
        ("withdrawn", "personalisation", "*"),
    ]


async def test_the_keyboard_alone_is_enough(served: Served) -> None:
    async with page_of(served) as page:
        await page.goto(f"{await link_of(served)}/preferences")
        for _ in range(2):  # the switch of language, then the first box
            await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
        for _ in range(3):  # the other boxes, then Save
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_be_visible()
    assert ledger(served)[1:] == [("withdrawn", "marketing", "letter")]


async def test_the_language_is_the_browsers_until_it_is_switched(served: Served) -> None:
    async with page_of(served, language="zh-CN") as page:
        await page.goto(f"{await link_of(served)}/preferences")
        await expect(page.get_by_role("heading", level=1)).to_have_text("消息偏好设置")
        await expect(page.get_by_role("group", name="优惠与活动").get_by_label("信件")).to_be_checked()
        await page.get_by_role("link", name="English").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Message preferences")
        await page.get_by_role("button", name="Stop all marketing messages").click()
        # It stays switched on the way through the form.
        await expect(page.get_by_role("status")).to_have_text("Your choices are saved.")
    assert ledger(served)[1:] == [("withdrawn", "marketing", "*")]


async def test_every_text_can_be_read_and_every_box_has_a_name(served: Served) -> None:
    async with page_of(served, scripts=True) as page:
        link = await link_of(served)
        for path in (link, f"{link}/preferences"):
            await page.goto(path)
            for text, contrast in await page.evaluate(CONTRASTS):
                assert contrast >= 4.5, text
        for box in await page.get_by_role("checkbox").all():
            assert await box.evaluate("node => node.labels.length") == 1
        await page.set_viewport_size({"width": 320, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
