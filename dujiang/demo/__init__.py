"""`dujiang demo`: everything at once on one machine, with simulated partners, a live view and an account at the end."""

from dujiang.demo.run import run_demo

__all__ = ["run_demo"]
