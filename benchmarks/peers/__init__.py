"""Dujiang beside its peers on the same events in one run: what each costs, and what each does less."""
