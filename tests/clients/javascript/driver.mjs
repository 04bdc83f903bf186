// Does with the client what each line of JSON on standard input says, and says in a line what came of it: see drivers.py.
import { createInterface } from "node:readline";

import { Accepted, Client, DujiangError, Event, Retries, Signer, verify } from "dujiang-client";

const operations = {
  publish: ({ client, event }) => client.publish(eventOf(event)),

  publish_all: async ({ client, events }) =>
    (await client.publishAll(events.map(eventOf))).map((outcome) =>
      outcome instanceof Accepted
        ? { id: outcome.event.id, receipt: outcome.receipt }
        : { id: outcome.event.id, kind: outcome.problem.kind, faults: outcome.faults },
    ),

  pull: async ({ client, subscription, cursor, limit, wait_s: waitS }) =>
    pageOf(await client.pull(subscription, cursor, { limit, waitS })),

  pages: async ({ client, subscription, count, limit, wait_s: waitS }) => {
    const read = [];
    for await (const page of client.pages(subscription, null, { limit, waitS })) {
      read.push(pageOf(page));
      if (read.length === count) break;
    }
    return read;
  },

  token: ({ client, signer }) => signerOf(signer).token(),

  verify: ({ body, headers, secrets, now_s: nowS, is_event: isEvent }) => {
    const now = nowS === undefined ? Date.now : () => nowS * 1000;
    const delivery = verify(Buffer.from(body, "base64"), headers, secrets, { now });
    return {
      id: delivery.id,
      sent_at_s: delivery.sentAt.getTime() / 1000,
      body: Buffer.from(delivery.body).toString("base64"),
      event: isEvent ? delivery.event() : null,
    };
  },
};

function eventOf({ members, time, ...fields }) {
  return members ?? new Event({ ...fields, ...(time ? { time: new Date(time) } : {}) });
}

function pageOf({ events, cursor, hasMore, withheld }) {
  return { events, cursor, has_more: hasMore, withheld };
}

function signerOf({ partner, kid, pem, audience, scopes, password }) {
  return new Signer(partner, kid, pem, audience, { scopes, password });
}

function clientOf(told, waited) {
  return new Client(told.gateway, told.signer ? signerOf(told.signer) : told.token, {
    language: told.language,
    timeoutS: told.timeout_s,
    retries: new Retries({ attempts: told.attempts, firstS: told.first_s, lastS: told.last_s }),
    sleep: async (seconds) => waited.push(seconds),
    draw: () => told.draw ?? 1,
  });
}

function toldOf(error) {
  if (error instanceof TypeError || error instanceof RangeError) return { name: "Argument", message: error.message };
  if (!(error instanceof DujiangError)) throw error;
  const { name, message, problem = null, retryAfterS = null, earliest = null } = error;
  return { name, message, problem, retry_after_s: retryAfterS, earliest };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { do: operation, client, ...order } = JSON.parse(line);
  const waited = [];
  let said;
  try {
    const made = client === undefined ? null : clientOf(client, waited);
    said = { value: await operations[operation]({ ...order, client: made }) };
  } catch (error) {
    said = { error: toldOf(error) };
  }
  console.log(JSON.stringify({ ...said, waited_s: waited }));
}
