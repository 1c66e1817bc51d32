/** The longest that timers can. */
const timerMsMax = 2 ** 31 - 1;

/** The end of the time that a caller has, and his wish to end before. */
export class Deadline {
  /** Aborted when the time is over or the caller's signal is. */
  readonly signal: AbortSignal;
  readonly #endMs: number;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  /** timeoutMs undefined: there is no end. reason makes that of the signal when the time is over. */
  constructor(timeoutMs: number | undefined, callerSignal: AbortSignal, reason: (timeoutMs: number) => Error) {
    const controller = new AbortController();
    this.signal = AbortSignal.any([callerSignal, controller.signal]);
    this.#endMs = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(
        () => {
          controller.abort(reason(timeoutMs));
        },
        Math.min(timeoutMs, timerMsMax),
      );
    }
  }

  /** Milliseconds left; Infinity without an end. */
  get leftMs(): number {
    return this.#endMs - performance.now();
  }

  /** Lets go of the timer. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** Returns after ms. Rejects with the signal's reason. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
