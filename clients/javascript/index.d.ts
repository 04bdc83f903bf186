/** A partner's side of a Dujiang gateway: publish events, verify webhooks, pull a subscription's events. */

/** Publishes to a gateway and pulls from it. Wrong arguments are TypeErrors; what else it throws is a DujiangError. */
export class Client {
  /**
   * `auth` is the API token, or a Signer; null where the gateway asks nobody.
   * Throws TypeError for an address that would send a token in the open.
   */
  constructor(gateway: string, auth?: string | Signer | null, options?: ClientOptions);

  /**
   * Write one event; the receipt means that all in-sync replicas have it. Throws Refused, Unreachable.
   *
   * An event whose outcome is not known may be published again: under its `source` and `id` it counts once.
   */
  publish(event: Event | Members): Promise<Receipt>;

  /**
   * Write a batch, at most 1,000 events and 8 MiB; an outcome for each, in order.
   *
   * All are checked before any is written. When one is faulty none is written: `Rejected.faults` says what is wrong with
   * which, and those without faults were held back with it. Throws Refused when the batch as a whole was, Unreachable.
   */
  publishAll(events: readonly (Event | Members)[]): Promise<(Accepted | Rejected)[]>;

  /**
   * The next page after the cursor; without one from where the subscription began. Waits so long for an event.
   *
   * Throws HistoryExpired when events after the cursor were deleted unread, Refused, Unreachable.
   */
  pull(subscription: string, cursor?: string | null, options?: PullOptions): Promise<Pulled>;

  /** Page after page, for ever; those without events too, since their cursor moves on. Throws as `pull` does. */
  pages(subscription: string, cursor?: string | null, options?: PullOptions): AsyncGenerator<Pulled, never, void>;
}

export interface ClientOptions {
  /** Of the texts of problems: en (the default) or zh. */
  language?: string;
  retries?: Retries;
  /** Of one attempt; 30 by default. A pull has its `waitS` more. */
  timeoutS?: number;
  transport?: Transport;
  sleep?: (seconds: number) => Promise<unknown>;
  /** Gives 0 to 1. */
  draw?: () => number;
}

export interface PullOptions {
  /** Events on a page; 100 by default. */
  limit?: number;
  /** How long the gateway may wait for an event; 20 by default. */
  waitS?: number;
}

/** A CloudEvent in its JSON form; goes out as it is. */
export type Members = Readonly<Record<string, unknown>>;

/** A CloudEvent 1.0.2. `id` and `source` name it for ever: publish it again and nothing happens twice. */
export class Event {
  /** `id` is a new UUID and `time` now, unless given. Throws TypeError for a time that is no Date. */
  constructor(fields: {
    type: string;
    source: string;
    subject: string;
    data?: unknown;
    id?: string;
    time?: Date;
    extensions?: Readonly<Record<string, string | number | boolean>>;
  });
  readonly type: string;
  readonly source: string;
  readonly subject: string;
  readonly data: unknown;
  readonly id: string;
  readonly time: Date;
  readonly extensions: Readonly<Record<string, string | number | boolean>>;
  /** The JSON form. */
  members(): Members;
}

/** The gateway's word that all in-sync replicas have the event. A repeat gets the same receipt. */
export interface Receipt {
  readonly id: string;
  readonly source: string;
  readonly receipt: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** This event is written. */
export class Accepted {
  constructor(event: Members, receipt: Receipt);
  readonly event: Members;
  readonly receipt: Receipt;
}

/**
 * This event is not. `faults` are its own; none means that it is sound and was held back with its batch, or that Kafka did
 * not confirm it: send it again.
 */
export class Rejected {
  constructor(event: Members, problem: Problem, faults?: readonly Fault[]);
  readonly event: Members;
  readonly problem: Problem;
  readonly faults: readonly Fault[];
}

/**
 * A page of a subscription's events. Store `cursor` once all of them are done: the next page begins there.
 *
 * `withheld` counts events that the subscription's owner may not see, by reason.
 */
export interface Pulled {
  readonly events: readonly Members[];
  readonly cursor: string;
  readonly hasMore: boolean;
  readonly withheld: Readonly<Record<string, number>>;
}

/**
 * Doubling waits, drawn anew between half and all so that partners do not come back together.
 *
 * A Retry-After longer than `waitSMax` is not waited for: the refusal is thrown and says it.
 */
export class Retries {
  /** By default 6 attempts, the first wait 0.5 s, the longest 30 s, and at most 120 s on request. */
  constructor(options?: { attempts?: number; firstS?: number; lastS?: number; waitSMax?: number });
  readonly attempts: number;
  readonly firstS: number;
  readonly lastS: number;
  readonly waitSMax: number;
  /** Seconds to wait after the attempt of that number, from 1. */
  waitS(attempt: number, retryAfterS: number | null, draw?: () => number): number;
  /** Whether to give up after this attempt. */
  isLast(attempt: number, retryAfterS: number | null): boolean;
}

/** Signs by a private key: a JWT for each request, EdDSA or ES256. */
export class Signer {
  /**
   * The key is a PEM (Ed25519 or P-256), `audience` the gateway's name, as its operator gives it. `scopes` narrow what the
   * tokens may; without any they may all that the partner may. `now` gives milliseconds. Throws TypeError for another kind of
   * key.
   */
  constructor(
    partner: string,
    kid: string,
    privateKey: string | Uint8Array,
    audience: string,
    options?: { password?: string; scopes?: readonly string[]; now?: () => number },
  );
  /** A token for one request: a repeat of the request needs another. */
  token(): string;
}

/**
 * The delivery, if one of the secrets signed the body's exact bytes within `toleranceS` (300 by default); both ways, since
 * clocks differ.
 *
 * A secret is `whsec_…` (v1) or the gateway's public key `whpk_…` (v1a). Hand in the old and the new one while they are being
 * changed. `now` gives milliseconds. Throws SignatureInvalid; TypeError for a secret that can be none.
 */
export function verify(
  body: Uint8Array | string,
  headers: Iterable<[string, string]> | Readonly<Record<string, string | string[] | undefined>>,
  secrets: string | readonly string[],
  options?: { toleranceS?: number; now?: () => number },
): Delivery;

/** A webhook that proved its origin. `id` stays the same when it is sent again: use it to do things once. */
export interface Delivery {
  readonly id: string;
  readonly sentAt: Date;
  readonly body: Uint8Array;
  /** The CloudEvent in its JSON form. Throws SyntaxError when the body is no JSON. */
  event(): any;
}

/** Problem details (RFC 9457). Branch on `kind`, the stable end of `type`; the texts are for people. */
export interface Problem {
  readonly kind: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly next: string;
  readonly instance: string;
  readonly faults: readonly Fault[];
}

/** One thing that is wrong: a stable code, a JSON pointer to it, and words for people. */
export interface Fault {
  readonly reason: string;
  readonly pointer: string;
  readonly detail: string;
}

/** Whatever this package throws, but for wrong arguments (TypeError). */
export class DujiangError extends Error {
  readonly name: string;
}

/** The gateway's refusal. `retryAfterS` says when to come again, where that helps. */
export class Refused extends DujiangError {
  constructor(problem: Problem, retryAfterS?: number | null);
  readonly name: "Refused" | "HistoryExpired";
  readonly problem: Problem;
  readonly retryAfterS: number | null;
}

/** 410: events after the cursor are gone. To go on from `earliest` is to accept the gap. */
export class HistoryExpired extends Refused {
  constructor(problem: Problem, earliest: string | null);
  readonly name: "HistoryExpired";
  readonly earliest: string | null;
}

/**
 * No answer that helps, after all tries; whether the request took effect is not known. The last attempt's failure is the cause.
 */
export class Unreachable extends DujiangError {
  readonly name: "Unreachable";
}

/** Do not act on this delivery; answer 401. */
export class SignatureInvalid extends DujiangError {
  readonly name: "SignatureInvalid";
}

export interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  readonly timeoutS: number;
}

/** Names of headers are in lower case. */
export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Anything that carries a request. It follows no redirects and tries nothing again. Throws TransportFailed. */
export type Transport = (request: Request) => Promise<Response>;

/** Node's own fetch, which keeps connections open. */
export const httpTransport: Transport;

/** No whole response came; whether the request took effect is not known. */
export class TransportFailed extends Error {
  readonly name: "TransportFailed";
}
