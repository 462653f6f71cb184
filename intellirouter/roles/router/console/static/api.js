// Every request of the console: one door, one form of errors.

let token = "visitor";
export const setToken = (value) => { token = value; };

export class ApiError extends Error {
  constructor(message, status, code, body) { super(message); this.status = status; this.code = code; this.body = body; }
}

/** What the node was asked may have stopped being this visitor's to ask: whoever shows the frame looks who is signed in now. */
const doubt = () => window.dispatchEvent(new Event("signed-out"));

async function failure(response) {
  let body = null;
  try { body = await response.json(); } catch { /* an answer without JSON is told by its status */ }
  const told = body?.error?.message ?? body?.message;
  return new ApiError(told || `The node answered ${response.status}.`, response.status, body?.error?.code, body);
}

/** The Response of a role, whatever its status. `body` of plain data goes as JSON, a Blob as it is. Raises ApiError only where nobody answers. */
export async function raw(role, path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (method !== "GET") sent["x-console-token"] = token;
  let data = body;
  if (body !== undefined && !(body instanceof Blob) && !(body instanceof FormData)) {
    sent["content-type"] = "application/json";
    data = JSON.stringify(body);
  } else if (body instanceof Blob && !sent["content-type"]) {
    sent["content-type"] = body.type || "application/octet-stream";
  }
  let response;
  try {
    response = await fetch(`/console/api/${role}${path}`, { method, body: data, headers: sent, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The node does not answer. Is it running?", 0, "unreachable");
  }
  if (response.status === 401 || (response.status === 403 && method !== "GET")) doubt();
  return response;
}

/** The Response of a role. Raises ApiError for a refusal. */
export async function ask(role, path, options) {
  const response = await raw(role, path, options);
  if (!response.ok) throw await failure(response);
  return response;
}

export async function json(role, path, options) {
  const response = await ask(role, path, options);
  return response.status === 204 ? null : response.json();
}

export const PATIENCE = 30000; // ms; what only reads is given up after that, and told

/** A read, with a deadline: a page says that a node hangs and does not hang with it. */
export async function get(role, path, signal) {
  const stop = new AbortController();
  let late = false;
  const end = () => stop.abort();
  const timer = setTimeout(() => { late = true; end(); }, PATIENCE);
  signal?.addEventListener("abort", end);
  try {
    return await json(role, path, { signal: stop.signal });
  } catch (error) {
    throw late ? new ApiError(`The node has not answered for ${PATIENCE / 1000} s. It may be busy: try again.`, 0, "timeout") : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}
export const post = (role, path, body = {}) => json(role, path, { method: "POST", body });
export const put = (role, path, body) => json(role, path, { method: "PUT", body });
export const patch = (role, path, body) => json(role, path, { method: "PATCH", body });
export const remove = (role, path) => json(role, path, { method: "DELETE" });

/** Server-sent events of a response, one `{event, data}` at a time; a comment goes to `remark`. */
export async function* events(response, remark = () => {}) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const parts = rest.split(/\r?\n\r?\n/);
      rest = parts.pop();
      for (const part of parts) {
        let event = "message", id = null;
        const data = [];
        for (const line of part.split(/\r?\n/)) {
          if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
          else if (line.startsWith(":")) remark(line.slice(1).trim());
          else if (line.startsWith("event:")) event = line.slice(6).trim();
          else if (line.startsWith("id:")) id = line.slice(3).trim();
        }
        if (data.length) yield { event, id, data: data.join("\n") };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export async function session(method = "GET", body) {
  const headers = method === "GET" ? {} : { "content-type": "application/json", "x-console-token": method === "POST" ? "visitor" : token };
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE);
  try {
    const response = await fetch("/console/api/session", { method, headers, body: body && JSON.stringify(body), credentials: "same-origin", signal: stop.signal });
    if (!response.ok) throw await failure(response);
    return await response.json();
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError("The node does not answer. Is it running?", 0, "unreachable");
  } finally {
    clearTimeout(timer);
  }
}

export const path = (...parts) => "/" + parts.map((part) => encodeURIComponent(part)).join("/");
export const query = (values) => {
  const filled = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return filled.length ? "?" + new URLSearchParams(filled).toString() : "";
};
