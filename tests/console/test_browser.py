"""The console as people meet it: Chromium, real Kafka, real PostgreSQL."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from engine.subscriptions import deliveries
from gateway.console import users
from gateway.console.rights import Role
from schemas.subscriptions import Place
from tests.console.bureau import HOOK, PASSWORD, READER, TITLE, Bureau, broken, firing, life, settlement
from tests.console.conftest import WAIT_MS
from tests.monitoring.series import catalogue

pytestmark = [pytest.mark.services, pytest.mark.slow]

Enter = Callable[..., Page]
PAGES = (
    "/",
    "/projects",
    "/projects/P%2F1",
    "/calls",
    "/calls/C-1",
    "/alerts",
    "/alerts/am%2F1",
    "/quarantine",
    "/quarantine/1",
    "/way",
    "/way/topic/research.project.event",
    "/way/step/projects",
    "/way/process/deliverer",
    "/way/out/HTTP",
    "/works",
    "/search?q=pump",
    "/partners",
    "/partners/institute",
    "/subscriptions",
    f"/subscriptions/{HOOK}",
)

expect.set_options(timeout=WAIT_MS)


# --- who gets in ------------------------------------------------------------------------------------------------------------


def test_without_signing_in_no_page_is_shown(bureau: Bureau, browser: Browser) -> None:
    context = browser.new_context(locale="en")
    page = context.new_page()
    for path in PAGES:
        page.goto(bureau.url + path)
        assert page.url.startswith(f"{bureau.url}/sign-in?next=")
        assert TITLE not in page.content()
    context.close()


def test_wrong_password_says_so_and_the_fifth_locks(bureau: Bureau, browser: Browser) -> None:
    context = browser.new_context(locale="en")
    page = context.new_page()
    page.goto(f"{bureau.url}/sign-in")
    for _ in range(5):
        page.fill("input[name=name]", "viewer")
        page.fill("input[name=password]", "not the password")
        page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("locked until")
    page.fill("input[name=name]", "viewer")
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("locked until")
    bureau.rows("UPDATE console_user SET locked_until = NULL RETURNING name")
    context.close()


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(enter: Enter) -> None:
    page = enter("viewer")
    (cookie,) = [cookie for cookie in page.context.cookies() if cookie["name"] == "dujiang_console"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/console")
    assert "dujiang_console" not in page.evaluate("document.cookie")


def test_request_of_another_origin_is_refused(enter: Enter, bureau: Bureau) -> None:
    page = enter("steward")
    refused = page.request.post(f"{bureau.url}/sign-out", headers={"origin": "https://elsewhere.example"})
    assert refused.status == 403
    page.reload()
    expect(page.locator("#main h1")).to_have_text("Now")


def test_signing_out_ends_the_session(enter: Enter, bureau: Bureau) -> None:
    page = enter("operator")
    other = page.context.new_page()
    other.goto(f"{bureau.url}/alerts")
    expect(other.locator("#main h1")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    expect(other).to_have_url(f"{bureau.url}/sign-in", timeout=5_000)  # by itself it looks after its session every 30 s
    page.goto(f"{bureau.url}/projects")
    assert "/sign-in" in page.url


# --- pages ------------------------------------------------------------------------------------------------------------------


def test_now_shows_what_needs_a_person_and_leads_there(enter: Enter) -> None:
    page = enter("viewer")
    expect(page.get_by_role("link", name=re.compile("alerts nobody took in time"))).to_contain_text("1")
    page.get_by_role("link", name=re.compile("projects overdue")).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("40 d overdue")


def test_project_says_why_it_is_so(enter: Enter) -> None:
    page = enter("viewer", "/projects/P%2F1")
    expect(page.locator("h1")).to_have_text(TITLE)  # as text: what a publisher writes is never markup
    expect(page.locator(".notice.good")).to_contain_text("from 6 events by today's rules: the same state as stored")
    story = page.locator(".story .change")
    expect(story.nth(0)).to_contain_text("disbursed_above_contract")
    expect(story.filter(has_text="research.project.approved")).to_contain_text("under review → approved")
    refused = story.filter(has_text="disbursed_above_contract")
    refused.locator("summary").click()
    expect(refused).to_contain_text("/partners/institute")
    expect(refused).to_contain_text("research.funds.disbursed v1")
    expect(refused).to_contain_text(re.compile(r"research\.project\.event p\d@\d"))
    page.wait_for_timeout(2_500)  # a live part was built anew meanwhile
    assert refused.locator("details").get_attribute("open") is not None


def test_call_is_listed_by_phase_and_tells_its_story(enter: Enter) -> None:
    page = enter("viewer", "/calls")
    expect(page.locator(".board li")).to_contain_text("closing soon")
    page.get_by_role("link", name="Pumps of tomorrow").click()
    expect(page.locator("h1")).to_have_text("Pumps of tomorrow")
    expect(page.locator(".story .change").first).to_contain_text("research.call.extended")
    expect(page.locator("#story .notice.good")).to_contain_text("the same state as stored")


def test_page_follows_without_reload(enter: Enter, bureau: Bureau) -> None:
    page = enter("viewer", "/alerts")
    expect(page.locator("tbody tr").filter(has_text="am/live")).to_have_count(0)
    page.evaluate("window.isTheSamePage = true")
    bureau.stage.send([firing("am/live", "a-live", datetime.now(UTC), "high", "link down")])
    expect(page.locator("tbody tr").filter(has_text="am/live")).to_contain_text("link down")
    assert page.evaluate("window.isTheSamePage") is True


@pytest.mark.parametrize(
    "path", ["/search?q=%00ab", "/search?q=%ffab", "/projects/%00", "/projects/%ff", "/alerts?words=%ed%a0%80"]
)
def test_address_that_is_no_text_is_no_fault_of_ours(enter: Enter, bureau: Bureau, path: str) -> None:
    assert enter("viewer").request.get(bureau.url + path).status < 500


def test_search_finds_by_id_name_and_organisation(enter: Enter, bureau: Bureau) -> None:
    page = enter("viewer", "/search?q=P/2")
    expect(page.locator("tbody tr").first).to_contain_text("Weir")
    page.goto(f"{bureau.url}/search?q=institute%20of%20pumps")
    expect(page.locator("tbody tr").filter(has_text="Project")).to_have_count(2)
    expect(page.locator("tbody tr").filter(has_text="Partner")).to_contain_text("institute")


def test_search_finds_an_event_by_its_id_and_leads_to_its_place_in_the_story(enter: Enter, bureau: Bureau) -> None:
    page = enter("viewer", "/search?q=e-5")
    found = page.locator("tbody tr").filter(has_text="Event")
    expect(found).to_have_count(1)  # and not e-50
    expect(found).to_contain_text("P/1")
    expect(found).to_contain_text("/partners/institute")
    found.get_by_role("link", name="research.funds.disbursed.v1").click()
    expect(page.locator("h1")).to_have_text(TITLE)
    wanted = page.locator(".story .change[data-wanted]")
    expect(wanted).to_contain_text("e-5")
    expect(wanted).to_be_in_viewport()
    assert wanted.locator("details").get_attribute("open") is not None
    page.goto(f"{bureau.url}/search?q=no-such-event")
    expect(page.locator(".main")).to_contain_text("Nothing matches.")


def test_way_leads_to_topic_and_step(enter: Enter) -> None:
    page = enter("viewer", "/way")
    page.locator("svg a.node", has_text="gateway").first.click()
    expect(page.locator("h1")).to_have_text("gateway")
    page.get_by_role("link", name="/partners/institute").first.wait_for()
    page.go_back()
    page.locator("svg a.node", has_text="research.project.event").click()
    expect(page.locator("h1")).to_have_text("research.project.event")
    page.get_by_role("link", name="projects", exact=True).first.click()
    expect(page.locator("h1")).to_have_text("projects")
    expect(page.locator("tbody")).to_contain_text("research.project.event")


def test_partner_s_page_names_its_keys_and_subscriptions(enter: Enter, bureau: Bureau) -> None:
    bureau.rows(
        "INSERT INTO partner_token (digest, prefix, partner_id, scopes, issued_at, issued_by, expires_at) VALUES"
        " ('\\x01', 'djt_live', 'institute', '{publish:*}', now(), 'tests', now() + interval '9 days 1 hour'),"
        " ('\\x02', 'djt_past', 'institute', '{}', now(), 'tests', now() - interval '1 day'),"
        " ('\\x03', 'djt_other', 'other', '{}', now(), 'tests', now() + interval '9 days') RETURNING 1"
    )
    bureau.rows(
        "INSERT INTO partner_key (partner_id, kid, algorithm, jwk, added_at, added_by, expires_at) VALUES"
        " ('institute', '2026-1', 'EdDSA', '{}', now(), 'tests', now() + interval '90 days') RETURNING 1"
    )
    page = enter("institute", "/partners/institute")
    credentials = page.locator("section", has_text="Tokens and keys in force").locator("tbody tr")
    expect(credentials).to_have_count(2)
    expect(credentials.nth(0)).to_contain_text("djt_live")
    expect(credentials.nth(0)).to_contain_text("in 9 d")
    expect(credentials.nth(1)).to_contain_text("EdDSA")
    assert "djt_other" not in page.locator("#main").inner_text()
    page.get_by_role("link", name="institute", exact=True).click()
    expect(page).to_have_url(f"{bureau.url}/subscriptions/{HOOK}")


def test_partners_user_sees_its_own_alone(enter: Enter, bureau: Bureau) -> None:
    page = enter("institute", "/partners")
    expect(page.locator("tbody tr")).to_have_count(1)
    for path in ("/", "/projects", "/alerts", "/way", "/partners/other", "/search?q=pump"):
        page.goto(bureau.url + path)
        expect(page.locator(".notice.warn")).to_contain_text("Not for your role")
        assert "Sluice" not in page.content()
        assert "Other Works" not in page.content()


def test_partner_reads_its_own_quarantined_records_and_repairs_none(enter: Enter, bureau: Bureau) -> None:
    with psycopg.connect(bureau.stage.dsn) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
            " SELECT id, id, '{publish:*}', ARRAY[source], 100, 5000, 1000, 'tests' FROM (VALUES"
            " ('careless', '/partners/careless'), ('lab', '/partners/careless/lab')) AS wanted (id, source)"
        )
        users.add(cursor, "careless", Role.PARTNER, PASSWORD, "tests", "careless")
    own, theirs = (broken(datetime.now(UTC), event_id) for event_id in ("bad-own", "bad-lab"))
    bureau.stage.send_raw("research.project.event", b"P/9", own)
    bureau.stage.send_raw("research.project.event", b"P/9", theirs.replace(b"/partners/careless", b"/partners/careless/lab"))
    wanted = "SELECT event_id, id FROM quarantine WHERE event_id IN ('bad-own', 'bad-lab')"
    bureau.stage.until(lambda: len(bureau.rows(wanted)) == 2)
    ids = dict(bureau.rows(wanted))

    page = enter("careless", "/partners/careless")
    page.locator("section", has_text="Its records in quarantine").get_by_role("link", name="data_invalid").click()
    record = page.get_by_role("link", name=f"#{ids['bad-own']}", exact=True)
    expect(record).to_be_visible()
    assert "/partners/careless/lab" not in page.locator("#main").inner_text()
    record.click()
    expect(page.locator("#main")).to_contain_text("publish it again under an id of its own")
    expect(page.locator("mark")).to_have_text('  "data": {')
    expect(page.locator(".bytes")).to_contain_text("bad-own")
    assert page.get_by_role("button").all_inner_texts() == ["Sign out"]
    for user, event_id in (("careless", "bad-lab"), ("institute", "bad-own")):
        if user == "institute":
            page = enter(user, "/quarantine")
            expect(page.locator("#main")).to_contain_text("Nothing waits.")
        page.goto(f"{bureau.url}/quarantine/{ids[event_id]}")
        expect(page.locator(".notice.warn")).to_contain_text(f"No Record with the id {ids[event_id]}")
        assert "Sluice" not in page.content()
    bureau.rows("DELETE FROM quarantine WHERE id = ANY(%s) RETURNING 1", list(ids.values()))


# --- deeds ------------------------------------------------------------------------------------------------------------------


def test_acknowledgement_goes_through_the_rules_and_on_record(enter: Enter, bureau: Bureau) -> None:
    page = enter("operator", "/alerts/am%2F1")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".axes")).to_contain_text("acknowledged")
    expect(page.locator(".news")).to_contain_text("operator")
    expect(page.locator(".story .change").first).to_contain_text("infra.alert.acknowledged")
    assert bureau.rows("SELECT handling FROM alert_status WHERE alert_key = 'am/1'") == [("acknowledged",)]
    deeds = bureau.rows(
        "SELECT done_by, action, detail ->> 'event_id' FROM console_deed WHERE kind = 'alert' AND subject = 'am/1'"
    )
    source, by = bureau.rows(
        "SELECT event_source, event::json -> 'data' ->> 'by' FROM event_history WHERE event_id = %s", deeds[0][2]
    )[0]
    assert (deeds[0][:2], source, by) == (("operator", "acknowledge"), "/console/deeds", "operator")
    expect(page.get_by_role("button", name="Acknowledge")).to_be_disabled()


def test_firing_alert_is_closed_with_a_reason_alone(enter: Enter, bureau: Bureau) -> None:
    page = enter("operator", "/alerts/am%2F3")
    page.get_by_role("button", name="Close although it fires").click()
    expect(page.get_by_text("Say why: it goes on record.")).to_be_visible()
    page.get_by_label("Reason").fill("replaced by hand")
    page.get_by_role("button", name="Close although it fires").click()
    expect(page.locator(".axes")).to_contain_text("closed")
    assert bureau.rows("SELECT closed_reason FROM alert_status WHERE alert_key = 'am/3'") == [("forced",)]


def test_alert_is_assigned_and_spoken_about(enter: Enter, bureau: Bureau) -> None:
    page = enter("operator", "/alerts/am%2F2")
    page.get_by_role("button", name="Assign").click()
    expect(page.locator(".news")).to_contain_text("assigned it to operator")
    page.get_by_label("Comment").fill("<i>looking</i> into it")
    page.get_by_role("button", name="Add comment").click()
    expect(page.locator(".news q")).to_have_text("<i>looking</i> into it")
    page.goto(f"{bureau.url}/alerts?show=mine")
    expect(page.locator("tbody tr:visible")).to_have_count(1)


def test_silence_needs_a_reason_shows_its_end_and_can_be_ended(enter: Enter, bureau: Bureau) -> None:
    page = enter("operator", "/alerts/am%2F2")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_text("Say why: it goes on record.")).to_be_visible()
    page.get_by_label("Why quiet").fill("disk is exchanged")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.locator(".axes")).to_contain_text("silenced")
    expect(page.locator(".axes")).to_contain_text("firing")
    expect(page.locator(".news")).to_contain_text("silenced it until 2")
    (until,) = bureau.rows("SELECT silenced_until FROM alert_status WHERE alert_key = 'am/2'")[0]
    assert timedelta(minutes=55) < until - datetime.now(UTC) <= timedelta(hours=1)
    page.goto(f"{bureau.url}/alerts?show=silenced")
    expect(page.locator("tbody tr:visible")).to_have_count(1)
    page.goto(f"{bureau.url}/alerts/am%2F2")
    page.get_by_role("button", name="End silence").click()
    expect(page.locator(".axes")).not_to_contain_text("silenced")
    expect(page.locator(".news")).to_contain_text("ended the silence")


def test_all_shown_are_silenced_at_once_each_on_record(enter: Enter, bureau: Bureau) -> None:
    bureau.stage.send([firing(f"hub/{number}", f"h-{number}", datetime.now(UTC), "low", "behind the hub") for number in (1, 2)])
    page = enter("operator", "/alerts?show=waiting&words=hub/")
    expect(page.locator("tbody tr:visible")).to_have_count(2)
    page.get_by_label("Why quiet").fill("the hub is exchanged")
    page.get_by_role("button", name="Silence those shown").click()
    expect(page.locator("tbody .badge", has_text="silenced")).to_have_count(2)
    assert bureau.rows("SELECT subject FROM console_deed WHERE action = 'silence' AND subject LIKE 'hub/%%' ORDER BY 1") == [
        ("hub/1",),
        ("hub/2",),
    ]


def test_alert_that_nobody_has_seen_yet_is_not_silenced_with_those_shown(enter: Enter, bureau: Bureau) -> None:
    bureau.stage.send([firing(f"dam/{number}", f"d-{number}", datetime.now(UTC), "low", "behind the dam") for number in (1, 2)])
    page = enter("operator", "/alerts?show=waiting&words=dam/")
    expect(page.locator("tbody tr:visible")).to_have_count(2)
    page.get_by_label("Why quiet").fill("the dam is mended")
    silenced = "SELECT subject FROM console_deed WHERE action = 'silence' AND subject LIKE 'dam/%%' ORDER BY 1"
    with psycopg.connect(bureau.stage.dsn) as connection:
        connection.execute("LOCK TABLE alert_status IN ACCESS EXCLUSIVE MODE")  # nothing is drawn until this ends
        connection.execute(
            'INSERT INTO alert_status SELECT (jsonb_populate_record(a, \'{"alert_key": "dam/3"}\')).*'
            " FROM alert_status a WHERE alert_key = 'dam/1'"
        )
        page.get_by_role("button", name="Silence those shown").click()
        bureau.stage.until(lambda: len(bureau.rows(silenced)) >= 2, 7)
    expect(page.locator("tbody tr:visible")).to_have_count(3)
    expect(page.locator("tbody .badge", has_text="silenced")).to_have_count(2)
    assert bureau.rows(silenced) == [("dam/1",), ("dam/2",)]
    bureau.rows("DELETE FROM alert_status WHERE alert_key = 'dam/3' RETURNING 1")


def test_viewer_can_change_nothing(enter: Enter, bureau: Bureau) -> None:
    page = enter("viewer", "/alerts/am%2F2")
    expect(page.locator(".story .change").first).to_be_visible()
    assert page.get_by_role("button").all_inner_texts() == ["Sign out"]
    page.goto(f"{bureau.url}/quarantine/1")
    expect(page.locator(".notice.bad")).to_contain_text("/data/call_id")
    assert "Sluice" not in page.content()


def test_role_taken_away_holds_for_an_open_page(enter: Enter, bureau: Bureau) -> None:
    page = enter("operator", "/alerts/am%2F2")
    bureau.rows("UPDATE console_user SET role = 'viewer' WHERE name = 'operator' RETURNING name")
    try:
        page.get_by_label("Comment").fill("still here")
        page.get_by_role("button", name="Add comment").click()
        expect(page.get_by_text("Your role is “viewer”")).to_be_visible()
        assert bureau.rows("SELECT 1 FROM console_deed WHERE detail ->> 'text' = 'still here'") == []
    finally:
        bureau.rows("UPDATE console_user SET role = 'operator' WHERE name = 'operator' RETURNING name")


def test_record_is_repaired_checked_and_replayed(enter: Enter, bureau: Bureau) -> None:
    page = enter("steward", "/quarantine")
    page.get_by_role("link", name="data_invalid").click()
    page.get_by_role("link", name="#1", exact=True).click()
    expect(page.locator("mark")).to_have_text('  "data": {')
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".notice.bad").nth(1)).to_contain_text(
        re.compile("Still refused: data_invalid /data/call_id .*Field required")
    )
    editor = page.get_by_label("Event")
    mended = json.loads(editor.input_value())
    mended["data"]["call_id"] = "C-1"
    editor.fill(json.dumps(mended))
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".notice.good")).to_contain_text("Good: research.project.event for P/9")
    page.get_by_label("Reason").fill("call asked for by telephone")
    page.get_by_role("button", name="Publish again").click()
    expect(page.locator(".news")).to_contain_text("repaired and replayed it")
    bureau.stage.until(lambda: bureau.rows("SELECT title FROM project_status WHERE project_id = 'P/9'") == [("Sluice",)])
    assert bureau.rows("SELECT state, settled_by, settled_why FROM quarantine WHERE id = 1") == [
        ("replayed", "steward", "call asked for by telephone")
    ]


def test_record_is_set_aside_with_a_reason_alone(enter: Enter, bureau: Bureau) -> None:
    bureau.stage.send_raw("research.project.event", b"P/9", broken(datetime.now(UTC), "bad-2"))
    bureau.stage.until(lambda: bureau.rows("SELECT 1 FROM quarantine WHERE event_id = 'bad-2'") != [])
    ((row_id,),) = bureau.rows("SELECT id FROM quarantine WHERE event_id = 'bad-2'")
    page = enter("steward", f"/quarantine/{row_id}")
    page.get_by_role("button", name="Set aside").click()
    expect(page.get_by_text("Say why: it goes on record.")).to_be_visible()
    page.get_by_label("Reason").fill("a test of theirs")
    page.get_by_role("button", name="Set aside").click()
    expect(page.locator(".news")).to_contain_text("set it aside")
    assert bureau.rows("SELECT state FROM quarantine WHERE id = %s", row_id) == [("parked",)]


def test_subscription_is_paused_with_a_reason_and_its_dead_letter_sent_again(enter: Enter, bureau: Bureau) -> None:
    page = enter("operator", "/subscriptions")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="institute", exact=True).click()
    expect(page.locator("h1")).to_have_text("institute")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Say why: it goes on record.")).to_be_visible()
    page.get_by_label("Why (its partner reads it)").fill("endpoint under attack")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".q-notifications")).to_contain_text("Done and on record.")
    expect(page.locator(".status")).to_contain_text("paused")
    expect(page.locator(".status q")).to_have_text("endpoint under attack")
    page.get_by_role("button", name="Send dead letters again").click()
    expect(page.locator(".news")).to_contain_text("had 1 dead letters sent again")
    expect(page.get_by_role("button", name="Send dead letters again")).to_be_disabled()
    assert bureau.rows("SELECT state, state_by FROM subscription WHERE subscription_id = %s", HOOK) == [("paused", "operator")]
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".status")).to_contain_text("enabled")


def test_partners_user_orders_for_its_own_subscription_alone(enter: Enter, bureau: Bureau) -> None:
    page = enter("institute", "/subscriptions")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.goto(f"{bureau.url}/subscriptions/{READER}")
    expect(page.locator(".notice.warn")).to_be_visible()
    assert "other" not in page.locator("#main").inner_text()
    page.goto(f"{bureau.url}/subscriptions/{HOOK}")
    expect(page.get_by_role("button", name="Disable")).not_to_be_visible()
    page.get_by_label("From number").fill("1")
    page.get_by_label("To number").fill("1")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("1 are sent again, under their old numbers.")).to_be_visible()
    expect(page.locator(".news")).to_contain_text("institute")


@pytest.fixture
def ill(bureau: Bureau) -> Iterator[None]:
    """Beside the bureau's own: a broker that takes nothing, far behind; 40 partners with a webhook each, one disabled."""
    bureau.rows(
        """INSERT INTO subscription (subscription_id, owner, protocol, types, filters, protocolsettings, config, start_at,
               state, state_reason, state_by, state_since, created_at, changed_at)
           SELECT gen_random_uuid(), owner, protocol, '{}', '[]', '{}', '{}', 'now', state, reason,
                  'platform', now(), now(), now()
           FROM (SELECT 'ill-' || n AS owner, 'HTTP' AS protocol, CASE n WHEN 7 THEN 'disabled' ELSE 'enabled' END AS state,
                        CASE n WHEN 7 THEN 'endpoint_failing' ELSE 'validated' END AS reason FROM generate_series(1, 40) n
                 UNION ALL SELECT 'ill-broker', 'MQTT5', 'enabled', 'validated') AS wanted RETURNING 1"""
    )
    bureau.rows(
        "INSERT INTO subscription_progress (subscription_id, failures_in_row, failing_since)"
        " SELECT subscription_id, CASE protocol WHEN 'MQTT5' THEN 10 ELSE 0 END, now() - interval '2 hours' FROM subscription"
        " WHERE owner LIKE 'ill-%%' RETURNING 1"
    )
    bureau.rows(
        "INSERT INTO subscription_position (subscription_id, topic, partition, start_offset, next_offset)"
        " SELECT subscription_id, 'research.project.event', n, 0, 0 FROM subscription, generate_series(0, 11) n"
        " WHERE owner = 'ill-broker' RETURNING 1"
    )
    yield
    bureau.rows("DELETE FROM subscription WHERE owner LIKE 'ill-%%' RETURNING 1")


def test_ways_out_stand_behind_their_topics_and_lead_to_the_worst_subscription(enter: Enter, bureau: Bureau, ill: None) -> None:
    page = enter("viewer", "/way")
    drawn = page.locator("svg.way")
    expect(drawn.locator("a.out")).to_have_count(3)  # however many partners
    expect(drawn.locator("a.out", has_text="Webhooks")).to_contain_text("Subscriptions: 41")
    expect(drawn.locator("g.out.bad", has_text="1 failing")).to_contain_text("Partners: 1")
    expect(drawn.locator("g.out.bad", has_text="1 disabled")).to_contain_text("Partners: 41")
    ((records,),) = bureau.rows("SELECT count(*) FROM event_history WHERE topic = 'research.project.event'")
    row = page.get_by_role("row", name="MQTT brokers")
    unread = int(row.locator("td[data-label=Unread]").inner_text())
    assert unread > records  # what is quarantined is in the log, too
    expect(drawn.locator("text.lag", has_text=f"+{unread}")).to_have_count(1)
    expect(page.get_by_role("row", name="Pull by cursor")).to_contain_text("no trouble")

    page.goto(f"{bureau.url}/way/topic/research.project.event")
    expect(page.locator(".facts")).to_contain_text("MQTT brokers 1")

    page.goto(f"{bureau.url}/way")
    page.get_by_role("link", name="Webhooks").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Webhooks")
    worst = page.locator("table", has=page.locator("caption", has_text="Subscriptions, the worst first")).locator("tbody tr")
    expect(worst).to_have_count(41)
    expect(worst.first).to_contain_text("ill-7")
    expect(worst.first).to_contain_text("its endpoint failed for days")
    page.get_by_role("link", name="institute", exact=True).first.click()
    expect(page.locator("h2", has_text="Subscriptions of institute, the worst first")).to_be_visible()
    expect(worst).to_have_count(0)
    page.locator("section:last-of-type tbody").get_by_role("link", name="institute", exact=True).click()
    assert page.url == f"{bureau.url}/subscriptions/{HOOK}"


def test_what_a_deliverer_sends_stands_on_the_arrow_to_the_agencies(enter: Enter, bureau: Bureau) -> None:
    now = datetime.now(UTC)
    place = Place("research.call.event", 0)
    with psycopg.connect(bureau.stage.dsn) as connection, connection.cursor() as cursor:
        deliveries.settle(cursor, [settlement(number, place, now, "acknowledged") for number in range(100, 160)])
    page = enter("viewer", "/way", language="zh-CN")
    sent = page.get_by_role("row", name="Webhook 推送").locator("td[data-label=每秒确认]")
    expect(sent).to_have_text("2.0")
    expect(page.locator("svg.way text", has_text="2.0").first).to_be_visible()


def test_a_way_out_that_there_is_not_is_said_to_be_missing(enter: Enter) -> None:
    expect(enter("viewer", "/way/out/FAX").locator(".notice.warn")).to_contain_text("No Way out with the id FAX")


def test_work_shows_how_far_it_is_and_is_asked_to_stop(enter: Enter, bureau: Bureau) -> None:
    bureau.rows("UPDATE work SET beat_at = now() RETURNING id")
    page = enter("operator", "/works")
    row = page.get_by_role("row", name="gtr a.csv")  # replays that other tests ordered stand there, too
    expect(row).to_contain_text("400 of about 1,000")
    page.get_by_role("button", name="Cancel Import gtr a.csv").click()
    expect(row).to_contain_text("operator asked it to stop")
    expect(page.get_by_role("button", name="Cancel Import gtr a.csv")).to_have_count(0)
    assert bureau.rows("SELECT cancel_asked_by FROM work WHERE kind = 'ingest'") == [("operator",)]
    assert bureau.rows("SELECT done_by, kind FROM console_deed WHERE action = 'cancel'") == [("operator", "work")]


def test_cancel_of_a_backfill_pauses_its_subscription_and_its_partner_reads_why(enter: Enter, bureau: Bureau) -> None:
    bureau.rows(
        "INSERT INTO work (kind, title, started_by, done, total, snapshot_of, beat_at)"
        " VALUES ('backfill', %s, 'institute', 40, 100, %s, now() - interval '1 hour') RETURNING id",
        str(HOOK),
        HOOK,
    )
    page = enter("operator", "/works")
    row = page.get_by_role("row", name=f"Backfill of a subscription {HOOK}")
    expect(row).to_contain_text("Backfill of a subscription")
    expect(row).to_contain_text("40 of about 100")
    expect(row).to_contain_text("no sign of life")  # its reader is away
    page.get_by_role("button", name=f"Cancel Backfill of a subscription {HOOK}").click()
    expect(row).to_contain_text("cancelled")
    chinese = enter("viewer", "/works", language="zh-CN").get_by_role("row", name=f"订阅回填 {HOOK}")
    expect(chinese).to_contain_text("订阅回填")
    expect(chinese).to_contain_text("已取消")
    told = enter("institute", f"/subscriptions/{HOOK}").locator("#main")
    expect(told).to_contain_text("its snapshot was cancelled")
    expect(told).to_contain_text("the snapshot was cancelled after 40 of 100 events; nothing is lost")
    bureau.rows(
        "UPDATE subscription SET state = 'enabled', state_reason = 'validated', state_by = 'partner', state_note = NULL"
        " WHERE subscription_id = %s RETURNING 1",
        HOOK,
    )


def test_table_behind_a_chart_opens_by_keyboard_and_stays_open_while_figures_move(enter: Enter, bureau: Bureau) -> None:
    page = enter("viewer", "/quarantine")
    drawn = page.get_by_role("img", name=re.compile("What came into the quarantine, by the hour: .*data_invalid"))
    expect(drawn).to_be_visible()
    page.locator("summary", has_text="As a table").focus()
    page.keyboard.press("Enter")
    cell = page.locator("details tbody tr").nth(18).locator("td[data-label=data_invalid]")  # five hours ago
    expect(cell).to_have_text("0")
    bureau.rows(
        "INSERT INTO source_hour VALUES ('/partners/careless', date_trunc('hour', now(), 'UTC') - interval '5 hours',"
        " 'quarantined', 'data_invalid', 0, 1000) RETURNING 1"
    )
    expect(cell).to_have_text("1,000")
    expect(cell).to_be_visible()


def test_charts_of_a_day_say_what_came(enter: Enter, bureau: Bureau) -> None:
    page = enter("viewer")
    drawn = page.get_by_role("img", name=re.compile(r"Events by the hour: [\d,]+ accepted; [1-9].* quarantined"))
    expect(drawn).to_be_visible()
    page.goto(f"{bureau.url}/alerts")
    expect(page.get_by_role("img", name=re.compile("Alerts raised and ended, by the hour: [1-9]"))).to_be_visible()


def test_partner_sees_its_scorecard_of_a_day_and_the_trend(enter: Enter, bureau: Bureau) -> None:
    bureau.rows("UPDATE partner SET promised_s = 3600, promised_at = now() - interval '9 days' RETURNING 1")
    bureau.stage.send([life(datetime.now(UTC))[0]])  # once more
    bureau.stage.drained("history")
    bureau.rows(
        "INSERT INTO partner_refusal VALUES ('institute', date_trunc('hour', now()), 'contract_broken', 5),"
        " ('other', date_trunc('hour', now()), 'rate_exceeded', 3) RETURNING 1"
    )
    page = enter("institute", "/partners/institute")
    card = page.locator("section", has_text="Last 24 hours")
    for words in ("Rejected or quarantined", "Half of them arrived", "of 24 periods", "disbursed_above_contract"):
        expect(card).to_contain_text(words)
    trend = page.get_by_role("img", name=re.compile("The last 7 days: .* accepted; .* quarantined; [1-9]\\d* sent again"))
    expect(trend.locator("rect.refused")).to_have_count(1)
    refused = page.locator("section", has_text="Refused by the gateway, 24 h")
    expect(refused.locator("tbody tr")).to_have_text(re.compile("The event breaks its contract.*5"))
    expect(page.locator("body")).not_to_contain_text("rate_exceeded")  # of the other
    expect(trend.locator("rect.turned_away")).to_have_count(1)
    expect(trend).to_have_attribute("aria-label", re.compile("5 refused by the gateway"))
    refused.get_by_role("link", name="The event breaks its contract").click()
    expect(page.locator("#main h1")).to_have_text("The event breaks its contract")
    expect(page.locator("#main")).to_contain_text("contract_broken")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("#main h1")).to_have_text("事件不符合数据契约")
    listed = enter("viewer", "/partners", language="zh-CN").locator("tbody tr", has_text="institute")
    expect(listed.locator("td[data-label='拒绝率，24 小时']")).to_contain_text("%")


# --- for everybody ----------------------------------------------------------------------------------------------------------


def test_both_languages_and_the_choice_stays(enter: Enter, bureau: Bureau) -> None:
    page = enter("viewer", "/projects")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("#main h1")).to_have_text("项目")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    assert page.url == f"{bureau.url}/projects"
    page.goto(f"{bureau.url}/alerts")
    expect(page.locator("#main h1")).to_have_text("基础设施告警")


def test_refusals_are_told_in_the_reader_s_language_with_the_original_beneath(enter: Enter, bureau: Bureau) -> None:
    page = enter("steward", "/quarantine/1", language="zh-CN")
    error = page.locator(".notice.bad")
    expect(error).to_contain_text("缺少必填字段")
    expect(error.locator("[lang=en]")).to_contain_text("/data/call_id: Field required")
    page.goto(f"{bureau.url}/projects/P%2F1")
    expect(page.locator(".story .change").first).to_contain_text("累计拨付超过合同金额")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_button_that_the_keyboard_reaches_has_a_ring_that_can_be_seen(enter: Enter, bureau: Bureau, scheme: str) -> None:
    page = enter("operator", "/alerts/am%2F2")
    page.goto(f"{bureau.url}/prefer/scheme/{scheme}?next=/console/alerts/am%252F2")
    page.get_by_label("Comment").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Add comment")).to_be_focused()
    style, width_px, ring, ground = page.evaluate(RING)
    assert style == "solid"
    assert width_px >= 2
    assert contrast(ring, ground) >= 3


# Of what has the focus: its outline, and the colour that this is drawn on.
RING = """() => {
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(document.activeElement);
    let below = document.activeElement.parentElement;
    while (getComputedStyle(below).backgroundColor === "rgba(0, 0, 0, 0)") below = below.parentElement;
    return [outlineStyle, parseFloat(outlineWidth), outlineColor, getComputedStyle(below).backgroundColor];
}"""


def contrast(one: str, other: str) -> float:
    """Of two colours as a browser says them (WCAG 2.2, contrast ratio)."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_console_counts_its_pages_questions_and_sign_ins_as_the_catalogue_has_them(enter: Enter, bureau: Bureau) -> None:
    enter("viewer", "/alerts")
    bureau.stage.until(lambda: re.search(r"^dujiang_console_open_pages [1-9]", bureau.metrics(), re.MULTILINE) is not None)
    served = bureau.metrics()
    metered = re.compile(r"^(dujiang_console_\w+?)(?:_bucket|_count|_sum)?(?:\{| )", re.MULTILINE)
    console = {name for name in catalogue() if name.startswith("dujiang_console_")}
    assert set(metered.findall(served)) == console
    assert re.search(r'^dujiang_console_page_seconds_count\{page="alerts"\} [1-9]', served, re.MULTILINE)
    assert re.search(r'^dujiang_console_query_seconds_count\{asked="views"\} [1-9]', served, re.MULTILINE)
    assert re.search(r'^dujiang_console_sign_ins_total\{outcome="let_in"\} [1-9]', served, re.MULTILINE)


def test_browsers_language_is_the_first_choice(enter: Enter) -> None:
    expect(enter("viewer", language="zh-CN").locator("#main h1")).to_have_text("此刻")


def test_keyboard_reaches_content_and_pages(enter: Enter) -> None:
    page = enter("viewer")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#main') !== null")


def test_a_deed_needs_no_mouse(enter: Enter) -> None:
    page = enter("operator", "/alerts/am%2F2")
    page.get_by_label("Comment").wait_for()
    for _ in range(60):  # through the header, the filters and the other deeds
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label') ?? ''").startswith("Comment"):
            break
    page.keyboard.type("by keyboard alone")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Add comment")
    page.keyboard.press("Enter")
    expect(page.locator(".news q", has_text="by keyboard alone")).to_be_visible()


@pytest.mark.parametrize("path", PAGES)
def test_narrow_screen_needs_no_sideways_scrolling(enter: Enter, path: str) -> None:
    page = enter("steward", path, script=WIDEST, viewport={"width": 360, "height": 740})
    page.wait_for_timeout(400)  # what moves while it is drawn
    assert page.evaluate("window.widest") <= 360, page.evaluate(TOO_WIDE)


# Of all pictures of a page: one that is too wide for a moment jumps under the reader's finger.
WIDEST = """
window.widest = 0;
const look = () => {
    window.widest = Math.max(window.widest, document.documentElement?.scrollWidth ?? 0);
    requestAnimationFrame(look);
};
look();
"""

# What ends right of the screen, outermost first: so that a failure says where.
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter(element => !element.closest("nav") && element.getBoundingClientRect().right > window.innerWidth)
    .slice(0, 8)
    .map(element => `${element.getBoundingClientRect().right} px: ${element.outerHTML.slice(0, 160)}`)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_finding_of_axe(enter: Enter, bureau: Bureau, axe: Path, scheme: str) -> None:
    page = enter("steward")
    page.goto(f"{bureau.url}/prefer/scheme/{scheme}?next=/console/")
    found: list[dict[str, Any]] = []
    for path in PAGES:
        page.goto(bureau.url + path)
        page.wait_for_selector("#main h1")
        page.wait_for_timeout(400)  # what the server adds after the first drawing
        page.add_script_tag(content=axe.read_text(encoding="utf-8"))
        broken_rules = page.evaluate("axe.run().then(found => found.violations)")
        found += [
            {"page": path, "rule": rule["id"], "at": rule["nodes"][0]["html"]}
            for rule in broken_rules
            if rule["impact"] in {"serious", "critical"}
        ]
    assert found == []
