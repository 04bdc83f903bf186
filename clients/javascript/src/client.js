// The client: one gateway, one partner.

import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";

import { HistoryExpired, problemOf, Refused, Unreachable } from "./errors.js";
import { Accepted, membersOf, Rejected } from "./events.js";
import { AGAIN, IN_FLIGHT, Retries, retryAfterS } from "./retries.js";
import { Signer } from "./signing.js";
import { httpTransport, TransportFailed } from "./transport.js";

const STRUCTURED = "application/cloudevents+json";
const BATCH = "application/cloudevents-batch+json";
const TIMEOUT_S = 30;
const PAGE_EVENTS = 100;
const WAIT_S = 20;
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);
const RECEIPT = ["id", "source", "receipt", "topic", "partition", "offset"];

export class Client {
  #base;
  #auth;
  #language;
  #retries;
  #timeoutS;
  #transport;
  #sleep;
  #draw;

  constructor(gateway, auth = null, options = {}) {
    this.#base = baseOf(gateway, auth);
    this.#auth = auth;
    this.#language = options.language ?? "en";
    this.#retries = options.retries ?? new Retries();
    this.#timeoutS = options.timeoutS ?? TIMEOUT_S;
    this.#transport = options.transport ?? httpTransport;
    this.#sleep = options.sleep ?? ((seconds) => wait(seconds * 1000));
    this.#draw = options.draw ?? Math.random;
  }

  async publish(event) {
    const answer = await this.#post(STRUCTURED, membersOf(event));
    return understood(answer, (members) => receiptOf(members.receipts[0]));
  }

  async publishAll(events) {
    if (events.length === 0) return [];
    const sent = events.map(membersOf);
    let answer;
    try {
      answer = await this.#post(BATCH, sent);
    } catch (error) {
      if (error instanceof Refused) return rejected(sent, error);
      throw error;
    }
    return understood(answer, (members) => outcomesOf(sent, members));
  }

  async pull(subscription, cursor = null, { limit = PAGE_EVENTS, waitS = WAIT_S } = {}) {
    const query = new URLSearchParams({ limit, wait: waitS, ...(cursor === null ? {} : { cursor }) });
    const path = `/subscriptions/${encodeURIComponent(subscription)}/events?${query}`;
    const answer = await this.#answer("GET", path, {}, undefined, this.#timeoutS + waitS);
    return understood(answer, pageOf);
  }

  async *pages(subscription, cursor = null, options = {}) {
    let from = cursor;
    while (true) {
      const page = await this.pull(subscription, from, options);
      from = page.cursor;
      yield page;
    }
  }

  #post(contentType, value) {
    // One key for all attempts: a repeat of a request that was accepted gets the first receipts.
    const headers = { "content-type": contentType, "idempotency-key": `"${randomUUID()}"` };
    return this.#answer("POST", "/events", headers, Buffer.from(JSON.stringify(value, refuseWhatIsNoJson)), this.#timeoutS);
  }

  /** The answer of the attempt that helped, or of the last one if it says more than that it failed. */
  async #answer(method, path, headers, body, timeoutS) {
    for (let attempt = 1; ; attempt += 1) {
      // Each attempt has a token of its own: a signed one works once.
      const request = { method, url: this.#base + path, headers: { ...this.#headers(), ...headers }, body, timeoutS };
      let wantedS = null;
      try {
        const answer = await this.#transport(request);
        wantedS = retryAfterS(answer.headers["retry-after"]);
        if (!isWorthRepeating(answer) || this.#retries.isLast(attempt, wantedS)) return checked(answer, wantedS);
      } catch (failure) {
        if (!(failure instanceof TransportFailed)) throw failure;
        if (attempt >= this.#retries.attempts) {
          throw new Unreachable(`no answer after ${attempt} attempts: ${failure.message}`, { cause: failure });
        }
      }
      await this.#sleep(this.#retries.waitS(attempt, wantedS, this.#draw));
    }
  }

  #headers() {
    const headers = { accept: "application/json", "accept-language": this.#language, "user-agent": "dujiang-client" };
    if (this.#auth === null) return headers;
    return { ...headers, authorization: `Bearer ${this.#auth instanceof Signer ? this.#auth.token() : this.#auth}` };
  }
}

function baseOf(gateway, auth) {
  const address = URL.canParse(gateway) ? new URL(gateway) : null;
  const isPlain = /^https?:\/\/[^/]/i.test(gateway) && !/[@?#\\]/.test(gateway);
  if (address === null || !isPlain) {
    throw new TypeError(`'${gateway}' is no gateway's address; write https://gateway.bureau.example`);
  }
  if (auth !== null && address.protocol === "http:" && !LOOPBACK.has(address.hostname)) {
    throw new TypeError(`'${gateway}': whoever listens would read the token; use https`);
  }
  return address.origin + address.pathname.replace(/\/+$/, "");
}

/** JSON.stringify would write null for these, and leave out the other: better no event than another one. */
function refuseWhatIsNoJson(name, value) {
  const isNone = typeof value === "number" ? !Number.isFinite(value) : ["function", "symbol"].includes(typeof value);
  if (isNone) throw new TypeError(`the member '${name}' is no JSON: ${String(value)}`);
  return value;
}

/** What `read` makes of an answer. A proxy's page with status 200 is no answer of the gateway's. */
function understood(answer, read) {
  try {
    const members = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(answer.body));
    return read(members);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
    const message = `the answer ${answer.status} is not the gateway's; is the address right? ${error.message}`;
    throw new Unreachable(message, { cause: error });
  }
}

function isWorthRepeating(answer) {
  return AGAIN.has(answer.status) || (answer.status === 409 && problemIn(answer).kind === IN_FLIGHT);
}

function checked(answer, wantedS) {
  if (answer.status >= 200 && answer.status < 300) return answer;
  const problem = problemIn(answer);
  if (answer.status !== 410) throw new Refused(problem, wantedS);
  const earliest = membersIn(answer).earliest_cursor;
  throw new HistoryExpired(problem, typeof earliest === "string" ? earliest : null);
}

/** Of 202 and 207: receipts stand in the events' order, problems say where they belong. */
function outcomesOf(events, members) {
  const problems = new Map((members.problems ?? []).map((one) => [one.index, problemOf(one, one.status)]));
  const receipts = members.receipts[Symbol.iterator]();
  return events.map((event, index) => {
    const problem = problems.get(index);
    return problem ? new Rejected(event, problem, problem.faults) : new Accepted(event, receiptOf(receipts.next().value));
  });
}

/** Of a refusal that points at events: each with its own faults. Another refusal is thrown again. */
function rejected(events, refused) {
  const faults = events.map(() => []);
  for (const fault of refused.problem.faults) {
    const [, index, rest] = /^\/?([0-9]+)(?:\/(.*))?$/s.exec(fault.pointer) ?? [];
    if (Number(index) < events.length) faults[Number(index)].push({ ...fault, pointer: rest ? `/${rest}` : "" });
  }
  if (faults.every((own) => own.length === 0)) throw refused;
  return events.map((event, index) => new Rejected(event, refused.problem, faults[index]));
}

function receiptOf(members) {
  return Object.fromEntries(RECEIPT.map((name) => [name, needed(members, name)]));
}

function pageOf(members) {
  const events = needed(members, "events");
  if (!Array.isArray(events)) throw new TypeError("its events are no list");
  const { has_more: hasMore = false, withheld } = members;
  return { events, cursor: needed(members, "cursor"), hasMore, withheld: withheld ?? {} };
}

function needed(members, name) {
  if (members[name] === undefined) throw new TypeError(`it has no '${name}'`);
  return members[name];
}

/** Also of an answer that is none, as a proxy's in between. */
function problemIn(answer) {
  return problemOf(membersIn(answer), answer.status);
}

function membersIn(answer) {
  const otherwise = { detail: `an answer of ${answer.body.length} bytes that is no problem` };
  try {
    const members = JSON.parse(Buffer.from(answer.body).toString());
    return typeof members === "object" && members !== null && !Array.isArray(members) ? members : otherwise;
  } catch (error) {
    if (error instanceof SyntaxError) return otherwise;
    throw error;
  }
}
