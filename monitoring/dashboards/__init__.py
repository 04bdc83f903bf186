"""Grafana's dashboards as code: `declared.py` says what a panel is, one file a dashboard says which, `built.py` makes the JSON.

`python -m monitoring.dashboards` writes monitoring/grafana/dashboards/. Only `built.py` needs Grafana's SDK (extra `dev`).
"""

from monitoring.dashboards import alerts, deliveries, objectives, overview, pipeline, projects, quality, servers, story
from monitoring.dashboards.declared import Dashboard

DASHBOARDS: tuple[Dashboard, ...] = (
    overview.DASHBOARD,
    projects.DASHBOARD,
    alerts.DASHBOARD,
    pipeline.DASHBOARD,
    servers.DASHBOARD,
    deliveries.DASHBOARD,
    quality.DASHBOARD,
    objectives.DASHBOARD,
    story.DASHBOARD,
)
