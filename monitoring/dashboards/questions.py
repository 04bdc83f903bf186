"""The 25 questions that operators ask, and where each finds its answer: a panel, or what must be built first."""

from typing import NamedTuple

from monitoring.dashboards import DASHBOARDS, alerts, deliveries, pipeline, projects, quality
from monitoring.dashboards.declared import Dashboard, Panel


class Question(NamedTuple):
    """`needs`: what is missing for an answer, or for the rest of it."""

    number: int
    text: str
    panels: tuple[Panel, ...] = ()
    needs: str = ""


QUESTIONS: tuple[Question, ...] = (
    Question(1, "Which projects are overdue today, by how many days, and who owns them?", (projects.OVERDUE,)),
    Question(
        2,
        "Which milestones fall due in the next 30/60/90 days without a report?",
        (projects.MILESTONES_COUNT, projects.MILESTONES),
    ),
    Question(
        3,
        "Which projects passed their end date and have not applied for acceptance; how many of them passed six months?",
        (projects.UNACCEPTED_COUNT, projects.UNACCEPTED),
    ),
    Question(4, "Which extensions are requested, granted, refused; who asked too late?", (projects.EXTENSIONS,)),
    Question(
        5,
        "How much is planned, contracted, paid, accepted this year by programme; what is stuck between states,"
        " and for how long?",
        (projects.MONEY, projects.STUCK),
        "budgets of programmes, for what is planned",
    ),
    Question(6, "Which applications or reviews wait longest, and at which step?", (projects.APPLICATIONS,)),
    Question(
        7,
        "Which calls close in the next 14 days, and how do submissions compare with the last call at the same age?",
        (projects.CALLS,),
    ),
    Question(
        8, "How many achievements are at each step, and where do they stall?", needs="achievements and their transformation"
    ),
    Question(9, "Contract value by kind and industry this quarter against last year?", needs="technology contracts"),
    Question(10, "Which TRL gains are reported without evidence?", needs="reports of technology readiness"),
    Question(
        11,
        "Which alerts are open now, by severity, site and age; which are unacknowledged past their limit?",
        (alerts.OPEN,),
        "assets and their sites; by monitor until then",
    ),
    Question(12, "What is the cause, and what hangs below it (blast radius)?", needs="the topology of assets"),
    Question(
        13,
        "How many notifications per real incident this week; top ten noisy rules and assets; flapping list?",
        (alerts.PER_INCIDENT, alerts.NOISY, alerts.FLAPPING),
        "rules and assets of an alert; by alert until then",
    ),
    Question(
        14,
        "Which sources went silent, since when, and is the whole site gone?",
        (alerts.EXPIRED, quality.PUBLISHERS, quality.RHYTHMS),
        "sites",
    ),
    Question(
        15,
        "What fills up or fails within 4 hours / 7 days by forecast, and how good were last month's forecasts?",
        needs="telemetry and forecasts",
    ),
    Question(
        16,
        "What is under maintenance now, what ends soon, and what is still firing behind a window or a silence?",
        needs="maintenance windows",
    ),
    Question(
        17,
        "MTTA, MTTR and availability by asset class and vendor, against target?",
        (alerts.RESPONSE,),
        "the register of assets, for availability and for classes and vendors (by monitor and severity until then), and targets"
        " for MTTR",
    ),
    Question(
        18,
        "Which enterprises have not reported this period; how complete is each indicator; how big were the revisions?",
        needs="enterprises' reports",
    ),
    Question(19, "Which industries and districts rise or fall beyond their usual range?", needs="indicators"),
    Question(20, "Which qualifications expire in 90 days?", needs="qualifications"),
    Question(21, "Which consultations miss their answer time; by topic and expert; reopen rate?", needs="consultations"),
    Question(
        22,
        "Training and popularisation: seats, attendance, no-shows, districts and groups not reached?",
        needs="courses and popularisation events",
    ),
    Question(
        23,
        "Which connector or publisher is failing, late, duplicating or sending bad data; what is in quarantine and why?",
        (
            quality.PUBLISHERS,
            quality.RHYTHMS,
            quality.CAUSES,
            quality.REJECTIONS,
            quality.TURNED_AWAY,
            quality.DUPLICATES,
            quality.SENT_AGAIN,
            quality.CONNECTORS,
            quality.CONNECTOR_FAULTS,
            quality.CONNECTOR_LAG,
            quality.FILES,
        ),
    ),
    Question(
        24,
        "End-to-end delay from event time to board and alert (p50, p95, p99), consumer lag, oldest parked event?",
        (pipeline.EVENT_DELAY, pipeline.LAG, pipeline.OLDEST_PARKED, pipeline.PARKED),
    ),
    Question(
        25,
        "Who subscribed to what, is every restricted topic read only by those granted, and which agencies lag behind?",
        (deliveries.SUBSCRIBERS, deliveries.UNGRANTED, deliveries.GRANTED),
    ),
)


def dashboard_of(panel: Panel) -> Dashboard:
    """The first dashboard that shows it."""
    return next(dashboard for dashboard in DASHBOARDS if panel in dashboard.panels)
