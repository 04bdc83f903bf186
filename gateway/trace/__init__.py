"""One event's way, from its publisher's request to each subscriber's acknowledgement: `GET /events/trace`."""
