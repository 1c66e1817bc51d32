const pauseMs = 1000;

/** Moves a cursor to what was handled, seldom enough not to matter and soon enough not to lag. */
export class CursorKeeper {
  readonly #commit: (sequence: bigint) => Promise<boolean>;
  readonly #ring: () => void;
  #committed: bigint;
  #startedMs = performance.now();
  #hasFailed = false;
  #running: Promise<void> | undefined;

  /** The cursor is at committed. commit moves it and answers whether it could, ring is called after that. */
  constructor(committed: bigint, commit: (sequence: bigint) => Promise<boolean>, ring: () => void) {
    this.#committed = committed;
    this.#commit = commit;
    this.#ring = ring;
  }

  /** Starts to move the cursor to a sequence if it is time: when no event is waiting (isIdle), or after a second.
   * Answers when to try again, Infinity if there is no need. */
  advance(sequence: bigint, isIdle: boolean): number {
    if (this.#running !== undefined || sequence <= this.#committed) {
      return Infinity;
    }
    const dueMs = this.#startedMs + pauseMs;
    if (performance.now() < dueMs && (!isIdle || this.#hasFailed)) {
      return dueMs;
    }
    this.#startedMs = performance.now();
    this.#running = this.#move(sequence).finally(() => {
      this.#running = undefined;
      this.#ring();
    });
    return Infinity;
  }

  /** Moves the cursor to a sequence, if it can be done, and returns then. */
  async finish(sequence: bigint): Promise<void> {
    await this.#running;
    if (sequence > this.#committed) {
      await this.#move(sequence);
    }
  }

  async #move(sequence: bigint): Promise<void> {
    const hasMoved = await this.#commit(sequence);
    this.#hasFailed = !hasMoved;
    if (hasMoved) {
      this.#committed = sequence;
    }
  }
}
