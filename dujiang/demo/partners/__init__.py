"""Simulated partners of the demo: what each says (`scripts`), how it is sent (`door`), how quickly (`partner`).

Scripts are pure given a seed, a run's name and a clock. Partners speak to the gateway over HTTP as real ones will, with
nothing of ours between: they write their CloudEvents by hand.
"""

from dujiang.demo.partners.acts import Act, Event, Stage, Straight, Webhook, Wrong
from dujiang.demo.partners.partner import Partner
from dujiang.demo.partners.scripts import CAST, Role

__all__ = ["CAST", "Act", "Event", "Partner", "Role", "Stage", "Straight", "Webhook", "Wrong"]
