#!/bin/sh
# Publish one event with curl. GATEWAY, TOKEN and PARTNER come from the environment.
set -eu

curl --silent --show-error --fail-with-body --max-time 30 --retry 5 \
  "$GATEWAY/events" \
  --header "authorization: Bearer $TOKEN" \
  --header 'content-type: application/cloudevents+json' \
  --data "{
    \"specversion\": \"1.0\", \"id\": \"curl-1\", \"source\": \"/partners/$PARTNER\",
    \"type\": \"gov.stiib.research.application.submitted.v1\",
    \"subject\": \"P-curl\", \"time\": \"2026-03-02T08:00:00Z\",
    \"data\": {\"call_id\": \"C-1\", \"title\": \"静音水泵\", \"lead\": \"Institute 7\", \"budget\": 500000}
  }"
