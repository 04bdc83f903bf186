// A webhook endpoint: verify with the Standard Webhooks library, read with the CloudEvents SDK for JavaScript, acknowledge.
// SECRET is what `POST /subscriptions/{id}/secrets` showed: whsec_ of v1, or whpk_ of v1a, which the library does not know yet.
import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { HTTP } from "cloudevents";
import { Webhook } from "standardwebhooks";

const { SECRET, PORT } = process.env;
const SPKI = Buffer.from("302a300506032b6570032100", "hex"); // what stands before the 32 bytes of an Ed25519 key

function verifyV1a(body, headers) {
  const key = createPublicKey({
    key: Buffer.concat([SPKI, Buffer.from(SECRET.replace("whpk_", ""), "base64")]),
    format: "der",
    type: "spki",
  });
  const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
  const isFresh = Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"])) <= 300;
  const signatures = (headers["webhook-signature"] ?? "").split(" ").filter((one) => one.startsWith("v1a,"));
  if (!isFresh || !signatures.some((one) => verify(null, signed, key, Buffer.from(one.slice(4), "base64")))) {
    throw new Error("no signature of v1a fits");
  }
}

const check = SECRET.startsWith("whpk_")
  ? verifyV1a
  : (body, headers) => new Webhook(SECRET).verify(body, headers, { jsonParse: false });

const server = createServer(async (request, response) => {
  if (request.method === "OPTIONS") {
    // Consent (CloudEvents webhooks, section 4): name the origins that you want deliveries from.
    response.setHeader("webhook-allowed-origin", request.headers["webhook-request-origin"] ?? "");
    response.setHeader("webhook-allowed-rate", "*");
    response.end();
    return;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  try {
    check(body, request.headers);
  } catch {
    response.writeHead(401).end();
    return;
  }
  // `webhook-id` is the same each time that an event is sent again: remember it where your work is stored.
  const event = HTTP.toEvent({ headers: request.headers, body });
  console.log(JSON.stringify({ id: request.headers["webhook-id"], event }));
  response.writeHead(204).end();
});
server.listen(Number(PORT ?? 8000), "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
