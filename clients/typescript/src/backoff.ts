/** Pauses that double, each shortened at random by up to half, so that not all come back at once. */
export class Backoff {
  readonly #msMin: number;
  readonly #msMax: number;
  #ms: number;

  constructor(msMin: number, msMax: number) {
    this.#msMin = msMin;
    this.#msMax = msMax;
    this.#ms = msMin;
  }

  /** The next pause in milliseconds. */
  next(): number {
    const ms = this.#ms;
    this.#ms = Math.min(2 * ms, this.#msMax);
    return ms * (1 - Math.random() / 2);
  }

  reset(): void {
    this.#ms = this.#msMin;
  }
}
