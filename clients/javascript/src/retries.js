// When to try again, and how long to wait before.

// Nobody knows what became of these, or they ask to come again. 409 only where the first request is still under way.
export const AGAIN = new Set([207, 408, 425, 429, 500, 502, 503, 504]);
export const IN_FLIGHT = "in_flight";

// The one form of a date that HTTP lets anybody write (RFC 9110, 5.6.7); Date.parse alone takes "1.5" for one.
const DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

export class Retries {
  constructor({ attempts = 6, firstS = 0.5, lastS = 30, waitSMax = 120 } = {}) {
    Object.assign(this, { attempts, firstS, lastS, waitSMax });
    Object.freeze(this);
  }

  waitS(attempt, retryAfterS, draw = Math.random) {
    const backoffS = Math.min(this.lastS, this.firstS * 2 ** (attempt - 1)) * (0.5 + draw() / 2);
    return retryAfterS === null ? backoffS : Math.max(backoffS, retryAfterS + draw() * this.firstS);
  }

  isLast(attempt, retryAfterS) {
    return attempt >= this.attempts || (retryAfterS ?? 0) > this.waitSMax;
  }
}

/** Seconds of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3); null for neither. */
export function retryAfterS(value, nowMs = Date.now()) {
  const words = (value ?? "").trim();
  if (/^\d+$/.test(words)) return Number(words);
  const thenMs = DATE.test(words) ? Date.parse(words) : Number.NaN;
  return Number.isNaN(thenMs) ? null : Math.max(0, (thenMs - nowMs) / 1000);
}
