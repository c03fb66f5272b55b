// The change notifications that arrived on one connection, and the waiting for one of them.

export class Heard {
  #events = [];
  #waiting = [];

  tell(kind, uri) {
    this.#events.push({ kind, uri });
    for (const look of this.#waiting) look();
  }

  /** Resolves once a notification arrived that `wanted` accepts, whether before or after this call. */
  wait(wanted, ms) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no such notification within ${ms} ms; heard ${JSON.stringify(this.#events)}`)), ms);
      const look = () => {
        if (this.#events.some(wanted)) {
          clearTimeout(timer);
          resolve();
        }
      };
      this.#waiting.push(look);
      look();
    });
  }
}
