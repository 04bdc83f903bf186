// Publish one event with the CloudEvents SDK for JavaScript, in binary mode; MODE=structured for the other.
import { CloudEvent, HTTP } from "cloudevents";

const { GATEWAY, TOKEN, PARTNER, MODE } = process.env;
const event = new CloudEvent({
  id: `js-${MODE ?? "binary"}`,
  source: `/partners/${PARTNER}`,
  type: "gov.stiib.research.application.submitted.v1",
  subject: "P-js",
  time: "2026-03-02T08:00:00.000Z",
  data: { call_id: "C-1", title: "静音水泵", lead: "Institute 7", budget: 500000 },
});
const message = MODE === "structured" ? HTTP.structured(event) : HTTP.binary(event);
const answer = await fetch(`${GATEWAY}/events`, {
  method: "POST",
  headers: { ...message.headers, authorization: `Bearer ${TOKEN}` },
  // The SDK leaves the data of a binary event as it is.
  body: typeof message.body === "string" ? message.body : JSON.stringify(message.body),
});
console.log(await answer.text());
process.exitCode = answer.status === 202 ? 0 : 1;
