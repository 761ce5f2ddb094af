"""The tags of WeCom's customers against a platform with members, their customers, and groups of tags."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from engine.plugin import Call, Clock, Done, Failed, Retry, Unknown
from engine.plugin.testing import FixedClock, check_action
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.wecom.tags import TagChange, WeComTags, WeComTagsSettings
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request
from tests.ports import free_port

CORP, SECRET = "wx5823bf96d3bd56c7", "secret-of-the-app"
GROUP = "旅程"


@dataclass
class Tag:
    """One of the corporation's tags."""

    id: str
    name: str
    deleted: bool = False


@dataclass
class WeCom:
    """The platform: who is whose customer, the groups of tags, and what each member put on each customer."""

    customers: dict[str, list[str]] = field(
        default_factory=lambda: {"wm_anna": ["zhang", "li"], "wm_ben": ["zhang"]}
    )
    groups: dict[str, list[Tag]] = field(default_factory=dict)
    marked: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """Names of tags, by member and customer."""
    asked: list[str] = field(default_factory=list)
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    """What is answered instead, by interface; one that drops is worked on."""
    tokens: int = 0
    made: int = 0

    def answer(self, request: Request) -> Reply:
        if request.path == "/cgi-bin/gettoken":
            self.tokens = 1  # the same for all who ask
            return Reply({"errcode": 0, "access_token": f"token-{self.tokens}", "expires_in": 7200})
        if request.query.get("access_token") != f"token-{self.tokens}":
            return Reply({"errcode": 40014})
        name = request.path.removeprefix("/cgi-bin/externalcontact/")
        self.asked.append(name)
        if self.replies.get(name):
            reply = self.replies[name].pop(0)
            if reply.drop:
                self._said(name, request)
            return reply
        return Reply(self._said(name, request))

    def _said(self, name: str, request: Request) -> dict[str, Any]:
        match name:
            case "get_corp_tag_list":
                return {"errcode": 0, "tag_group": [self._group(each) for each in self.groups]}
            case "add_corp_tag":
                return self._add(request.data)
            case "get":
                members = self.customers.get(request.query["external_userid"])
                if members is None:
                    return {"errcode": 40096}
                at = int(request.query.get("cursor", "0"))
                rows = [{"userid": each} for each in members[at : at + 1]]
                following = str(at + 1) if at + 1 < len(members) else ""
                return {"errcode": 0, "follow_user": rows, "next_cursor": following}
            case "mark_tag":
                return self._mark(request.data)
        return {"errcode": 48002}

    def _add(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        group = self.groups.setdefault(asked["group_name"], [])
        wanted = [each["name"] for each in asked["tag"]]
        if {each.name for each in group if not each.deleted} & set(wanted):
            return {"errcode": 40071}
        self.made += len(wanted)
        new = [Tag(f"et-{asked['group_name']}-{name}-{self.made}", name) for name in wanted]
        group += new
        return {
            "errcode": 0,
            "tag_group": {**self._group(asked["group_name"]), "tag": [vars(each) for each in new]},
        }

    def _mark(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        member, customer = asked["userid"], asked["external_userid"]
        if member not in self.customers.get(customer, ()):
            return {"errcode": 84061}
        if not asked["add_tag"] and not asked["remove_tag"]:
            return {"errcode": 40058}
        known = {tag.id: tag.name for group in self.groups.values() for tag in group if not tag.deleted}
        if not {*asked["add_tag"], *asked["remove_tag"]} <= set(known):
            return {"errcode": 40068}
        view = self.marked.setdefault((member, customer), set())
        view |= {known[each] for each in asked["add_tag"]}
        view -= {known[each] for each in asked["remove_tag"]}
        return {"errcode": 0, "errmsg": "ok"}

    def _group(self, name: str) -> dict[str, Any]:
        tags = [vars(each) for each in self.groups[name]]
        return {"group_id": f"g-{name}", "group_name": name, "deleted": False, "tag": tags}


@pytest.fixture
def platform() -> WeCom:
    return WeCom(groups={"手工": [Tag("et-0", "vip")]})


def settings_at(url: str, **others: Any) -> dict[str, Any]:
    return {"corp_id": CORP, "secret": SECRET, "group": GROUP, "base": url, **others}


def action_at(url: str, clock: Clock | None = None, **others: Any) -> WeComTags:
    return WeComTags(WeComTagsSettings.model_validate(settings_at(url, **others)), clock or FixedClock(NOW))


def call(whom: str = "wm_anna", event: Mapping[str, Any] | None = None, **values: str) -> Call:
    told = TagChange.model_validate(values)
    return Call(told, "c-1", "welcome", "mark", "r-1", {"event": dict(event or {"type": "order_paid"})}, whom)


class _ForAnna(WeComTags):
    """The action, as a ruleset with `identity: wecom` has it called."""

    async def run(self, call: Call, idempotency_key: str) -> Any:
        return await super().run(replace(call, address="wm_anna"), idempotency_key)


def test_it_keeps_the_contract(platform: WeCom, url: str) -> None:
    action = _ForAnna(WeComTagsSettings.model_validate(settings_at(url)), FixedClock(NOW))
    check_action(action, values={"add": "vip, 复购"})


async def test_a_tag_is_put_on_in_the_view_of_every_member_and_taken_off_again(
    platform: WeCom, url: str
) -> None:
    action = action_at(url)
    assert await action.run(call(add="vip, 复购"), "k1") == Done({"members": 2})
    assert platform.marked == {
        ("zhang", "wm_anna"): {"vip", "复购"},
        ("li", "wm_anna"): {"vip", "复购"},
    }
    assert [tag.name for tag in platform.groups[GROUP]] == ["vip", "复购"], "in a group of their own"
    assert await action.run(call(add="沉睡", remove="vip"), "k2") == Done({"members": 2})
    assert platform.marked["zhang", "wm_anna"] == {"复购", "沉睡"}
    assert platform.asked.count("get_corp_tag_list") == 2, "asked again for a name that is new"
    await action.close()


async def test_the_same_call_made_often_changes_nothing_more(platform: WeCom, url: str) -> None:
    action, another = action_at(url), action_at(url)
    for each in (action, another, action):
        assert await each.run(call(add="vip", remove="新客"), "k1") == Done({"members": 2})
    assert platform.marked["li", "wm_anna"] == {"vip"}
    assert len(platform.groups[GROUP]) == 1
    await action.run(call(remove="没有的"), "k2")
    assert platform.asked[-1] == "get_corp_tag_list", "there is nothing to take off"
    await action.close()
    await another.close()


async def test_of_many_who_need_a_new_tag_one_makes_it(platform: WeCom, url: str) -> None:
    actions = [action_at(url) for _ in range(4)]
    done = await asyncio.gather(*(each.run(call(add="vip"), str(n)) for n, each in enumerate(actions)))
    assert done == [Done({"members": 2})] * 4
    assert [tag.name for tag in platform.groups[GROUP]] == ["vip"]
    for each in actions:
        await each.close()


async def test_only_the_member_whom_the_customer_has_just_added_puts_it_on(platform: WeCom, url: str) -> None:
    action = action_at(url)
    came = {"type": "contact_added", "member": "li"}
    assert await action.run(call(event=came, add="vip"), "k1") == Done({"members": 1})
    assert await action.run(call(event={**came, "type": "visited"}, add="b"), "k2") == Done({"members": 2})
    assert await action.run(call(event=came, add="c", member="zhang"), "k3") == Done({"members": 1})
    assert platform.marked == {("li", "wm_anna"): {"vip", "b"}, ("zhang", "wm_anna"): {"b", "c"}}
    await action.close()


async def test_a_member_who_lost_the_customer_does_not_hold_up_the_others(platform: WeCom, url: str) -> None:
    action = action_at(url)
    platform.replies["mark_tag"] = [Reply({"errcode": 84061})]
    assert await action.run(call(add="vip"), "k1") == Done({"members": 1})
    told = await action.run(call(add="vip", member="wang"), "k2")
    assert isinstance(told, Failed)
    assert (told.code, told.detail.split(":")[0]) == ("84061", "not_reachable")
    told = await action.run(call("wm_stranger", add="vip"), "k3")
    assert isinstance(told, Failed)
    assert told.code == "40096"
    await action.close()


async def test_without_leave_to_make_tags_a_new_one_fails(platform: WeCom, url: str) -> None:
    action = action_at(url, create=False)
    told = await action.run(call(add="vip"), "k1")
    assert told == Failed("no_such_tag", f"the group {GROUP!r} has no tag 'vip'")
    platform.groups[GROUP] = [Tag("et-9", "vip")]
    assert await action.run(call(add="vip"), "k2") == Done({"members": 2})
    await action.close()


async def test_a_tag_that_somebody_deleted_is_made_again(platform: WeCom, url: str) -> None:
    action = action_at(url)
    await action.run(call(add="vip"), "k1")
    platform.groups[GROUP][0].deleted = True
    assert await action.run(call(add="vip"), "k2") == Done({"members": 2})
    assert [tag.deleted for tag in platform.groups[GROUP]] == [True, False]
    await action.close()


async def test_what_refusals_and_silence_come_to(platform: WeCom, url: str) -> None:
    action = action_at(url)
    await action.run(call(add="vip"), "k")
    platform.replies["mark_tag"] = [
        Reply({"errcode": 45009}),
        Reply({"errcode": 48002}),
        Reply({"errcode": 40072}),
        Reply({}, 502),
        Reply(drop=True),
    ]
    busy = await action.run(call(add="vip"), "k")
    assert isinstance(busy, Retry)
    assert (busy.after, busy.code) == (timedelta(minutes=1), "45009")
    assert isinstance(await action.run(call(add="vip"), "k"), Retry), "whoever gives the right still wants it"
    assert isinstance(await action.run(call(add="vip"), "k"), Failed)
    assert isinstance(await action.run(call(add="vip"), "k"), Unknown)
    assert isinstance(await action.run(call(add="vip"), "k"), Unknown)
    assert await action.run(call(add="vip"), "k") == Done({"members": 2})
    nobody = await action.run(call("", add="vip"), "k")
    assert isinstance(nobody, Failed)
    assert nobody.code == "no_identity"
    await action.close()
    away = action_at(f"http://127.0.0.1:{free_port()}")
    assert isinstance(await away.run(call(add="vip"), "k"), Retry)
    unset = await WeComTags().run(call(add="vip"), "k")
    assert isinstance(unset, Failed)
    assert unset.code == "not_configured"


async def test_a_corporation_with_all_the_tags_there_can_be_is_read(platform: WeCom, url: str) -> None:
    platform.groups = {GROUP: [Tag(f"etxxxxxxxxxxxxxxxxxxxxxxxxxx{n}", f"标签 {n}") for n in range(3000)]}
    action = action_at(url, create=False)
    assert await action.run(call(add="标签 2999"), "k") == Done({"members": 2})
    await action.close()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "a tag to add or to remove"),
        ({"add": " , "}, "a tag to add or to remove"),
        ({"add": "vip, b", "remove": "vip"}, "both added and removed"),
        ({"add": "签" * 31}, "at most 30"),
        ({"tags": "vip"}, "Extra inputs"),
    ],
)
def test_a_step_that_says_nothing_sensible_is_refused_where_it_is_written(
    values: dict[str, str], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        TagChange.model_validate(values)
    assert taxonomy("wecom").limit("tag_characters") == 30
