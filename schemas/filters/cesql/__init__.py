"""CloudEvents SQL 1.0.0: https://github.com/cloudevents/spec/blob/cesql/v1.0.0/cesql/spec.md.

`parse` once, `Expression.evaluate` or `.matches` for each event. Parsing raises `ParseError`; evaluation never raises.
Where the norm is silent or contradicts itself, the choice stands where it is made and in docs/reference/filters.md.
"""

from schemas.filters.cesql.errors import Failure, Kind, ParseError
from schemas.filters.cesql.expression import Evaluation, Expression, parse
from schemas.filters.cesql.nodes import Attributes, Value

__all__ = ["Attributes", "Evaluation", "Expression", "Failure", "Kind", "ParseError", "Value", "parse"]
