"""Which events a subscriber gets: the filters of the CloudEvents Subscriptions API, and CESQL beneath.

`compile_filters` once for a subscription, then `Filters.matches(event)`, or `.passes(attributes)` where one event meets
many subscriptions and `attributes_of(event)` is worth doing once.
"""

from schemas.filters.attributes import attributes_as_written, attributes_of
from schemas.filters.dialects import DIALECTS, Filters, Predicate, compile_filters
from schemas.filters.errors import FilterError

__all__ = ["DIALECTS", "FilterError", "Filters", "Predicate", "attributes_as_written", "attributes_of", "compile_filters"]
