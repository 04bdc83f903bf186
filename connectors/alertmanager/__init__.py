"""Prometheus Alertmanager's webhook (version 4): live through the gateway, or replayed from a capture."""
