/** The longest that timers can. */
const timerMsMax = 2 ** 31 - 1;

/** The end of the time that a caller has, and his wish to end before. Has to be stopped when the call is done. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #endMs: number;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #onAbort = () => {
    this.abort(this.#caller?.reason as Error);
  };

  /** timeoutMs undefined: there is no end. reason makes that of the signal when the time is over. */
  constructor(timeoutMs: number | undefined, caller: AbortSignal | undefined, reason: (timeoutMs: number) => Error) {
    this.#caller = caller;
    this.#endMs = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(
        () => {
          this.abort(reason(timeoutMs));
        },
        Math.min(timeoutMs, timerMsMax),
      );
    }
    if (caller?.aborted === true) {
      this.#onAbort();
    } else {
      caller?.addEventListener("abort", this.#onAbort);
    }
  }

  /** Aborted when the time is over or the caller's signal is. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Milliseconds left; Infinity without an end. */
  get leftMs(): number {
    return this.#endMs - performance.now();
  }

  /** Ends before the time. */
  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Lets go of the timer and of the caller's signal. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#onAbort);
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
