"""Checks and their word lists: what a text must not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Date, Id, Items, Scalar, Wording
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse

Words = Annotated[Items[Wording], Field(min_length=1)]
"""Words of which one is looked for; without any, nothing would ever be found."""
NUMERALS = frozenset({"<number>", "<percent>"})
"""Parts that stand for numbers; no group can be called so."""


class CheckEntry(Part):
    """One check that every matching message must pass before it leaves."""

    id: Id = Field(
        title="编号",
        description="The check's name, as decisions cite it.\n检查的编号，决策记录中引用它。",
        examples=["ad_law"],
    )
    plugin: Id = Field(
        title="插件",
        description=(
            "The plugin that checks; `wayline plugins` lists them.\n执行检查的插件；用 wayline plugins 查看。"
        ),
        examples=["lexicon"],
    )
    lexicons: Items[Id] = Field(
        (),
        title="词库",
        description="Word lists that it goes by, by their id.\n检查所用词库的编号。",
        examples=[["ad_law_zh"]],
    )
    purposes: Items[Id] = Field(
        (),
        title="适用用途",
        description="Only messages of these purposes; empty: all.\n只检查这些用途的消息；不写则全部。",
        examples=[["marketing"]],
    )
    channels: Items[Id] = Field(
        (),
        title="适用渠道",
        description="Only messages on these channels; empty: all.\n只检查这些渠道的消息；不写则全部。",
        examples=[["sms"]],
    )
    settings: dict[str, Scalar] = Field(
        {},
        title="设置",
        description=(
            "The plugin's settings; `wayline plugins` lists them. Left out: its defaults.\n"
            "插件的设置；不写则用默认值。"
        ),
    )


class ChecksFile(Head):
    """Which checks run."""

    kind: Literal["checks"] = Field(
        title="种类",
        description=(
            "Always checks: this file says which checks run.\n固定写 checks：本文件定义要执行的检查。"
        ),
    )
    checks: Items[CheckEntry] = Field(
        title="检查",
        description="The checks, in the order in which they run.\n检查列表，按顺序执行。",
        min_length=1,
    )


class TermEntry(Part):
    """One word or phrase and what follows from it."""

    term: Wording = Field(
        title="词语",
        description=(
            "The word or phrase, in its normal writing; with 'parts': what they are called together.\n"
            "词或短语的标准写法；写了 parts 时，是这一类说法的名称。"
        ),
        examples=["最佳"],
        min_length=1,
        max_length=200,
    )
    severity: Literal["info", "warn", "block"] = Field(
        title="严重程度",
        description=(
            "block stops the message; warn and info are recorded with it.\n"
            "block 阻止发送；warn 和 info 只随消息记录。"
        ),
    )
    law: str = Field(
        "",
        title="依据",
        description=(
            "The law or platform rule behind it, for whoever reads the finding.\n所依据的法律或平台规则。"
        ),
        examples=["广告法第九条"],
        max_length=500,
    )
    suggestion: str = Field(
        "",
        title="建议",
        description="What to write instead, told with the finding.\n建议改写成什么，随检查结果提示。",
        examples=["优选"],
        max_length=500,
    )
    exempt_when: Items[Wording] = Field(
        (),
        title="豁免",
        description=(
            "Longer texts around the term that make it harmless: 最近 for 最.\n包含该词但无害的更长文字。"
        ),
        examples=[["最近"]],
    )

    parts: Items[Items[Wording]] = Field(
        (),
        title="组成",
        description=(
            "A way of speaking in place of one word: a word of each of these lists, in this order. '<name>'"
            " stands for the words of a group of this file; alone in its list, '<number>' for any number and"
            " '<percent>' for any share of a hundred.\n"
            "一类说法，而不是一个词：依次出现每组中的一个词。<名称> 代表本文件 groups 中的一组词；单独一组的"
            " <number> 代表任何数字，<percent> 代表任何百分比。"
        ),
        examples=[[["全网", "全国"], ["最低", "第一"]], [["<number>"], ["天", "周"], ["见效"]]],
    )
    gap: int = Field(
        0,
        title="间隔",
        description=(
            "Characters that may stand between two parts, blanks not counted.\n"
            "两部分之间最多可以隔几个字，空格不计。"
        ),
        examples=[4],
        ge=0,
        le=20,
    )
    languages: Items[Id] = Field(
        (),
        title="语言",
        description=(
            "In texts of which of the 47 languages that are told apart the term counts, where it means"
            " something else in another: Swedish 'fitta' is Italian for dense. Without it, in every text. A"
            " text too short to tell is taken to be in the locale of its content; where that is unknown or"
            " is written in other letters, as Chinese is, the term warns at most.\n"
            "该词只在哪些语言的文本中算数（检查 language 能分辨的四十七种），用于在别的语言里另有平常意思的"
            "词；不写则在任何文本中都算数。文本太短、看不出语言时，以内容的 locale 为准；locale 未知，或用"
            "另一种文字书写（例如中文）时，最多为 warn。"
        ),
        examples=[["sv"], ["es", "pt"]],
    )
    only_with: Items[Wording] = Field(
        (),
        title="须同时出现",
        description=(
            "Says something only where one of these words stands in the same sentence, before or behind it;"
            " where the sentence says the same topic outright, it is told as information. '<name>' stands for"
            " the words of a group of this file.\n"
            "只有同一句中（前后均可）还出现其中一个词时才算；同一句已明说同一主题时，只作提示。"
            "<名称> 代表本文件 groups 中的一组词。"
        ),
        examples=[["减肥", "祛斑"]],
    )
    topic: Id | None = Field(
        None,
        title="主题",
        description=(
            "What the term is about; findings are called lexicon.<list>.<topic>.\n"
            "该词所属的主题；检查结果的代码写作 lexicon.<词库>.<主题>。"
        ),
        examples=["absolute"],
    )

    @model_validator(mode="after")
    def _parts_say_something(self) -> TermEntry:
        if self.gap and len(self.parts) < 2:
            message = f"'gap' of '{self.term}' has no two parts to stand between"
            raise refuse("RS055", message, "remove it, or add 'parts'", at=("gap",))
        for number, part in enumerate(self.parts):
            if not part or (len(part) > 1 and not NUMERALS.isdisjoint(part)):
                message = f"part {number + 1} of '{self.term}' names no words, or a number among words"
                raise refuse(
                    "RS055", message, "write words, or '<number>' or '<percent>' alone", at=("parts", number)
                )
        for number, word in enumerate(self.only_with):
            if word in NUMERALS:
                message = f"'{word}' cannot stand beside '{self.term}': only parts stand for numbers"
                raise refuse(
                    "RS055", message, "write words, or add the number to 'parts'", at=("only_with", number)
                )
        if self.parts and all(part[0] in NUMERALS for part in self.parts):
            message = f"'{self.term}' would be found in every number"
            raise refuse("RS055", message, "add a part with words", at=("parts",))
        return self

    @model_validator(mode="after")
    def _exemptions_hold_the_term(self) -> TermEntry:
        for number, longer in enumerate(self.exempt_when):
            if not self.parts and self.term.casefold() not in longer.casefold():
                message = f"'{longer}' does not contain '{self.term}', so it could never exempt it"
                raise refuse(
                    "RS055", message, "write the longer text with the term in it", at=("exempt_when", number)
                )
        return self


class ContextEntry(Part):
    """Words around a term that make it harmless, as an exemption of the law does."""

    id: Id = Field(
        title="编号",
        description="What the context is called, for readers of the list.\n语境的编号，供查阅词库。",
        examples=["goal"],
    )
    law: str = Field(
        "",
        title="依据",
        description="The rule that exempts what is said so.\n豁免所依据的法律或规则。",
        examples=["广告绝对化用语执法指南第五条"],
        max_length=500,
    )
    topics: Items[Id] = Field(
        (),
        title="适用主题",
        description=(
            "Only for terms of these topics; without topics and terms, for every term of the list.\n"
            "只适用于这些主题的词；主题与词语都不写，则适用于词库中的每个词。"
        ),
        examples=[["absolute"]],
    )
    terms: Items[str] = Field(
        (),
        title="适用词语",
        description="Only for these terms, beside those of the topics.\n只适用于这些词，与主题并列。",
        examples=[["最好"]],
    )
    before: Items[Wording] = Field(
        (),
        title="前文",
        description="The term is harmless behind one of these words.\n该词前面出现其中之一，即为无害。",
        examples=[["目标是"]],
    )
    after: Items[Wording] = Field(
        (),
        title="后文",
        description="The term is harmless ahead of one of these words.\n该词后面出现其中之一，即为无害。",
        examples=[["的目标"]],
    )
    together: Items[Words] = Field(
        (),
        title="同时出现",
        description=(
            "Harmless where a word of each of these groups stands.\n每组词中各出现一个，该词即为无害。"
        ),
        examples=[[["2025年", "2026年"], ["数据来源", "统计"]]],
    )
    within: Literal["near", "clause", "sentence"] = Field(
        "clause",
        title="范围",
        description=(
            "How far around the term is looked: no more than three characters away (near), to the next comma"
            " (clause), or to the end of the sentence.\n"
            "在多大范围内查找：相隔不超过三个字（near），到逗号为止（clause），或到句末（sentence）。"
        ),
    )
    evidence: bool = Field(
        False,
        title="须有证据",
        description=(
            "What is stated so has to be proved: the finding stays as information, with the suggestion.\n"
            "这样陈述须有证据：检查结果保留为提示，并附上建议。"
        ),
    )
    suggestion: str = Field(
        "",
        title="建议",
        description="With 'evidence': what has to be kept as proof.\n须有证据时：应当留存的证明材料。",
        examples=["留存统计报告"],
        max_length=500,
    )

    @model_validator(mode="after")
    def _says_which_words(self) -> ContextEntry:
        if not (self.before or self.after or self.together):
            raise refuse(
                "RS055", f"the context '{self.id}' names no words", "add 'before', 'after' or 'together'"
            )
        if self.suggestion and not self.evidence:
            hint = "add 'evidence: true', or remove the suggestion"
            message = f"nothing is found in the context '{self.id}', so nobody would read its suggestion"
            raise refuse("RS055", message, hint, at=("suggestion",))
        return self


class LexiconFile(Head):
    """A word list that checks use; where it comes from and as of when is part of it."""

    kind: Literal["lexicon"] = Field(
        title="种类", description="Always lexicon: this file is a word list.\n固定写 lexicon：本文件是词库。"
    )
    source: str = Field(
        title="来源",
        description=(
            "Where the words come from: the law, the platform's page.\n词语的出处：法律或平台页面。"
        ),
        examples=["中华人民共和国广告法"],
        min_length=1,
        max_length=1000,
    )
    as_of: Date = Field(
        title="截至",
        description="The day on which the source was read, in quotes.\n查阅来源的日期，写在引号里。",
        examples=["2026-03-01"],
    )
    entries: Items[TermEntry] = Field(
        title="词条",
        description="The words, and what follows from each.\n词条，以及命中后的处理。",
        min_length=1,
    )
    groups: dict[Id, Words] = Field(
        {},
        title="词组",
        description=(
            "Words that several parts and contexts share; they name them as '<name>'.\n"
            "多处共用的一组词；在 parts 与 contexts 中写作 <名称>。"
        ),
        examples=[{"scope": ["全网", "全国", "行业"]}],
    )
    contexts: Items[ContextEntry] = Field(
        (),
        title="无害语境",
        description=(
            "Words around terms that make them harmless, as the exemptions of the law do.\n"
            "使词语变得无害的上下文，例如法律规定的豁免情形。"
        ),
    )

    @model_validator(mode="after")
    def _contexts_apply_to_something(self) -> LexiconFile:
        terms, topics = {each.term for each in self.entries}, {each.topic for each in self.entries}
        for number, context in enumerate(self.contexts):
            for key, names, known in (("topics", context.topics, topics), ("terms", context.terms, terms)):
                for position, name in enumerate(names):
                    if name not in known:
                        message = f"no entry of this list has the {key[:-1]} '{name}'"
                        at = ("contexts", number, key, position)
                        raise refuse("RS055", message, "write it as it stands in the entries", at=at)
        return self

    @model_validator(mode="after")
    def _groups_are_known(self) -> LexiconFile:
        for at, words in self._named():
            for word in words:
                name = word[1:-1]
                is_group = word.startswith("<") and word.endswith(">") and word not in NUMERALS
                if is_group and name not in self.groups:
                    hint = (
                        f"write one of {', '.join(sorted(self.groups)) or 'none yet'}, or add it to 'groups'"
                    )
                    raise refuse("RS055", f"this list has no group '{name}'", hint, at=at)
        return self

    def _named(self) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...]]]:
        """Every list of words that may name a group, and where it stands."""
        for number, entry in enumerate(self.entries):
            for position, part in enumerate(entry.parts):
                yield ("entries", number, "parts", position), part
            yield ("entries", number, "only_with"), entry.only_with
        for number, context in enumerate(self.contexts):
            yield ("contexts", number, "before"), context.before
            yield ("contexts", number, "after"), context.after
            for position, group in enumerate(context.together):
                yield ("contexts", number, "together", position), group
