// A partner's own key in the place of a token: a JWT for each request, EdDSA or ES256.

import { createPrivateKey, randomUUID, sign } from "node:crypto";

const LIFE_S = 60;

export class Signer {
  #key;
  #algorithm;
  #claims;
  #kid;
  #now;

  constructor(partner, kid, privateKey, audience, { password, scopes = [], now = Date.now } = {}) {
    this.#key = loaded(privateKey, password);
    this.#algorithm = algorithmOf(this.#key);
    this.#claims = { iss: partner, aud: audience, ...(scopes.length > 0 ? { scope: scopes.join(" ") } : {}) };
    this.#kid = kid;
    this.#now = now;
  }

  token() {
    const nowS = Math.floor(this.#now() / 1000);
    const claims = { ...this.#claims, iat: nowS, exp: nowS + LIFE_S, jti: randomUUID() };
    const signed = `${part({ alg: this.#algorithm, kid: this.#kid, typ: "JWT" })}.${part(claims)}`;
    return `${signed}.${this.#sign(Buffer.from(signed)).toString("base64url")}`;
  }

  #sign(content) {
    if (this.#algorithm === "EdDSA") return sign(null, content, this.#key);
    // JWTs carry the two numbers side by side (RFC 7518, 3.4), not as DER.
    return sign("sha256", content, { key: this.#key, dsaEncoding: "ieee-p1363" });
  }
}

function loaded(privateKey, password) {
  try {
    return createPrivateKey({ key: privateKey, passphrase: password });
  } catch (error) {
    throw new TypeError(`the private key cannot be read: ${error.message}`, { cause: error });
  }
}

function algorithmOf(key) {
  if (key.asymmetricKeyType === "ed25519") return "EdDSA";
  if (key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails.namedCurve === "prime256v1") return "ES256";
  throw new TypeError("only Ed25519 and P-256 keys sign here: openssl genpkey -algorithm ed25519 -out key.pem");
}

function part(members) {
  return Buffer.from(JSON.stringify(members)).toString("base64url");
}
