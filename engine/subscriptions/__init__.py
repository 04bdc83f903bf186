"""Subscriptions in PostgreSQL: their tables, and the register that gateways and delivering workers share."""
