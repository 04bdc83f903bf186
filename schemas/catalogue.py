"""Every contract of the platform in one registry."""

from schemas import alerts, calls, platform, projects
from schemas.registry import DEFAULT_PREFIX, Registry


def default_registry(prefix: str = DEFAULT_PREFIX) -> Registry:
    """Every contract of the platform, under a prefix for event types."""
    return Registry([*projects.CONTRACTS, *calls.CONTRACTS, *alerts.CONTRACTS, *platform.CONTRACTS], prefix)
