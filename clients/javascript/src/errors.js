// What can go wrong, for a caller to tell apart. Wrong arguments are TypeErrors.
//
// DujiangError
// ├── Refused            the gateway answered with a problem; nothing of the request counts
// │   └── HistoryExpired   what the cursor points at is not kept any more; `earliest` is where one can go on
// ├── Unreachable        no answer that helps, after all tries; whether the request took effect is not known
// └── SignatureInvalid   a webhook that does not prove where it comes from

export class DujiangError extends Error {
  get name() {
    return this.constructor.name;
  }
}

export class Refused extends DujiangError {
  constructor(problem, retryAfterS = null) {
    const place = problem.faults.slice(0, 3).map((fault) => `; ${fault.pointer || "request"}: ${fault.detail}`);
    super(`${problem.status} ${problem.kind || problem.title}: ${problem.detail}${place.join("")}`.trim());
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

export class HistoryExpired extends Refused {
  constructor(problem, earliest) {
    super(problem);
    this.earliest = earliest;
  }
}

export class Unreachable extends DujiangError {}

export class SignatureInvalid extends DujiangError {}

/** Problem details (RFC 9457) from their JSON object; whatever is missing or of another form is left out. */
export function problemOf(members, status) {
  const errors = Array.isArray(members.errors) ? members.errors : [];
  return {
    kind: kindOf(text(members.type)),
    status,
    title: text(members.title),
    detail: text(members.detail),
    next: text(members.next),
    instance: text(members.instance),
    faults: errors
      .filter((one) => typeof one === "object" && one !== null)
      .map((one) => ({ reason: text(one.reason), pointer: text(one.pointer), detail: text(one.detail) })),
  };
}

function text(value) {
  return typeof value === "string" ? value : "";
}

function kindOf(uri) {
  return uri === "about:blank" ? "" : uri.split(/[/:]/).at(-1);
}
