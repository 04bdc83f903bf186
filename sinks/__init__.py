"""Downstream stores, one folder each. A sink is the engine without a rule: rows in, bulk write, repeats harmless."""
