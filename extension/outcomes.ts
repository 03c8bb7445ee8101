// What comes of a request that the sidecar does not carry out.
import type { Failure } from "./protocol";
import { Problem } from "./sentences";

/** What the sidecar refuses for a reason that a person is told about. */
export class Refusal extends Problem {
  constructor(readonly failure: Failure) {
    super(failure.message, failure.suggestion ?? undefined, failure.detail ?? undefined);
    this.name = "Refusal";
  }
}

/** The person stopped the request; the outcome says what is left running, where the sidecar knows. */
export class Cancelled extends Error {
  constructor(readonly outcome: Refusal | undefined) {
    super(outcome?.message ?? "Cancelled");
    this.name = "Cancelled";
  }
}
