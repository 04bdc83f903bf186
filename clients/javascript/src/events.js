// What is published, and what became of it.

import { randomUUID } from "node:crypto";

export class Event {
  constructor({ type, source, subject, data = null, id = randomUUID(), time = new Date(), extensions = {} }) {
    if (!(time instanceof Date) || Number.isNaN(time.getTime())) throw new TypeError("an event's time is a Date");
    Object.assign(this, { type, source, subject, data, id, time, extensions });
    Object.freeze(this);
  }

  members() {
    return {
      specversion: "1.0",
      id: this.id,
      source: this.source,
      type: this.type,
      subject: this.subject,
      time: this.time.toISOString(),
      ...this.extensions,
      ...(this.data === null ? {} : { datacontenttype: "application/json", data: this.data }),
    };
  }
}

export class Accepted {
  constructor(event, receipt) {
    this.event = event;
    this.receipt = receipt;
  }
}

export class Rejected {
  constructor(event, problem, faults = []) {
    this.event = event;
    this.problem = problem;
    this.faults = faults;
  }
}

/** An event in either form as its JSON members. */
export function membersOf(event) {
  return event instanceof Event ? event.members() : event;
}
