"""Tags of WeCom's customers (企业客户标签), put on and taken off by `call` steps.

A tag of WeCom is what members see in their client. It belongs to one member's view of a customer, and to a
group of the corporation's tags; here all stand in one group, under the names that the step gives. To put on
what is there, or to take off what is not, changes nothing, so a call may be made any number of times.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.plugin import (
    Action,
    ActionResult,
    Call,
    Clock,
    Done,
    Failed,
    Rejected,
    SystemClock,
    hookimpl,
)
from plugins.channels.http.answers import NoAnswer
from plugins.channels.http.asking import without_answer
from plugins.channels.http.tokens import NoToken
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.told_events import names_in
from plugins.channels.wecom.api import PLATFORM, WeComApi
from plugins.channels.wecom.callbacks import WeComAppSettings

_NO_SUCH_TAG, _TAKEN, _NOT_THEIR_CUSTOMER = "40068", "40071", "84061"
_MOST_PAGES = 100


class WeComTagsSettings(WeComAppSettings):
    """Which corporation, and in which group of its tags ours stand."""

    group: str = Field(
        title="标签组", default="Wayline", min_length=1, description="The group in which the tags stand."
    )
    create: bool = Field(
        title="自动新建标签",
        default=True,
        description="Whether a tag that there is not yet is made; otherwise the call fails.",
    )


class TagChange(BaseModel):
    """What a step has done to one customer's tags."""

    model_config = ConfigDict(extra="forbid")

    add: str = Field(title="添加标签", default="", description="Tags to put on, separated by commas.")
    remove: str = Field(title="移除标签", default="", description="Tags to take off, separated by commas.")
    member: str = Field(
        title="成员",
        default="",
        description="In whose view; left out: the member's whom the customer has just added, or else all.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> TagChange:
        add, remove = names_in(self.add), names_in(self.remove)
        if not add | remove:
            raise ValueError("it needs a tag to add or to remove")
        if add & remove:
            raise ValueError("one tag is both added and removed")
        most = taxonomy(PLATFORM).limit("tag_characters")
        if any(len(name) > most for name in add):
            raise ValueError(f"a tag has at most {most} characters")
        return self


class TagsChanged(BaseModel):
    """What came of it."""

    members: int = Field(description="In how many members' views.")


class WeComTags:
    """Marks the customer whose address the call names."""

    name = "wecom_tags"
    settings: type[BaseModel] = WeComTagsSettings
    values: type[BaseModel] = TagChange
    results: type[BaseModel] = TagsChanged
    idempotent = True
    nonblocking = True

    def __init__(self, configuration: WeComTagsSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Dates tokens."""
        self._api = None if configuration is None else WeComApi(configuration, self.clock)
        self._ids: dict[str, str] = {}
        """The tags of the group, by name."""

    def configured(self, settings: BaseModel) -> Action:
        assert isinstance(settings, WeComTagsSettings)
        return WeComTags(settings, self.clock)

    async def run(self, call: Call, idempotency_key: str) -> ActionResult:
        settings, api = self._configuration, self._api
        if settings is None or api is None:
            return Failed("not_configured", "this action was offered, not configured")
        assert isinstance(call.values, TagChange)
        if not call.address:
            return Failed("no_identity", "the ruleset names no `identity` for this action")
        try:
            return await self._changed_surely(api, settings, call, call.values)
        except NoToken as error:
            return api.without_token(error)
        except NoAnswer as error:
            return without_answer(error, settings.retry_after)
        except _Refused as error:
            refusal = api.refusal(error.code)
            return Failed(refusal.code, refusal.detail) if isinstance(refusal, Rejected) else refusal

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()

    async def _changed_surely(
        self, api: WeComApi, settings: WeComTagsSettings, call: Call, told: TagChange
    ) -> ActionResult:
        """`_changed`, and once more where somebody has deleted a tag since its id was asked for."""
        try:
            return await self._changed(api, settings, call, told)
        except _Refused as error:
            if error.code != _NO_SUCH_TAG:
                raise
        self._ids.clear()
        return await self._changed(api, settings, call, told)

    async def _changed(
        self, api: WeComApi, settings: WeComTagsSettings, call: Call, told: TagChange
    ) -> ActionResult:
        add, remove = sorted(names_in(told.add)), sorted(names_in(told.remove))
        await self._learn(api, settings, (*add, *remove))
        missing = [name for name in add if name not in self._ids]
        if missing and not settings.create:
            return Failed("no_such_tag", f"the group {settings.group!r} has no tag {missing[0]!r}")
        if missing:
            await self._make(api, settings, missing)
        marks = {
            "external_userid": call.address,
            "add_tag": [self._ids[name] for name in add],
            "remove_tag": [self._ids[name] for name in remove if name in self._ids],
        }
        if not marks["add_tag"] and not marks["remove_tag"]:
            return Done({"members": 0})
        member = told.member or _who_came_to(call.variables)
        members = [member] if member else [each async for each in _members(api, call.address)]
        changed, code = 0, _NOT_THEIR_CUSTOMER
        for each in members:
            code, _ = await api.call("/cgi-bin/externalcontact/mark_tag", {"userid": each, **marks})
            if code not in ("0", _NOT_THEIR_CUSTOMER):
                raise _Refused(code)
            changed += code == "0"
        if not changed:
            raise _Refused(code)
        return Done({"members": changed})

    async def _learn(self, api: WeComApi, settings: WeComTagsSettings, names: Sequence[str]) -> None:
        """Ask which tags the group has, unless all of these are known."""
        if all(name in self._ids for name in names):
            return
        code, said = await api.call("/cgi-bin/externalcontact/get_corp_tag_list", {})
        if code != "0":
            raise _Refused(code)
        groups = [group for group in said.get("tag_group") or () if group.get("group_name") == settings.group]
        self._ids = _ids_in(groups)

    async def _make(self, api: WeComApi, settings: WeComTagsSettings, names: Sequence[str]) -> None:
        wanted = {"group_name": settings.group, "tag": [{"name": name} for name in names]}
        code, said = await api.call("/cgi-bin/externalcontact/add_corp_tag", wanted)
        if code == "0":
            self._ids |= _ids_in([said.get("tag_group") or {}])
        elif code == _TAKEN:
            # Somebody else was quicker.
            await self._learn(api, settings, names)
        if not all(name in self._ids for name in names):
            raise _Refused(code if code != "0" else _NO_SUCH_TAG)


class _Refused(Exception):
    """The platform refused a part of it, and nothing more was asked."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _ids_in(groups: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    tags = [tag for group in groups if not group.get("deleted") for tag in group.get("tag") or ()]
    return {str(tag["name"]): str(tag["id"]) for tag in tags if not tag.get("deleted")}


def _who_came_to(variables: Mapping[str, Any]) -> str:
    """The member whom the customer has just added, where that began the journey."""
    event = variables.get("event")
    if not isinstance(event, Mapping) or event.get("type") != "contact_added":
        return ""
    member = event.get("member")
    return member if isinstance(member, str) else ""


async def _members(api: WeComApi, customer: str) -> AsyncIterator[str]:
    """Everybody whose customer it is."""
    cursor = ""
    for _ in range(_MOST_PAGES):
        asked = {"external_userid": customer, **({"cursor": cursor} if cursor else {})}
        code, said = await api.call("/cgi-bin/externalcontact/get", query=asked)
        if code != "0":
            raise _Refused(code)
        for each in said.get("follow_user") or ():
            yield str(each["userid"])
        cursor = said.get("next_cursor") or ""
        if not cursor:
            return


@hookimpl
def register_actions() -> Iterable[Action]:
    return [WeComTags()]
