"""Subscribers at the front door: they keep their subscriptions, read by cursor or stream, and rehearse filters.

routes      the addresses; requests and answers are their JSON
reading     one page of a subscriber's events, rights looked at anew for each
tail        the newest records, read and decoded once for all readers; catch_up reads older ones
rehearsal   what a filter would have let through
"""
