"""Publish one event with the Python client: with TOKEN, or signed by the private key in the file KEY under the name KID."""

import os
from pathlib import Path

from dujiang_client import Client, Event, Signer

partner, gateway = os.environ["PARTNER"], os.environ["GATEWAY"]
auth: str | Signer
if "KEY" in os.environ:
    auth = Signer(partner, os.environ["KID"], Path(os.environ["KEY"]).read_bytes(), os.environ["AUDIENCE"])
else:
    auth = os.environ["TOKEN"]

receipt = Client(gateway, auth).publish(
    Event(
        type="gov.stiib.research.application.submitted.v1",
        source=f"/partners/{partner}",
        subject="P-python",
        data={"call_id": "C-1", "title": "静音水泵", "lead": "Institute 7", "budget": 500_000},
    )
)
print(receipt)
