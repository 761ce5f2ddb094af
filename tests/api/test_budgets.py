"""Budgets over HTTP."""

from __future__ import annotations

from datetime import datetime
from textwrap import dedent

from engine.governance.publishing import publish
from engine.services import Services
from tests.api.conftest import NOW, Site, workspace

BUDGET = """
    kind: budgets
    id: budgets
    title: budgets
    owner: tests
    budgets:
      - id: letters
        unit: money
        currency: EUR
        cost: 0.85
        pays_for: {}
        limit: 100.10
        window: {calendar: month, timezone: workspace}
        shares: [{id: paid, share: 30%, when: {contact.order_count: {gte: 1}}}]
        when_spent: skip
        return: {event: bought, amount: price, within: 7d, period: 1d, periods: 7, unstable_above: 12%}
    """
EVENTS = """
    kind: events
    id: returns
    title: returns
    owner: tests
    events: [{id: bought, title: bought, schema: {type: object, properties: {price: {type: number}}}}]
    """


def with_budget(site: Site) -> None:
    services: Services = site.app.state.services
    files = workspace(site.letters)
    files["wayline.yaml"] += "currencies: {EUR: {decimals: 2}}\n"
    with services.store.begin() as session:
        more = {"budgets.yaml": dedent(BUDGET), "returns.yaml": dedent(EVENTS)}
        publish(session, {**files, **more}, by="tests", now=NOW)


async def test_a_budget_says_what_it_allows_now_and_when_more(site: Site) -> None:
    with_budget(site)
    (found,) = (await site.ask("GET", "/v1/budgets")).json()["budgets"]
    assert found["budget"] == "letters"
    assert found["limit"] == "100.10 EUR"
    assert (found["state"], found["spent"], found["held"]) == ("open", "0.00 EUR", "0.00 EUR")
    assert {share["share"]: share["allocated"] for share in found["shares"]} == {
        "paid": "30.03 EUR",
        "others": "70.07 EUR",
    }
    starts, ends, coming = (
        datetime.fromisoformat(moment) for moment in (*found["window"].values(), found["next_at"])
    )
    assert starts < NOW < coming <= ends
    assert (await site.ask("GET", "/v1/budgets/letters")).json() == found


async def test_a_budget_that_nobody_wrote_is_not_found(sqlite_site: Site) -> None:
    with_budget(sqlite_site)
    refused = await sqlite_site.ask("GET", "/v1/budgets/nothing")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert "known are letters" in refused.json()["detail"]


async def test_a_share_is_halted_and_resumed_and_says_so(sqlite_site: Site) -> None:
    with_budget(sqlite_site)
    told = {"share": "paid", "reason": "wrong figures"}
    for verb, state in (("halt", "halted"), ("resume", "going")):
        answered = await sqlite_site.ask("POST", f"/v1/budgets/letters/{verb}", json=told)
        assert answered.json() == {"budget": "letters", "share": "paid", "state": state, "changed": True}
        found = (await sqlite_site.ask("GET", "/v1/budgets/letters")).json()
        shares = {share["share"]: share for share in found["shares"]}
        assert (shares["paid"]["state"], shares["others"]["state"]) == (state, "going")
        assert shares["paid"]["return"] is None
    refused = await sqlite_site.ask("POST", "/v1/budgets/letters/halt", json={"share": "piad"})
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
