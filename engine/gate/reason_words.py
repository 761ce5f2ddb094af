"""The words beside each reason code: in Chinese, and what would have made it a yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """What is told of a code beside its sentence in English."""

    sentence_zh: str
    otherwise: str = ""
    """It would have passed if …; empty where it did."""
    otherwise_zh: str = ""


WORDS: Mapping[str, Words] = {
    "kill.switch": Words(
        "总开关已停止一切发送",
        "the switch were off",
        "总开关已关闭",
    ),
    "plan.paused": Words(
        "一个已启用的预案暂停了这些消息",
        "the plan were switched off",
        "该预案已关闭",
    ),
    "breaker.open": Words(
        "熔断器已停止这一范围",
        "the breaker were closed",
        "熔断器已恢复",
    ),
    "breaker.half_open": Words(
        "熔断器只放行少量试探消息",
        "it were one of those let through, or the breaker closed",
        "它属于放行的部分，或熔断器已恢复",
    ),
    "suppressed.no_contact": Words(
        "没有这个联系人",
        "the contact existed",
        "该联系人存在",
    ),
    "suppressed.erased": Words(
        "联系人已被删除并抹除",
        "nothing: what was erased does not come back",
        "无法改变：已抹除的不会恢复",
    ),
    "suppressed.merged": Words(
        "联系人已并入另一联系人",
        "the message were meant for the contact that stays",
        "消息发给合并后的联系人",
    ),
    "suppressed.contact": Words(
        "不得以任何方式联系此人",
        "the suppression of the contact were lifted",
        "解除对该联系人的屏蔽",
    ),
    "expired.deadline": Words(
        "已超过截止时间",
        "it had come to the gate before its deadline",
        "在截止时间之前到达",
    ),
    "expired.held_too_long": Words(
        "暂缓过久，已不值得发送",
        "what held it had ended sooner",
        "暂缓的原因更早结束",
    ),
    "channel.none": Words(
        "该步骤没有指定渠道",
        "the step named a channel",
        "步骤中指定了渠道",
    ),
    "channel.not_configured": Words(
        "规则集没有配置该渠道",
        "the ruleset configured the channel",
        "规则集配置了该渠道",
    ),
    "channel.no_identity": Words(
        "联系人在该渠道没有地址",
        "the contact had an address there",
        "联系人在该渠道有地址",
    ),
    "channel.suppressed_address": Words(
        "联系人在该渠道的地址不得使用",
        "the address were taken off the list",
        "该地址已移出屏蔽名单",
    ),
    "channel.window_closed": Words(
        "平台只允许在联系人发来消息后的一段时间内回复",
        "the contact had been heard on the channel not long ago",
        "联系人不久前在该渠道发来过消息",
    ),
    "channel.window_spent": Words(
        "在联系人再次发来消息之前，平台允许的条数已用完",
        "the contact had been heard on the channel again",
        "联系人在该渠道再次发来了消息",
    ),
    "channel.rejected": Words(
        "该渠道的服务商已拒绝此消息",
        "the provider had taken it",
        "服务商接受了消息",
    ),
    "channel.preflight": Words(
        "渠道无法承载此消息",
        "the message fitted the channel",
        "消息符合渠道要求",
    ),
    "channel.preflight_failed": Words(
        "渠道无法判断能否承载此消息",
        "the channel's plugin had answered",
        "渠道插件给出了答复",
    ),
    "channel.unavailable": Words(
        "渠道的插件或设置不可用",
        "the plugin and its settings could be used",
        "插件及其设置可用",
    ),
    "consent.unknown": Words(
        "没有同意记录",
        "the contact gave consent",
        "联系人给予同意",
    ),
    "consent.withdrawn": Words(
        "联系人已撤回同意",
        "the contact gave consent again",
        "联系人再次给予同意",
    ),
    "consent.denied": Words(
        "联系人拒绝同意",
        "the contact gave consent",
        "联系人给予同意",
    ),
    "consent.expired": Words(
        "记录中的同意已失效",
        "the contact renewed the consent",
        "联系人重新给予同意",
    ),
    "consent.outdated": Words(
        "同意所依据的告知已不再有效",
        "the contact agreed to the notice in force",
        "联系人同意现行告知",
    ),
    "consent.pending": Words(
        "同意尚未确认",
        "the contact confirmed it",
        "联系人完成确认",
    ),
    "consent.lapsed": Words(
        "未在期限内确认同意",
        "the contact asked for it again and confirmed in time",
        "联系人重新申请并按时确认",
    ),
    "consent.unknown_purpose": Words(
        "规则集没有定义该用途",
        "the ruleset defined the purpose",
        "规则集定义了该用途",
    ),
    "run.contact_deleted": Words(
        "联系人已离开，与其有关的一切不再继续",
        "nothing: who comes back begins anew",
        "无法改变：再次到来则重新开始",
    ),
    "run.contact_merged": Words(
        "联系人已与另一人合并，后者在旅程中走得更远或已走完",
        "nothing: the other run goes on for both",
        "无法改变：另一条运行代表两者继续",
    ),
    "quiet.hours": Words(
        "此时不得打扰联系人",
        "it were a time at which the contact may be disturbed",
        "处于允许打扰的时间",
    ),
    "quiet.skipped": Words(
        "此时不发送，也不等待",
        "it came at another time, or waited",
        "在其他时间到达，或允许等待",
    ),
    "quiet.too_late": Words(
        "安静时段结束时已超过可等待的时间",
        "the message could wait until the quiet is over",
        "消息可以等到安静时段结束",
    ),
    "quiet.always": Words(
        "各项安静时段合起来没有任何可用时间",
        "the quiet hours left some time",
        "各项安静时段留出时间",
    ),
    "quiet.unreadable_wish": Words(
        "无法读懂联系人希望的安静时段",
        "the wish were written as a span of hours",
        "以时间段的形式写明意愿",
    ),
    "cap.full": Words(
        "频次上限已满",
        "a place were free",
        "还有名额",
    ),
    "cap.too_soon": Words(
        "距上一条消息太近",
        "more time had passed since the last message",
        "距上一条消息的时间更长",
    ),
    "cap.quota": Words(
        "平台规定的配额已用完",
        "the platform's quota had room",
        "平台配额仍有余量",
    ),
    "cap.yielded": Words(
        "将最后的名额让给即将发送的更高价值消息",
        "it were of higher value than the one it yields to",
        "其价值高于所让位的消息",
    ),
    "cap.silence": Words(
        "联系人久未回应，营销消息暂不打扰",
        "the contact had shown a sign of life",
        "联系人有任何回应",
    ),
    "cap.defer_too_long": Words(
        "名额空出时已超过可等待的时间",
        "the cap freed sooner, or the message could wait longer",
        "名额更早空出，或消息可等待更久",
    ),
    "budget.ahead": Words(
        "预算按节奏使用，目前尚不允许此消息",
        "the pace had reached it",
        "预算节奏到达该消息",
    ),
    "budget.share_spent": Words(
        "该份额已用完，需等待重新分配",
        "the share had something left",
        "份额仍有剩余",
    ),
    "budget.spent": Words(
        "预算已用完",
        "the budget had something left",
        "预算仍有剩余",
    ),
    "budget.halted": Words(
        "该份额的回报不稳定，暂停花费",
        "the return had been steadier, or somebody had let the share go on",
        "回报更稳定，或有人恢复该份额",
    ),
    "budget.not_open": Words(
        "预算尚未开始或已结束",
        "it came within the budget's time",
        "处于预算的有效期内",
    ),
    "budget.too_late": Words(
        "预算允许时已超过可等待的时间",
        "the budget allowed it sooner",
        "预算更早允许",
    ),
    "experiment.exposed": Words(
        "运行到达实验并进入其分组",
        "the assignment had fallen on another arm",
        "分配到其他分组",
    ),
    "experiment.held_out": Words(
        "联系人属于留出组，用于衡量效果",
        "the contact were not held out",
        "联系人不在留出组",
    ),
    "content.missing": Words(
        "规则集中没有该内容",
        "the ruleset held the content",
        "规则集包含该内容",
    ),
    "content.not_generated": Words(
        "无法为此联系人生成文本",
        "the generator or a template had made a text",
        "生成器或模板生成了文本",
    ),
    "content.personal_only": Words(
        "联系人拒绝个性化，而内容没有其他文本",
        "the content had a variant without personal data",
        "内容有不含个人信息的版本",
    ),
    "content.does_not_fit": Words(
        "渠道所在平台不接受这样的文字",
        "a text that suits the platform were written for the channel",
        "为该渠道写有符合平台规则的文字",
    ),
    "content.check_blocked": Words(
        "检查发现不得出现的内容",
        "the text left out what was found",
        "文本去除所发现的内容",
    ),
    "content.check_failed": Words(
        "检查未能完成，消息被阻止",
        "the check had done its work and found nothing",
        "检查完成且没有发现问题",
    ),
    "review.pending": Words(
        "这段文字尚未审核通过",
        "every stage of its policy had approved this text",
        "策略要求的各环节均已通过这段文字",
    ),
    "review.rejected": Words(
        "这段文字被审核驳回",
        "another text were published, or this one approved after all",
        "发布另一段文字，或这段文字重新审核通过",
    ),
    "review.withdrawn": Words(
        "这段文字的审核通过已被撤回",
        "another text were published, or this one approved anew",
        "发布另一段文字，或这段文字重新审核通过",
    ),
    "sent.accepted": Words("服务商已接受消息"),
    "sent.receipt": Words("回执表明服务商确实接受了消息"),
    "failed.rejected": Words(
        "服务商最终拒绝消息",
        "the provider had taken it",
        "服务商接受了消息",
    ),
    "failed.retries": Words(
        "服务商持续繁忙，已无重试次数",
        "the provider had been free in time",
        "服务商及时空闲",
    ),
    "rate.limited": Words(
        "服务商此刻不再接受更多消息",
        "the rate had room",
        "速率仍有余量",
    ),
    "rate.provider_busy": Words(
        "服务商要求稍后再来，此前不接受任何消息",
        "the pause were over",
        "暂停结束",
    ),
    "circuit.open": Words(
        "服务商持续失败，暂时不再调用",
        "the provider had answered well when tried",
        "试探时服务商恢复正常",
    ),
    "circuit.half_open": Words(
        "正用一条消息试探服务商是否恢复",
        "the probe had come back well",
        "试探成功",
    ),
    "rate.retry": Words(
        "服务商要求稍后再来",
        "the provider had been free",
        "服务商空闲",
    ),
    "unknown.no_answer": Words(
        "无人能确定是否已发送，且不得重复",
        "the provider had answered, or took idempotency keys",
        "服务商给出答复，或支持幂等键",
    ),
    "entry.entered": Words("旅程接纳了联系人"),
    "entry.no_match": Words(
        "不符合旅程的条件",
        "the condition had held",
        "条件成立",
    ),
    "entry.paused": Words(
        "旅程已暂停",
        "the journey were resumed",
        "旅程恢复",
    ),
    "entry.draining": Words(
        "需先等旧版本中的人走完",
        "nobody were left on the earlier version",
        "旧版本中已没有人",
    ),
    "entry.late": Words(
        "事件发生太久，不能再开始旅程",
        "the event had arrived sooner",
        "事件更早到达",
    ),
    "entry.running": Words(
        "联系人已在旅程中",
        "the contact's run had ended",
        "联系人的运行已结束",
    ),
    "entry.reentry": Words(
        "旅程不再接纳该联系人，或暂不接纳",
        "the journey's rule of re-entry allowed it",
        "旅程的重入规则允许",
    ),
    "task.opened": Words("运行向人员提出任务并等待答复"),
    "task.decided": Words("有人对任务作出了决定"),
    "task.expired": Words(
        "截止前无人对任务作出决定",
        "somebody had decided it in time",
        "有人按时作出决定",
    ),
    "task.withdrawn": Words(
        "运行在任务决定之前已结束",
        "the run had gone on",
        "运行仍在继续",
    ),
    "call.done": Words("动作完成了步骤的要求"),
    "call.failed": Words(
        "动作无法完成步骤的要求",
        "the action could be done",
        "动作可以完成",
    ),
    "call.retry": Words(
        "动作尚未完成，将再次尝试",
        "the action had been done at once",
        "动作一次完成",
    ),
    "call.expired": Words(
        "动作未在截止前完成",
        "it had been done before its deadline",
        "在截止前完成",
    ),
    "call.unavailable": Words(
        "动作的插件或设置不可用",
        "the plugin and its settings could be used",
        "插件及其设置可用",
    ),
    "call.unknown": Words(
        "无人能确定是否已执行，且不得重复",
        "the action had answered",
        "动作给出答复",
    ),
    "run.retimed": Words("等待所依据的日期或时钟已改变"),
    "entry.unknown_journey": Words(
        "要启动的旅程不存在，或不能被请求",
        "the journey were there and could be asked",
        "旅程存在且可被请求",
    ),
    "entry.parameters": Words(
        "要启动的旅程需要其他参数",
        "the parameters were those it declares",
        "参数与其声明一致",
    ),
    "entry.chain": Words(
        "过多旅程互相启动而从不等待",
        "one of them waited in between",
        "其中一个旅程在中间等待",
    ),
    "run.branched": Words(
        "运行到达分支并选择了一条路",
        "the conditions had said otherwise",
        "条件结果不同",
    ),
    "run.repeated": Words("重复步骤开始新的一轮"),
    "run.repeat_over": Words("重复结束，运行继续向后"),
    "run.completed": Words("运行到达旅程终点"),
    "run.goal": Words("目标已达成"),
    "run.left": Words(
        "离开条件成立",
        "the condition to leave had not come true",
        "离开条件未成立",
    ),
    "run.stopped": Words(
        "旅程停止了运行",
        "the run had taken another way",
        "运行走了另一条路",
    ),
    "run.loop": Words(
        "旅程循环而从不等待",
        "the way round held a wait",
        "循环中有等待",
    ),
    "run.moved": Words("运行转入旅程的另一版本"),
    "run.retired": Words(
        "旅程的其他版本或其消失结束了运行",
        "the new version had kept its step",
        "新版本保留了该步骤",
    ),
    "run.cancelled": Words(
        "操作员取消了运行",
        "nobody had cancelled it",
        "无人取消",
    ),
    "run.ended": Words(
        "提出请求的运行已结束",
        "the run were still active",
        "运行仍在进行",
    ),
}
