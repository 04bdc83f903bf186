"""Deliveries into object stores of subscribers: one object for each event."""
