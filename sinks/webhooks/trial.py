"""Whether a broker or a store wants our deliveries, which have nothing to answer a question by.

It agrees by taking a trial message with the credential that its owner gave us. That says something only of one that refuses
strangers, so it is tried without a credential first: whoever takes anything has agreed to nothing.
"""

from typing import Final

from sinks.webhooks.handshake import Granted, Refused
from sinks.webhooks.schedule import Answer

ANONYMOUS_ACCEPTED: Final = Refused(
    "anonymous_accepted",
    "the sink takes what comes without a credential, so it cannot show that it wants ours; close it to strangers, then resume",
    is_final=True,
)


def agreed(answer: Answer, rate_per_minute: int | None) -> Granted | Refused:
    """By the answer to the trial message. A credential that is refused is not tried again: that would lock its account."""
    if answer.outcome == "acknowledged":
        return Granted(rate_per_minute)
    said = f" ({answer.detail})" if answer.detail else ""
    if answer.outcome == "unauthorised":
        return Refused(
            "credential_refused",
            f"the sink refused the credential, or what it may do{said}; PUT /subscriptions/{{id}}/credential, then resume",
            is_final=True,
        )
    status = "" if answer.status is None else f"HTTP {answer.status}, "
    return Refused("trial_failed", f"a trial message was not taken: {status}{answer.outcome}{said}")
