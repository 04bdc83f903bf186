"""Pure parts of the console: what is escaped, what is said, where an error is pointed at, how long an answer is kept."""

import asyncio
import re
import string
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dujiang.story import teller
from dujiang.wiring import STEPS
from engine.errors import TransientFault
from engine.ledger import Account
from gateway.console import markup, pieces
from gateway.console.deeds import SILENCE_DAYS_MAX
from gateway.console.pages import doors, now, partners, projects, search, way, ways_out
from gateway.console.pages.alerts import SILENCE_HOURS
from gateway.console.pages.quarantine import line_of, pretty_json
from gateway.console.pages.way import Part
from gateway.console.queries import Beat, Branch, Cause, Column, FoundSource, Needs, PartnerRow, Sent, WayOut, WaysOut
from gateway.console.reads import FRESH_S, REST, REST_S_MAX, Kept
from gateway.console.rights import Role
from gateway.console.sampler import BEHIND_S, Flow, Sampler
from gateway.console.sign_in import _inside
from gateway.console.story import StoredEvent
from gateway.console.words import WORDS, Speech
from gateway.sources import Register
from schemas.alerts import SEVERITIES, Condition, Handling, Suppression
from schemas.catalogue import default_registry
from schemas.projects import MilestoneStatus, State
from schemas.topics import TOPICS
from streams import alerts as alert_rules
from tests.console.bureau import life

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
SAY = Speech("en", ZONE, NOW)


# --- markup -----------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_no_text_can_open_a_tag_or_leave_an_attribute(text: str) -> None:
    made = markup.tag("a", text, href=text, class_="x")
    inner = made.removeprefix('<a href="').removesuffix("</a>")
    address, _, body = inner.partition('" class="x">')
    assert not set('<>"') & set(address)
    assert not set('<>"') & set(body)


def test_nested_children_stay_markup_and_plain_text_is_escaped() -> None:
    assert markup.tag("p", [markup.tag("b", "<1>"), " & ", None, 2]) == "<p><b>&lt;1&gt;</b> &amp; 2</p>"


def test_id_with_a_slash_is_one_part_of_the_address() -> None:
    assert markup.address("alerts", "am/1 ?#") == "/console/alerts/am%2F1%20%3F%23"


# --- words ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", WORDS)
def test_both_languages_fill_in_the_same_values(word: str) -> None:
    named = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in WORDS[word]]
    assert named[0] == named[1]
    assert all(WORDS[word]) or word == "state."


@pytest.mark.parametrize(
    ("family", "values"),
    [
        ("state", State),
        ("milestone", MilestoneStatus),
        ("severity", SEVERITIES),
        ("condition", Condition),
        ("handling", Handling),
        ("suppression", Suppression),
        ("role", Role),
    ],
)
def test_every_value_of_the_rules_has_words(family: str, values: list[str]) -> None:
    assert [value for value in values if f"{family}.{value}" not in WORDS] == []


def test_longest_silence_is_the_rules() -> None:
    assert timedelta(days=SILENCE_DAYS_MAX) == alert_rules.SILENCE_MAX
    assert max(SILENCE_HOURS) <= 24 * SILENCE_DAYS_MAX


def test_every_state_of_a_project_has_its_place_on_the_board() -> None:
    assert sorted(projects.STATES) == sorted(State)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "120 min"), (7_200, "2 h"), (172_800, "2 d")]
)
def test_span_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert SAY.span(seconds) == said


def test_instant_is_shown_in_the_bureaus_zone() -> None:
    assert SAY.instant(NOW) == "2026-06-01 16:00:00"
    assert SAY.ago(NOW + timedelta(minutes=5)) == "in 5 min"


# --- quarantine -------------------------------------------------------------------------------------------------------------

BROKEN = '{"id": "1", "data": {"title": 7, "list": [{"a": 1}, {"b~/c": null}]}}'


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("/id", '  "id": "1",'),
        ("/data/title", '    "title": 7,'),
        ("/data/list/1/b~0~1c", '        "b~/c": null'),
        ("/data/missing", '  "data": {'),
    ],
)
def test_error_is_pointed_at_by_its_line_or_that_of_its_parent(pointer: str, line: str) -> None:
    pretty = pretty_json(BROKEN)
    found = line_of(pretty, pointer)
    assert found is not None
    assert pretty.split("\n")[found - 1] == line


@pytest.mark.parametrize("pointer", ["", "/missing"])
def test_error_of_the_whole_points_at_no_line(pointer: str) -> None:
    assert line_of(pretty_json(BROKEN), pointer) is None


@pytest.mark.parametrize("text", ["编号;金额", '{"a": 1, "a": 2}', "[" * 100_000, ""])
def test_what_is_no_good_json_is_shown_as_it_came(text: str) -> None:
    assert pretty_json(text) == text
    assert line_of(text, "/data") is None


# --- now --------------------------------------------------------------------------------------------------------------------


def test_needs_are_what_is_not_nought_the_most_urgent_first() -> None:
    needs = Needs(1, 3, 1, 4, NOW, 0, 2)
    board = [Column("executing", 10, 5, 1, 0, 0), Column("contracted", 2, 1, 0, 0, 0)]
    found = now.wants(needs, board, lag=7, unaccounted=0, mine=2)
    assert [(need.number, need.word) for need in found] == [
        (1, "need.late_alerts"),
        (2, "need.mine"),
        (2, "need.open_alerts"),
        (4, "need.quarantined"),
        (6, "need.overdue"),
        (1, "need.at_risk"),
        (2, "need.calls"),
        (7, "need.lag"),
    ]


def test_rates_leave_out_the_tick_under_way() -> None:
    last = int(NOW.timestamp()) // 15 - 1
    beats = [
        Beat("/partners/a", "research.call.event", last, 30, NOW),
        Beat("/partners/b", "research.project.event", last, 15, NOW),
        Beat("/partners/a", "infra.alert.event", last + 1, 1_000, NOW),
    ]
    found = now.rates_by_duty(beats, NOW)
    assert (found[2][-1], sum(found[2]), sum(found[3])) == (3.0, 3.0, 0.0)


# --- the data's way ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grafana_url", "leads"), [("", False), ("https://grafana.example.cn", True), ("https://example.cn/grafana/", True)]
)
def test_step_leads_to_its_figures_where_grafana_is_known(grafana_url: str, leads: bool) -> None:
    part = Part("projects", "step", ("research.project.event",), (), "project_status")
    found = way.step_section(SAY, part, grafana_url)
    assert (f'href="{grafana_url.rstrip("/")}/d/dujiang-pipeline?var-step=projects"' in found) is leads
    assert ("Grafana" in found) is leads


@pytest.mark.parametrize(
    ("source", "door"),
    [
        ("/partners/a", "gateway"),
        ("/partners/b/plant", "connectors"),
        ("/connectors/gtr", "connectors"),
        ("/connectors/alertmanager", "gateway"),
        ("/console/deeds", "console"),
        ("urn:stranger", "gateway"),
    ],
)
def test_source_comes_in_by_one_door(source: str, door: str) -> None:
    register = Register({"a": ["/partners/a"], "b": ["/partners/b"]})
    assert doors.door_of(source, register, ["b"]) == door


def test_way_is_drawn_with_rates_and_lag_on_every_arrow_and_each_box_leads_on() -> None:
    event, state = "research.project.event", "research.project.state"
    steps = (
        Part("projects", "step", (event,), (state,), "project_status"),
        Part("history", "sink", (event, state), (), "event_history"),
    )
    accounts = [("projects", event, 0), ("history", event, 0), ("history", state, 900)]
    flows = [
        Flow(Account(step, topic, 1, 1, 0, 0, 0, 0, 0, 0, lag), 10.0 + at) for at, (step, topic, lag) in enumerate(accounts)
    ]
    sent = {("/partners/a", event): 21.0, ("/partners/b", event): 30.0, ("/connectors/gtr", event): 13.0}
    door_of = {"/partners/a": "gateway", "/partners/b": "gateway", "/connectors/gtr": "connectors"}
    topics = {name: TOPICS[name] for name in (event, state)}
    outs = WaysOut([BIG, IDLE], [], [Sent("HTTP", event, 2.5)])
    drawn = way.picture(SAY, sent, door_of, topics, steps, flows, outs, {event: 64.0, state: 17.0})
    labels = re.findall(r'class="(rate|lag|rate back)"[^>]*>([^<]*)</text>', drawn)
    assert sorted(labels) == sorted(
        [
            *(("rate", text) for text in ("21", "30", "13")),  # from who sends to the doors
            *(("rate", text) for text in ("51", "13")),  # from the doors to the topic
            *(("rate", text) for text in ("10", "11")),  # to the step and the history
            ("lag", "12 +900"),  # to the history, which is behind
            ("rate back", "17"),  # what the step derives
            *(("rate", text) for text in ("10", "23")),  # into the tables
            ("lag", "2.5 +7"),  # to the agencies
        ]
    )
    leads = set(re.findall(r'href="/console/way/(\w+/[\w.]+)"', drawn))
    assert leads == {
        *(f"topic/{name}" for name in topics),
        *("step/projects", "step/history", "out/HTTP", "out/PULL"),
        *("process/gateway", "process/connectors", "process/deliverer"),
    }


BIG = WayOut("HTTP", 40, 9, 2, 1, 0, 3, 0, 1, 7, False, NOW - timedelta(seconds=BEHIND_S + 1))
IDLE = WayOut("PULL", 3, 2, 0, 0, 0, 0, 0, 0, 0, False, None)


def test_troubles_of_a_way_out_are_said_in_words_the_worst_first() -> None:
    assert ways_out.troubles(SAY, BIG) == [
        ("2 failing", "bad"),
        ("1 disabled", "bad"),
        ("1 with dead letters", "bad"),
        ("3 not agreed yet", "warn"),
    ]
    assert ways_out.troubles(SAY, IDLE) == []


@pytest.mark.parametrize(
    ("lag_most", "inflow", "is_behind"),
    [(99, {"t": 10.0}, False), (101, {"t": 10.0}, True), (1, {"t": 0.0}, True), (101, {}, False), (None, {"t": 10.0}, False)],
)
def test_way_out_is_behind_in_a_topic_when_one_subscription_has_more_before_it_than_comes_in_soon(
    lag_most: int | None, inflow: dict[str, float], is_behind: bool
) -> None:
    outs = WaysOut([BIG], [Branch("HTTP", "t", 40, 500, lag_most)], [])
    assert ways_out.behind(outs, inflow) == ({("HTTP", "t"): 500} if is_behind else {})


def test_way_out_is_late_when_a_number_waits_for_long() -> None:
    assert ways_out.late(SAY, BIG)
    assert not ways_out.late(SAY, BIG._replace(waits_since=NOW - timedelta(seconds=1)))
    assert not ways_out.late(SAY, IDLE)


def test_figures_of_ways_out_are_those_of_deliveries_and_unknown_ones_are_said_to_be() -> None:
    sent = [Sent("HTTP", "t", 1.5), Sent("HTTP", "u", 2.0)]
    outs = WaysOut([IDLE, BIG._replace(is_more=True)], [Branch("HTTP", "t", 40, None, None)], sent)
    told = ways_out.table_section(SAY, outs, are_ends_known=False)
    assert told.index("Webhooks") < told.index("Pull by cursor")  # as the protocols are listed
    for cell in (">3.5</td>", ">7+<small>since 11 s</small></td>", ">?</td>"):
        assert told.count(cell) == 1
    assert "Kafka does not answer" in told


# --- partners ---------------------------------------------------------------------------------------------------------------


def test_partner_that_broke_its_rhythm_is_marked_and_one_without_says_nothing() -> None:
    def row(promised_s: int | None, heard_at: datetime | None, is_silent: bool) -> PartnerRow:
        return PartnerRow("a", "A", ["publish:*"], ["/partners/a"], 1, 1, 0, None, promised_s, heard_at, heard_at, is_silent)

    late, kept, quiet = (
        partners.sheet(SAY, row(*told), [], [], [])
        for told in ((86_400, NOW - timedelta(days=3), True), (86_400, NOW - timedelta(hours=3), False), (None, None, False))
    )
    assert "every 24 h" in late
    assert "3 d ago" in late
    assert "silent for longer than promised" in late
    assert "every 24 h" in kept
    assert "3 h ago" in kept
    assert "silent" not in kept
    assert "Promised rhythm" not in quiet
    assert (
        partners.list_section(SAY, [row(3_600, None, True)], [], [], Register({})).count("silent for longer than promised") == 1
    )


def test_cause_in_quarantine_leads_to_its_records() -> None:
    row = PartnerRow("a", "A", ["publish:*"], ["/partners/a"], 1, 1, 0, None, None, None, None, False)
    cause = Cause("data_invalid", "/partners/a/b", None, 3, NOW)
    leads = 'href="/console/quarantine?reason=data_invalid&amp;source=%2Fpartners%2Fa%2Fb"'
    assert leads in partners.sheet(SAY, row, [], [cause], [])


@pytest.mark.parametrize("sees_all", [True, False])
def test_publisher_on_a_partners_page_leads_only_where_its_reader_may_go(sees_all: bool) -> None:
    row = PartnerRow("a", "A", ["publish:*"], ["/partners/a"], 1, 1, 0, None, None, None, None, False)
    beat = Beat("/partners/a", "research.call.event", int(NOW.timestamp()) // 15 - 1, 30, NOW)
    page = partners.sheet(SAY, row, [beat], [], [], sees_all=sees_all)
    assert "/partners/a" in page
    assert ("/search?" in page) == sees_all


# --- the story --------------------------------------------------------------------------------------------------------------


def test_story_tells_each_event_with_what_it_changed() -> None:
    events = [
        StoredEvent("research.project.event", 0, offset, NOW, line.decode())
        for offset, line in enumerate(life(NOW))
        if b'"subject": "P/1"' in line
    ]
    story = teller(STEPS, default_registry())("projects", "P/1", events, NOW)
    assert [(change.event_id, change.outcome, change.after) for change in story.changes] == [
        ("e-1", "applied", "applied"),
        ("e-2", "applied", "under_review"),
        ("e-3", "applied", "approved"),
        ("e-4", "applied", "contracted"),
        ("e-5", "applied", "executing"),
        ("e-6", "rejected", "executing"),
    ]
    paid, refused = story.changes[4], story.changes[5]
    assert [(fired.name, fired.before, fired.after) for fired in paid.fired] == [("start_reached", "contracted", "executing")]
    assert ("disbursed", "0", "400") in paid.moves
    assert (refused.reason, refused.moves) == ("disbursed_above_contract", ())
    assert story.state == "executing"


def test_event_of_an_unknown_contract_is_shown_and_not_judged() -> None:
    line = life(NOW)[0].replace(b"application.submitted.v1", b"application.submitted.v9").decode()
    story = teller(STEPS, default_registry())("projects", "P/1", [StoredEvent("t", 0, 0, NOW, line)], NOW)
    assert [(change.outcome, change.reason) for change in story.changes] == [("unreadable", "type_unknown")]
    assert story.state is None


# --- answers that are kept --------------------------------------------------------------------------------------------------


class Asked:
    """A query that takes as long as it is told."""

    def __init__(self) -> None:
        self.now_s, self.took_s, self.count = 0.0, 0.0, 0
        self.fault: TransientFault | None = None

    def clock_s(self) -> float:
        return self.now_s

    async def ask(self) -> int:
        self.count += 1
        self.now_s += self.took_s
        if self.fault:
            raise self.fault
        return self.count


def test_quick_answer_is_asked_for_again_when_it_is_no_longer_fresh() -> None:
    async def play() -> list[int]:
        asked = Asked()
        kept = Kept(asked.clock_s)
        found = [(await kept.get("key", asked.ask)).value for _ in range(3)]
        asked.now_s += FRESH_S
        return [*found, (await kept.get("key", asked.ask)).value]

    assert asyncio.run(play()) == [1, 1, 1, 2]


@pytest.mark.parametrize(("took_s", "rest_s"), [(1.0, REST * 1.0), (3.0, REST_S_MAX)])
def test_slow_answer_rests_as_long_as_it_took_many_times(took_s: float, rest_s: float) -> None:
    async def play() -> list[int]:
        asked = Asked()
        asked.took_s = took_s
        kept = Kept(asked.clock_s)
        await kept.get("key", asked.ask)
        found = []
        for wait_s in (rest_s - took_s - 0.1, 0.2):
            asked.now_s += wait_s
            found.append((await kept.get("key", asked.ask)).value)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return [*found, (await kept.get("key", asked.ask)).value]

    assert asyncio.run(play()) == [1, 1, 2]  # the old one at once, the new one at the next look


def test_many_askers_share_one_query() -> None:
    async def play() -> tuple[list[int], int]:
        asked = Asked()
        kept = Kept(asked.clock_s)
        found = await asyncio.gather(*(kept.get("key", asked.ask) for _ in range(20)))
        return [answer.value for answer in found], asked.count

    assert asyncio.run(play()) == ([1] * 20, 1)


def test_answer_outlives_a_fault_but_the_first_fault_is_raised() -> None:
    async def play() -> int:
        asked = Asked()
        kept = Kept(asked.clock_s)
        asked.fault = TransientFault("away")
        with pytest.raises(TransientFault):
            await kept.get("key", asked.ask)
        asked.fault = None
        await kept.get("key", asked.ask)
        asked.fault = TransientFault("away")
        asked.now_s += FRESH_S
        return (await kept.get("key", asked.ask)).value

    assert asyncio.run(play()) == 2


# --- the door ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/console/alerts/am%2F1?show=all", "/console/", "/console"])
def test_sign_in_leads_back_to_the_page_that_was_wanted(target: str) -> None:
    assert _inside(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "https://evil.example/console/",
        "//evil.example/console/",
        "/consoles",
        "javascript:alert(1)",
        "/console/\\evil",
        "/other",
    ],
)
def test_sign_in_leads_nowhere_else(target: str) -> None:
    assert _inside(target) == "/console/"


def test_table_says_when_it_has_no_rows() -> None:
    assert pieces.table("x", [pieces.Head("a")], [], empty="none") == '<p class="empty">none</p>'


# --- rates and lag ----------------------------------------------------------------------------------------------------------


def _account(published: int, lag: int) -> Account:
    return Account("projects", "research.project.event", published, published - lag, 0, 0, 0, 0, 0, 0, lag)


@pytest.mark.parametrize(
    ("lag", "rate", "is_behind"), [(8, 45.0, False), (451, 45.0, True), (1, 0.0, True), (0, 0.0, False), (1, None, True)]
)
def test_flow_is_behind_when_more_waits_than_its_pace_clears_soon(lag: int, rate: float | None, is_behind: bool) -> None:
    assert Flow(_account(1_000, lag), rate).is_behind is is_behind


class Ledgers:
    """Stands for the reader: an account each time it is asked."""

    def __init__(self, *accounts: Account) -> None:
        self._accounts = list(accounts)

    async def read(self, _: object) -> list[Account]:
        return [self._accounts.pop(0)]


def test_rate_is_what_a_step_passed_between_the_looks() -> None:
    asked = Asked()
    sampler = Sampler(Ledgers(_account(100, 10), _account(190, 40)), dict, asked.clock_s)  # type: ignore[arg-type]

    async def play() -> list[float | None]:
        await sampler.look()
        first = sampler.flows()[0].rate
        asked.now_s += 3
        await sampler.look()
        return [first, sampler.flows()[0].rate]

    assert asyncio.run(play()) == [None, 20.0]  # 90, then 150 passed


def test_inflow_of_a_topic_is_that_of_its_partitions_once_two_looks_are_apart() -> None:
    asked = Asked()
    ends = [{("t", 0): 10, ("t", 1): 5}, {("t", 0): 40, ("t", 1): 35, ("t", 2): 7}]
    sampler = Sampler(Ledgers(_account(1, 0), _account(1, 0)), lambda: ends.pop(0), asked.clock_s)  # type: ignore[arg-type]

    async def play() -> list[dict[str, float]]:
        await sampler.look()
        first = sampler.inflow()
        asked.now_s += 3
        await sampler.look()
        return [first, sampler.inflow()]

    assert asyncio.run(play()) == [{}, {"t": 20.0}]  # a new partition counts from the next look on


def test_lag_is_unknown_and_nothing_is_unbalanced_while_kafka_is_away() -> None:
    def away() -> dict[tuple[str, int], int]:
        raise TransientFault("Kafka: away")

    sampler = Sampler(Ledgers(_account(100, 10)), away)  # type: ignore[arg-type]
    sample = asyncio.run(sampler.look())
    assert (sample.ends, sample.unaccounted) == (None, 0)


def test_a_search_shows_what_came_of_a_source() -> None:
    source = FoundSource("/partners/<late>", 1_200, 3, 1, NOW)
    shown = search.found_section(SAY, [], [], [source], is_complete=True)
    assert "/partners/&lt;late&gt;" in shown
    assert "In 24 h: 1,200 accepted, 3 sent again, 1 refused" in shown
    assert SAY("nothing") not in shown
