"""Why somebody entered, stayed out or left: conditions by file and line, and what would have turned them."""

from __future__ import annotations

from typing import Any

from engine.delivery import explaining, rendering
from engine.store.tables import DecisionRow

CHOOSY = """
    enter:
      event: paid
      when:
        all:
          - event.amount: {gte: 100, lt: 900}
          - any:
              - contact.order_count: {gte: 2}
              - contact.tags: {has: vip}
      reentry: always
    leave:
      - event: viewed
        when: {event.price: {gt: 50}}
    steps: [{wait: w, for: 1d}]
    """


def told(spine: Any, reason: str) -> str:
    with spine.store.read() as session:
        found = explaining.explain_contact(session, spine.shelf, spine.rows(DecisionRow)[0].contact_id)
    return rendering.render_decisions([each for each in found if each.reason == reason])


async def test_a_refusal_shows_its_conditions_and_the_smallest_change(spine: Any) -> None:
    spine.publish(choosy=CHOOSY)
    await spine.feed("paid", amount=40)
    assert (
        told(spine, "entry.no_match")
        == """\
2026-05-04 03:00:00Z  entry choosy
  - skip: entry.no_match  2026-05-04 03:00:00Z  choosy.yaml:9
      the journey's condition did not hold
      event_id: m1
      - all of
        - event.amount  (was 40, wanted gte 100)  choosy.yaml:11
        + event.amount  (was 40, wanted lt 900)  choosy.yaml:11
        - any of
          - contact.order_count  (was 1, wanted gte 2)  choosy.yaml:13
          - contact.tags  (was without labels, wanted has vip)  choosy.yaml:14
      it would have come out otherwise if event.amount had been 100 or more
        and contact.order_count had been 2 or more
      can be changed by operations staff
"""
    )


async def test_an_entry_and_a_leave_show_what_let_them_happen(spine: Any) -> None:
    spine.publish(choosy=CHOOSY)
    await spine.feed("paid", amount=40)
    await spine.feed("paid", amount=140)
    await spine.feed("viewed", price=80)
    entered, left = told(spine, "entry.entered").splitlines(), told(spine, "run.left").splitlines()
    assert "        + event.amount  (was 140, wanted gte 100)  choosy.yaml:11" in entered
    assert "      it would have come out otherwise if event.amount had been 900 or more" in entered
    assert "      + event.price  (was 80, wanted gt 50)  choosy.yaml:18" in left
    assert "      it would have come out otherwise if event.price had been 50 or less" in left


async def test_a_branch_shows_the_cases_that_decided_it(spine: Any) -> None:
    spine.publish(
        forked="""
        enter: {event: paid, reentry: always}
        steps:
          - branch: worth
            cases:
              - when: {contact.total_spent: {gte: 500}}
                steps: [{send: gold, content: text, channels: [email]}]
              - when: {contact.total_spent: {gte: 50}}
                steps: [{send: silver, content: text, channels: [email]}]
            else: [{send: small, content: text, channels: [email]}]
        """
    )
    await spine.feed("paid", amount=80)
    with spine.store.read() as session:
        story = explaining.explain_intent(session, spine.shelf, spine.intent("silver").key)
    assert "\n".join(rendering.render(story).splitlines()[2:]).startswith(
        """\
  + forked enter  2026-05-04 03:00:00Z
  + branch worth went to case 2  2026-05-04 03:00:00Z
      - contact.total_spent  (was 80, wanted gte 500)  forked.yaml:11
      it would have come out otherwise if contact.total_spent had been 500 or more
      + contact.total_spent  (was 80, wanted gte 50)  forked.yaml:13
      it would have come out otherwise if contact.total_spent had been less than 50"""
    )
    assert spine.reasons("branch") == ["run.branched"]


async def test_reasons_are_those_of_the_version_that_decided(spine: Any) -> None:
    spine.publish(choosy=CHOOSY)
    await spine.feed("paid", amount=40)
    before = told(spine, "entry.no_match")
    spine.publish(choosy=CHOOSY.replace("gte: 100", "gte: 10"))
    assert told(spine, "entry.no_match") == before
