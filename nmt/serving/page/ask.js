// Requests to the server.
(() => {
  const MOST_WAIT = 60; // seconds in which a busy server is asked again
  const SLOW = 10; // seconds of one answer after which it is not asked again

  /**
   * Ask the server. While it is busy, ask again when it says so.
   *
   * `body` is sent as JSON with POST; without it, this is a GET. `options` may have `key` (the API
   * key), `signal` (to abort), and `waiting(seconds)`, which is called before each wait.
   */
  nmt.ask = async (path, body, { key = "", signal, waiting = () => {} } = {}) => {
    const began = seconds();
    for (;;) {
      const asked = seconds();
      const answer = await send(path, body, key, signal);
      if (answer.ok) return answer.json().catch(explain);
      const wait = Number(answer.headers.get("Retry-After") ?? 1);
      const isBusy = answer.status === 429 || (answer.status === 503 && seconds() - asked < SLOW);
      if (!isBusy || seconds() - began + wait > MOST_WAIT) throw new Error(await messageOf(answer));
      waiting(wait);
      await pause(wait, signal);
    }
  };

  async function send(path, body, key, signal) {
    const headers = { "Content-Type": "application/json" };
    if (key) headers["X-API-Key"] = key;
    const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    return fetch(path, { headers, signal, ...options }).catch(explain);
  }

  /** Throw the error of a connection with a message for readers; one that aborts stays as it is. */
  function explain(problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Error("The server does not answer.");
  }

  async function messageOf(answer) {
    const content = await answer.json().catch(() => null);
    return content?.error ?? `The server answers ${answer.status}.`;
  }

  function pause(length, signal) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, 1000 * length);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    });
  }

  function seconds() {
    return performance.now() / 1000;
  }
})();
