"""The one catalogue of metrics; dashboards and alert rules as code."""
