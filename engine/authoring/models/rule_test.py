"""A `.test.yaml` file: people, what happens to them, and what a ruleset must make of it."""

from __future__ import annotations

from pydantic import Field, model_validator

from engine.authoring.models.acts import ActEntry
from engine.authoring.models.expectations import ExpectEntry
from engine.authoring.models.fields import Id, Items, Texts
from engine.authoring.models.happenings import AnswerEntry, HappeningEntry, PastEntry, SaidCallEntry
from engine.authoring.models.moments import Moment, StartMoment
from engine.authoring.models.part import Part
from engine.authoring.models.people import PersonEntry
from engine.authoring.models.refusing import refuse


class RuleTestEntry(Part):
    """One test: who it is about, what happens, and what must come of it."""

    name: str = Field(
        title="名称",
        description="What the ruleset promises, in a sentence.\n用一句话写明规则承诺了什么。",
        examples=["新客三天内收到两条消息"],
        min_length=1,
        max_length=200,
    )
    contact: PersonEntry | None = Field(
        None,
        title="联系人",
        description=(
            "The contact; keys that are not said here are taken from 'contact' of the file.\n"
            "测试的联系人；没写的键取自文件的 contact。"
        ),
    )
    contacts: dict[Id, PersonEntry] = Field(
        {},
        title="多个联系人",
        description=(
            "Several contacts by name, instead of 'contact'.\n多位联系人，按名字列出，代替 contact。"
        ),
        examples=[{"anna": {"tags": ["vip"]}, "ben": {}}],
    )
    start: StartMoment | None = Field(
        None,
        title="开始时刻",
        description="When this test starts, if not when the file says.\n本测试的开始时刻；不写则用文件的。",
    )
    until: Moment | None = Field(
        None,
        title="结束",
        description=(
            "How long this test lasts, if not as long as the file says.\n本测试持续多久；不写则用文件的。"
        ),
    )
    history: Items[PastEntry] = Field(
        (),
        title="历史",
        description=(
            "What happened before the start: it counts, and starts no journey.\n"
            "开始之前发生的事：计入事实，但不触发旅程。"
        ),
        examples=[[{"ago": "100d", "event": "order_paid"}]],
    )
    events: Items[HappeningEntry] = Field(
        (),
        title="事件",
        description="What happens during the test, in any order.\n测试期间发生的事。",
        examples=[[{"at": "0d", "event": "contact_added"}]],
    )
    acts: Items[ActEntry] = Field(
        (),
        title="运营操作",
        description=(
            "What operators do during the test: plans switched on and off, breakers tripped and reset, "
            "contacts merged.\n"
            "测试期间的运营操作：启用、关闭预案，触发、复位熔断器，合并联系人。"
        ),
        examples=[[{"at": "2d", "plan_on": "holiday"}]],
    )
    answers: Items[AnswerEntry] = Field(
        (),
        title="人工回答",
        description=(
            "What people answer to tasks, in any order; a task without one expires.\n"
            "人员对任务的回答；没有回答的任务到时限即过期。"
        ),
        examples=[[{"at": "2h", "task": "call_back", "choice": "solved"}]],
    )
    calls: Items[SaidCallEntry] = Field(
        (),
        title="动作结果",
        description=(
            "How calls of actions end that are not simply done.\n动作调用的结果；不写则全部视为完成。"
        ),
        examples=[[{"call": "give_points", "outcome": "failed"}]],
    )
    expect: Items[ExpectEntry] = Field(
        title="预期",
        description=(
            "Everything that is sent or given to people, and what else matters; [] when nothing is.\n"
            "预期发出的全部消息和交给人工的任务，以及其他要点；都没有时写 []。"
        ),
        examples=[[{"at": "0d", "send": "hello"}], []],
    )

    @model_validator(mode="after")
    def _is_about_somebody(self) -> RuleTestEntry:
        if self.contact is not None and self.contacts:
            message = "'contact' and 'contacts' exclude each other"
            raise refuse("RS055", message, "move the first into 'contacts'", at=("contacts",))
        return self


class RuleTestFile(Part):
    """Tests of a ruleset, beside it: `welcome.test.yaml` beside `welcome.yaml`."""

    ruleset: Texts = Field(
        title="被测文件",
        description=(
            "File under test, seen from this one: a journey runs alone (or those in a list together); "
            "any other file is tested with all journeys.\n"
            "被测文件（相对本文件）：旅程单独或与列表中的一起运行；其他文件与所有旅程一起测试。"
        ),
        examples=["welcome.yaml"],
        min_length=1,
    )
    description: str = Field(
        "",
        title="说明",
        description=(
            "Why these tests exist, for whoever edits them next.\n为什么有这些测试，写给下一位编辑者。"
        ),
        max_length=5000,
    )
    start: StartMoment = Field(
        title="开始时刻",
        description=(
            'As "2026-03-01T09:00:00+08:00"; without a zone it is read on the workspace\'s clock.\n'
            "测试开始的时刻；不带时区则以工作区时钟为准。"
        ),
    )
    until: Moment = Field(
        title="结束",
        description="How long every test lasts, from its start.\n每个测试从开始起持续多久。",
        examples=["60d"],
    )
    contact: PersonEntry = Field(
        PersonEntry(),
        title="联系人",
        description="What all contacts of this file have in common.\n本文件所有联系人共有的设置。",
        examples=[{"consents": ["marketing"], "identities": {"email": "a@example.com"}}],
    )
    tests: Items[RuleTestEntry] = Field(
        title="测试",
        description=(
            "The tests, each with a contact and a clock of its own.\n测试列表，每个都有自己的联系人与时钟。"
        ),
        min_length=1,
    )
