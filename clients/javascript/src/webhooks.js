// Does a webhook come from the gateway: Standard Webhooks 1.0, HMAC-SHA256 (`v1`) and ed25519 (`v1a`).
//
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

import { createHmac, createPublicKey, timingSafeEqual, verify as verifies } from "node:crypto";

import { SignatureInvalid } from "./errors.js";

const TOLERANCE_S = 300;
const SIGNATURES_MAX = 20;
const SECRET_BYTES = [24, 64];
const PUBLIC_KEY_BYTES = [32, 32];

const [SECRET, PUBLIC] = ["whsec_", "whpk_"];
const NAMES = ["webhook-id", "webhook-timestamp", "webhook-signature"];
const SECONDS = /^[0-9]{1,12}$/;
const ID = /^[!-~]{1,255}$/;
// Node's own decoder passes over what is no Base64.
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function verify(body, headers, secrets, { toleranceS = TOLERANCE_S, now = Date.now } = {}) {
  const keys = (typeof secrets === "string" ? [secrets] : secrets).map(keyOf);
  if (keys.length === 0) throw new TypeError("verify needs a secret: whsec_… or whpk_…");
  if (typeof body !== "string" && !(body instanceof Uint8Array)) {
    throw new TypeError("verify needs the body's bytes as they came, not what was parsed of them");
  }
  const octets = Buffer.from(body);
  const [id, timestamp, signature] = named(headers);
  if (!ID.test(id) || id.includes(".")) {
    throw new SignatureInvalid("the header webhook-id is no id; it holds visible characters and no dot");
  }
  if (!SECONDS.test(timestamp)) throw new SignatureInvalid("the header webhook-timestamp is no whole number of seconds");
  const ageS = now() / 1000 - Number(timestamp);
  if (Math.abs(ageS) > toleranceS) {
    const age = `${Math.abs(ageS).toFixed(0)} s ${ageS > 0 ? "old" : "ahead"}`;
    throw new SignatureInvalid(`the webhook is ${age}, at most ${toleranceS} s; check this clock`);
  }
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), octets]);
  const fits = ([version, given]) => keys.some((key) => key.version === version && key.check(signed, given));
  if (!signatures(signature).some(fits)) {
    throw new SignatureInvalid("no signature of the webhook is by one of the secrets; compare them with the subscription's");
  }
  return new Delivery(id, new Date(Number(timestamp) * 1000), octets);
}

class Delivery {
  constructor(id, sentAt, body) {
    Object.assign(this, { id, sentAt, body });
  }

  event() {
    return JSON.parse(this.body.toString());
  }
}

/** Values of the three headers. `headers` are pairs, as of fetch, or an object, as of node:http. */
function named(headers) {
  const found = new Map();
  for (const [name, value] of headers[Symbol.iterator] ? headers : Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!NAMES.includes(lower)) continue;
    const values = Array.isArray(value) ? value : [value];
    if (found.has(lower) || values.length > 1) throw new SignatureInvalid(`the header ${lower} came twice`);
    found.set(lower, values[0]);
  }
  const missing = NAMES.find((name) => typeof found.get(name) !== "string");
  if (missing) throw new SignatureInvalid(`the header ${missing} is missing`);
  return NAMES.map((name) => found.get(name));
}

/** What can be read of the list; versions to come, and rubbish, are passed over. */
function signatures(header) {
  const tokens = header.trim().split(/\s+/).slice(0, SIGNATURES_MAX);
  return tokens
    .map((token) => /^([^,]*),(.*)$/.exec(token))
    .filter((parts) => parts !== null && BASE64.test(parts[2]))
    .map(([, version, text]) => [version, Buffer.from(text, "base64")]);
}

function keyOf(secret) {
  if (secret.startsWith(PUBLIC)) {
    const x = octetsOf(secret.slice(PUBLIC.length), PUBLIC_KEY_BYTES).toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    return { version: "v1a", check: (signed, given) => verifies(null, signed, key, given) };
  }
  if (!secret.startsWith(SECRET)) {
    throw new TypeError("a secret begins with whsec_ (shared) or whpk_ (the gateway's public key)");
  }
  const shared = octetsOf(secret.slice(SECRET.length), SECRET_BYTES);
  return {
    version: "v1",
    check: (signed, given) => {
      const right = createHmac("sha256", shared).update(signed).digest();
      return given.length === right.length && timingSafeEqual(right, given);
    },
  };
}

function octetsOf(text, [least, most]) {
  const octets = BASE64.test(text) ? Buffer.from(text, "base64") : Buffer.alloc(0);
  if (octets.length < least || octets.length > most) {
    throw new TypeError(`the secret is not ${least} to ${most} bytes in base64 after its prefix`);
  }
  return octets;
}
