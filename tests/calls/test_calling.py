"""Calls of actions on both databases: done, failed, tried again, halted, raced for, cut off by a crash."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlmodel import col

from engine.calls.rows import LEASE, PLANNED_FOR
from engine.calls.service import Calls
from engine.governance.control import kill, unkill
from engine.plugin import Done, Failed, Retry, Unknown
from engine.store.tables import CallRow, ContactRow, DecisionRow, IdentityRow

if TYPE_CHECKING:
    from tests.calls.conftest import Ground

MINUTE = timedelta(minutes=1)


async def test_a_call_that_is_done_leads_on_and_its_results_are_facts(ground: Ground) -> None:
    ground.publish()
    ground.action.script.append(Done({"balance": 150, "secret": "not kept"}))
    (carried,) = await ground.feed(order_id="o1")
    assert carried.outcome == "completed"
    assert ground.tags() == {"rich"}
    assert ground.call().results == {"balance": 150}
    assert ground.run().variables["calls"] == {"give": "done"}
    assert ground.run().variables["results"] == {"give": {"balance": 150}}
    (made,) = ground.action.calls
    assert made.call.values.model_dump() == {"points": 50}
    assert (made.call.journey, made.call.step, made.call.run_id) == ("gift", "give", ground.run().id)
    assert made.call.variables["event"]["order_id"] == "o1"
    assert ground.reasons() == ["call.done"]


async def test_a_result_of_another_type_stays_unknown(ground: Ground) -> None:
    ground.publish()
    ground.action.script.append(Done({"balance": "many"}))
    await ground.feed()
    assert ground.tags() == set()
    assert ground.run().variables["results"] == {"give": {}}


async def test_a_call_that_cannot_be_done_goes_the_other_way(ground: Ground) -> None:
    ground.publish()
    ground.action.script.append(Failed("no_account"))
    await ground.feed()
    assert ground.tags() == {"sorry"}
    assert ground.call().code == "no_account"
    assert ground.reasons() == ["call.failed"]


AT_MAIL = """
    kind: actions
    id: actions
    title: actions
    owner: us
    actions:
      - {id: points, plugin: recording, identity: email}
    """


async def test_an_action_is_told_the_address_on_the_platform_that_is_named_for_it(ground: Ground) -> None:
    ground.publish(**{"actions.yaml": AT_MAIL})
    with ground.store.begin() as session:
        session.add(ContactRow(id="ann", created_at=ground.clock.now()))
        for age, address in ((2, "old@example.com"), (1, "ann@example.com")):
            since = ground.clock.now() - age * MINUTE
            session.add(IdentityRow(platform="email", address=address, contact_id="ann", added_at=since))
    await ground.feed(contact_id="ann")
    (made,) = ground.action.calls
    assert made.call.address == "ann@example.com", "the latest, as messages go to it"
    assert ground.reasons() == ["call.done"]


async def test_a_call_about_an_address_that_the_contact_does_not_have_is_not_made(ground: Ground) -> None:
    ground.publish(**{"actions.yaml": AT_MAIL})
    await ground.feed()
    assert ground.action.calls == []
    assert ground.tags() == {"sorry"}
    assert ground.reasons() == ["channel.no_identity"]
    assert ground.call().code == "no_identity"
    with ground.store.read() as session:
        (decision,) = session.scalars(select(DecisionRow).where(col(DecisionRow.kind) == "call"))
    assert decision.evidence == {"step": "give", "action": "points", "identity": "email"}
    assert decision.would_pass_if == "the contact has an address on email"


async def test_a_call_that_is_to_come_back_is_tried_again_with_its_key(ground: Ground) -> None:
    ground.publish()
    ground.action.script += [Retry(MINUTE, "busy"), Retry(MINUTE, "busy")]
    (carried,) = await ground.feed()
    assert (carried.status, carried.waiting) == ("active", "call")
    assert ground.run().durable
    await ground.later(59 * timedelta(seconds=1))
    assert len(ground.action.calls) == 1
    await ground.later(timedelta(seconds=1))
    await ground.later(MINUTE)
    assert ground.run().outcome == "completed"
    assert len({each.key for each in ground.action.calls}) == 1
    assert len(ground.action.calls) == 3
    assert ground.reasons() == ["call.retry", "call.done"]


async def test_what_is_never_done_expires_at_its_deadline(ground: Ground) -> None:
    ground.publish()
    ground.action.script += [Retry(25 * MINUTE, "busy")] * 9
    await ground.feed()
    for _ in range(3):
        await ground.later(25 * MINUTE)
    assert ground.call().outcome == "expired"
    assert len(ground.action.calls) == 3, "no try whose pause would end after the deadline is waited for"
    assert ground.tags() == {"sorry"}
    assert ground.reasons() == ["call.retry", "call.expired"]


async def test_an_idempotent_action_that_does_not_answer_is_asked_again(ground: Ground) -> None:
    ground.publish()
    ground.action.script += [Unknown("broken"), RuntimeError("boom"), Retry(MINUTE, "busy")]
    await ground.feed()
    assert ground.call().state == "handed_over"
    for _ in range(4):
        await ground.later(MINUTE)
    assert ground.call().outcome == "done"
    assert len(ground.action.done) == 1


async def test_an_idempotent_action_that_never_answers_stays_unknown(ground: Ground) -> None:
    ground.publish()
    ground.action.script += [Unknown("broken")] * 99
    await ground.feed()
    for _ in range(20):
        await ground.later(6 * MINUTE)
    assert ground.call().outcome == "unknown"
    assert ground.tags() == {"sorry"}


async def test_an_action_that_is_not_idempotent_is_never_repeated_in_doubt(once: Ground) -> None:
    once.publish()
    once.action.script.append(Unknown("broken"))
    await once.feed()
    await once.later(MINUTE)
    assert len(once.action.calls) == 1
    assert once.call().outcome == "unknown"
    assert once.run().variables["calls"] == {"give": "unknown"}
    assert once.tags() == {"sorry"}


async def test_an_event_that_the_action_brings_about_is_heard_by_the_next_wait(ground: Ground) -> None:
    ground.publish(
        """
        enter: {event: added, reentry: never}
        steps:
          - {call: give, action: points, values: {points: 50}}
          - wait_for: granted
            event: granted
            up_to: 1d
            then: [{tag: heard, add: [heard]}]
        """
    )
    run = ground.action.run

    async def tell_first(call: object, key: str) -> object:
        ground.clock.advance(timedelta(seconds=1))
        await asyncio.to_thread(ground.accept, "granted")
        ground.clock.advance(timedelta(seconds=1))
        return await run(call, key)  # type: ignore[arg-type]

    ground.action.run = tell_first  # type: ignore[method-assign, assignment]
    await ground.feed()
    assert ground.tags() == {"heard"}


async def test_without_a_dispatcher_the_workflow_itself_tries_again(ground: Ground) -> None:
    ground.publish()
    ground.action.script.append(Retry(MINUTE, "busy"))
    (carried,) = await ground.feed()
    assert carried.due_real is not None
    ground.clock.moment = carried.due_real
    again = await ground.runs.carry(ground.run().id, durable=True)
    assert again.outcome == "completed"


async def test_the_kill_switch_holds_calls_and_lets_them_go_on(ground: Ground) -> None:
    ground.publish()
    with ground.store.begin() as session:
        kill(session, reason="drill", by="ops", now=ground.clock.now())
    await ground.feed()
    await ground.later(10 * MINUTE)
    assert ground.action.calls == []
    assert ground.reasons() == ["kill.switch"]
    with ground.store.begin() as session:
        unkill(session, by="ops", now=ground.clock.now())
    await ground.later(timedelta(0))
    assert ground.run().outcome == "completed"
    assert ground.reasons() == ["kill.switch", "call.done"]


async def test_a_held_call_expires_though_everything_is_stopped(ground: Ground) -> None:
    ground.publish()
    with ground.store.begin() as session:
        kill(session, reason="drill", by="ops", now=ground.clock.now())
    await ground.feed()
    await ground.later(timedelta(hours=1))
    assert ground.action.calls == []
    assert ground.call().outcome == "expired"


async def test_a_call_of_a_run_that_ended_is_dropped(ground: Ground) -> None:
    ground.publish()
    ground.action.script.append(Retry(MINUTE, "busy"))
    await ground.feed()
    await ground.feed("gone")
    await ground.later(2 * MINUTE)
    assert ground.run().outcome == "left"
    assert ground.call().outcome == "dropped"
    assert len(ground.action.calls) == 1
    assert ground.reasons() == ["call.retry", "run.ended"]


async def test_nothing_is_done_for_somebody_who_was_erased(ground: Ground) -> None:
    ground.publish()
    ground.action.script.append(Retry(MINUTE, "busy"))
    await ground.feed()
    with ground.store.begin() as session:
        (contact,) = session.scalars(select(ContactRow))
        contact.erased_at = ground.clock.now()
    await ground.later(MINUTE)
    assert len(ground.action.calls) == 1
    assert ground.call().reason == "suppressed.erased"


async def test_an_action_whose_plugin_is_gone_is_waited_for(ground: Ground) -> None:
    actions = """
        kind: actions
        id: actions
        title: actions
        owner: us
        actions:
          - {id: points, plugin: elsewhere}
        """
    ground.publish(**{"actions.yaml": actions})
    await ground.feed()
    assert ground.reasons() == ["call.unavailable"]
    await ground.later(timedelta(hours=1))
    assert ground.call().outcome == "expired"


async def test_many_carriers_and_dispatchers_make_one_call(once: Ground) -> None:
    once.publish()
    (run_id,) = once.accept()
    await asyncio.gather(
        *(once.runs.carry(run_id) for _ in range(6)), *(once.calls.perform_due(10) for _ in range(6))
    )
    await once.later(PLANNED_FOR)
    assert len(once.action.calls) == 1
    assert once.run().outcome == "completed"


class Death(BaseException):
    """The end of a process: nothing catches it."""


BOUNDARIES = ["_begin", "call", "_settle", "after"]


@pytest.mark.parametrize("where", BOUNDARIES)
@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_process_that_dies_loses_no_call_and_doubles_none(
    ground: Ground, where: str, idempotent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.action.idempotent = idempotent
    ground.publish()
    _die_at(ground, where, monkeypatch)
    with pytest.raises(Death):
        await ground.feed()
    monkeypatch.undo()
    await ground.later(PLANNED_FOR)
    await ground.later(LEASE)
    await ground.later(LEASE)
    assert ground.run().outcome == "completed"
    in_doubt = not idempotent and where in ("call", "_settle")
    assert ground.call().outcome == ("unknown" if in_doubt else "done")
    assert len(ground.action.done) == (0 if in_doubt and where == "call" else 1)
    assert len([each for each in ground.rows(DecisionRow) if each.kind == "run"]) == 1


def _die_at(ground: Ground, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "call":

        async def die(call: object, key: str) -> object:
            raise Death

        # Out of `call_action` as a kill would: an ordinary exception would count as an answer.
        async def killed(*_: object) -> object:
            raise Death

        monkeypatch.setattr("engine.calls.service.call_action", killed)
        return

    def before(*_: object) -> object:
        raise Death

    if where == "after":
        settle = Calls._settle

        def after(self: Calls, *args: object) -> object:
            settle(self, *args)  # type: ignore[arg-type]
            raise Death

        monkeypatch.setattr(Calls, "_settle", after)
    else:
        monkeypatch.setattr(Calls, where, before)


async def test_what_a_dead_process_left_is_counted(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.publish()
    _die_at(ground, "_settle", monkeypatch)
    with pytest.raises(Death):
        await ground.feed()
    monkeypatch.undo()
    (row,) = ground.rows(CallRow)
    assert (row.state, row.lease is not None) == ("handed_over", True)
