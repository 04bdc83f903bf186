// A partner's side of a Dujiang gateway: publish events, verify webhooks, pull a subscription's events.
// `Client` is what to begin with; `verify` stands alone, for whoever only receives. Types and words for each: index.d.ts.

export { Client } from "./client.js";
export { DujiangError, HistoryExpired, Refused, SignatureInvalid, Unreachable } from "./errors.js";
export { Accepted, Event, Rejected } from "./events.js";
export { Retries } from "./retries.js";
export { Signer } from "./signing.js";
export { httpTransport, TransportFailed } from "./transport.js";
export { verify } from "./webhooks.js";
