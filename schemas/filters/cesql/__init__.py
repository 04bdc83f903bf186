"""CloudEvents SQL 1.0.0: https://github.com/cloudevents/spec/blob/cesql/v1.0.0/cesql/spec.md.

`parse` once, `Expression.evaluate` or `.matches` for each event. Parsing raises `ParseError`; evaluation never raises.

Where the norm is silent or at odds with itself, we decided:
- `NOT 10` is a cast error, as the test kit has it, though 3.7 casts integers; AND, OR, XOR, `=` and BOOL follow 3.7.
- AND, OR and XOR have one precedence and are read from left to right (3.6), though the published grammar reads from right.
- A word that can only be a name is one (`EXISTS not`, `in = 5`), because every attribute must be addressable (3.2).
- `4-1` is a subtraction (2.3); `'it''s'` is `it's`, as the published lexer admits and SQL means; no other escape than the
  delimiting quote's.
- Overflow is a math error. IN looks no further than the first match. The first error decides.
"""

from schemas.filters.cesql.errors import Failure, Kind, ParseError
from schemas.filters.cesql.expression import Evaluation, Expression, parse
from schemas.filters.cesql.nodes import Attributes, Value

__all__ = ["Attributes", "Evaluation", "Expression", "Failure", "Kind", "ParseError", "Value", "parse"]
