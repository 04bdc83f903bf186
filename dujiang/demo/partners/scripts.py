"""The cast, and what the project partners say: an institute with whole lives, an enterprise with applications."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dujiang.demo.partners.acts import Act, Event, Stage
from dujiang.demo.partners.bureau import SOURCE as BUREAU
from dujiang.demo.partners.bureau import bureau
from dujiang.demo.partners.lives import Profile, Step, life
from dujiang.demo.partners.mistakes import careless_records, wrong_events
from dujiang.demo.partners.monitor import DUTY, ROOM, monitor

INSTITUTE_SOURCE = "/partners/institute-ihr"
ENTERPRISE_SOURCE = "/partners/enterprise-mec"
SOURCES = frozenset((INSTITUTE_SOURCE, ENTERPRISE_SOURCE, BUREAU, DUTY, ROOM))  # all that is published through the gateway
OPEN_LIVES = 12  # projects that a partner tells about at the same time
RECENT_EVENTS = 40  # a repeat is of one of these


@dataclass(frozen=True, slots=True)
class Role:
    """A partner of the cast. `share` is its part of the demo's rate."""

    name: str
    label: str
    share: float
    script: Callable[[Stage], Iterator[Act]]


@dataclass(frozen=True, slots=True)
class Habits:
    """How often, of one, a partner does what partners do."""

    swaps: float
    repeats: float
    breaks_rules: float
    sends_wrong: float
    writes_straight: float


INSTITUTE = Profile(
    age_days=(30, 1500),
    term_days=(400, 1000),
    amount=(300_000, 8_000_000),
    milestones=(2, 4),
    titles=("高温合金粉末制备关键技术", "城市水系智能调度方法研究", "类脑芯片编译器", "Quantum sensing for pipelines"),
    leads=("https://ror.org/03cve4549", "https://ror.org/013q1eq08", "https://ror.org/05kje8j93"),
    calls=("ZDYF-2024-1", "ZDYF-2025-1", "KJZX-2025-2"),
)
ENTERPRISE = Profile(
    age_days=(5, 700),
    term_days=(180, 540),
    amount=(100_000, 2_000_000),
    milestones=(1, 2),
    titles=("数控机床数字化改造", "5G 全连接工厂", "中小企业上云服务平台", "Smart warehouse retrofit"),
    leads=("91340600MA2PENCC7K",),
    calls=("GYZX-2025-3", "ZXQY-2026-1"),
)
INSTITUTE_HABITS = Habits(swaps=0.15, repeats=0.05, breaks_rules=0.04, sends_wrong=0.01, writes_straight=0.0)
ENTERPRISE_HABITS = Habits(swaps=0.05, repeats=0.03, breaks_rules=0.02, sends_wrong=0.04, writes_straight=0.015)


def institute(stage: Stage) -> Iterator[Act]:
    """Projects from application to archive; some events late, some twice, a few against the rules."""
    return _projects(stage, INSTITUTE_SOURCE, "KJ", INSTITUTE, INSTITUTE_HABITS)


def enterprise(stage: Stage) -> Iterator[Act]:
    """Applications and short projects of industry; wrong requests more often; now and then a bad record straight to Kafka."""
    return _projects(stage, ENTERPRISE_SOURCE, "GX", ENTERPRISE, ENTERPRISE_HABITS)


CAST = (
    Role("enterprise", "企业 enterprise", 0.28, enterprise),
    Role("institute", "研究院所 institute", 0.42, institute),
    Role("monitor", "设施监控 monitor", 0.25, monitor),
    Role("bureau", "局 bureau", 0.05, bureau),
)


def _projects(stage: Stage, source: str, letters: str, profile: Profile, habits: Habits) -> Iterator[Act]:
    """Several lives in turns, for ever; each project's events in their order but for the swaps."""
    wrong, careless = wrong_events(stage, source), careless_records(stage)
    lives: list[deque[Event]] = []
    recent: deque[Event] = deque(maxlen=RECENT_EVENTS)
    told = 0
    while True:
        while len(lives) < OPEN_LIVES:
            told += 1
            project = f"{letters}-{stage.run}-{told:05d}"
            steps = _with_habits(stage, life(stage.draw, profile, stage.clock.now()), habits)
            lives.append(deque(stage.event(source, step.name, project, step.time, step.data) for step in steps))
        if stage.chance(habits.sends_wrong):
            yield next(wrong)
        if stage.chance(habits.writes_straight):
            yield next(careless)
        if recent and stage.chance(habits.repeats):
            yield stage.draw.choice(recent)
        current = stage.draw.choice(lives)
        event = current.popleft()
        recent.append(event)
        yield event
        lives = [left for left in lives if left]


def _with_habits(stage: Stage, steps: list[Step], habits: Habits) -> list[Step]:
    """Two early events in the wrong order (the first waits for the second), or one that no rule allows."""
    names = [step.name for step in steps]
    if stage.chance(habits.swaps) and "research.project.approved" in names[:5]:
        at = names.index("research.project.approved")
        steps[at - 1], steps[at] = steps[at], steps[at - 1]
    if stage.chance(habits.breaks_rules * 4) and "research.project.contracted" in names:
        steps.insert(names.index("research.project.contracted") + 1, _illegal(stage, steps))
    return steps


def _illegal(stage: Stage, steps: list[Step]) -> Step:
    """More money than the contract, a milestone that it does not have, a withdrawal after it."""
    contract = next(step for step in steps if step.name == "research.project.contracted")
    return stage.draw.choice(
        (
            Step("research.funds.disbursed", contract.time, {"amount": contract.data["amount"] + 1, "tranche": "末次"}),
            Step("research.milestone.accepted", contract.time, {"milestone_id": "M9"}),
            Step("research.application.withdrawn", contract.time, {}),
        )
    )
