// HTTP as the client uses it: a request in, a response out. The seam for tests, proxies and other HTTP libraries.

const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

/** No whole response came; whether the request took effect is not known. */
export class TransportFailed extends Error {
  get name() {
    return "TransportFailed";
  }
}

/**
 * Node's own fetch, which keeps connections open. It follows no redirects and tries nothing again: the client does what is
 * right.
 */
export async function httpTransport({ method, url, headers, body, timeoutS }) {
  const named = new Headers(headers); // a token that can be no header is the caller's fault, not the network's
  const signal = AbortSignal.timeout(Math.ceil(timeoutS * 1000));
  try {
    const answer = await fetch(url, { method, headers: named, body, redirect: "manual", signal });
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await readAll(answer) };
  } catch (error) {
    const { origin, pathname } = new URL(url);
    const failure = error.cause?.code ?? error.cause?.message ?? error.message;
    const reason = error.name === "TimeoutError" ? `no whole answer within ${timeoutS} s` : failure;
    throw new TransportFailed(`${method} ${origin}${pathname}: ${reason}`, { cause: error });
  }
}

async function readAll(answer) {
  const parts = [];
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > RESPONSE_BYTES_MAX) throw new Error(`the answer has more than ${RESPONSE_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
