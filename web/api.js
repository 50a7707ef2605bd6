// SPDX-License-Identifier: Apache-2.0
// Requests to the daemon. Who asks is said by a bearer token, in a header that only this page's own code sends: a browser adds nothing by
// itself that another page could make use of, so that there is no request to forge. It is kept for this tab alone.

const KEY = "fastgpu.token";
const PATIENCE = 15000;

export class Problem extends Error {
  constructor(status, body) {
    super((body && body.detail) || (status ? `the daemon answered ${status}` : "the daemon does not answer"));
    this.status = status;
    this.type = (body && body.type) || (status ? "unknown" : "gone");
    this.body = body || {};
  }
  get isGone() { return this.status === 0 || this.status === 502 || this.type === "gone"; }
}

let token = null;
const listeners = {denied: () => {}, gone: () => {}, back: () => {}};

export function on(what, f) { listeners[what] = f; }

export function loadToken() {
  try { token = sessionStorage.getItem(KEY); } catch { token = null; }
  return token;
}

export function keepToken(value) {
  token = value;
  try { if (value) sessionStorage.setItem(KEY, value); else sessionStorage.removeItem(KEY); } catch { /* then it is this page's alone */ }
}

export function hasToken() { return Boolean(token); }

async function problemOf(response) {
  let body = null;
  try { body = await response.json(); } catch { /* not ours */ }
  return new Problem(response.status, body);
}

function headers(extra) {
  const all = {Accept: "application/json", ...extra};
  if (token) all.Authorization = `Bearer ${token}`;
  return all;
}

async function send(path, options) {
  const used = token;
  try {
    return await fetch(path, {cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", ...options});
  } catch (e) {
    if (options.signal && options.signal.aborted && e.name === "AbortError") throw e;
    const gone = new Problem(0, null);
    if (used === token) listeners.gone(gone);
    throw gone;
  }
}

// Seconds by the daemon's clock, which is the one that what it keeps is dated by; this machine's may be wrong.
let ahead = 0;
export function now() { return Math.floor(Date.now() / 1000 + ahead); }

function takeClock(response) {
  const theirs = Date.parse(response.headers.get("Date"));
  if (!Number.isNaN(theirs)) ahead = (theirs - Date.now()) / 1000;
}

async function answer(response, used) {
  takeClock(response);
  if (response.ok) {
    listeners.back();
    return response.status === 204 ? null : response.json();
  }
  const problem = await problemOf(response);
  if (problem.isGone) listeners.gone(problem);
  else listeners.back();
  // An old token's refusal says nothing of the one that has taken its place.
  if (response.status === 401 && used === token) listeners.denied(problem);
  throw problem;
}

export async function get(path, {signal, patience = PATIENCE} = {}) {
  const limit = AbortSignal.timeout(patience);
  const used = token;
  return answer(await send(path, {headers: headers(), signal: signal ? AbortSignal.any([signal, limit]) : limit}), used);
}

// What changes something: asked once, and with a key where it makes something, so that asking again makes nothing twice.
export async function change(method, path, body) {
  const more = body === undefined ? {} : {"Content-Type": "application/json"};
  if (method === "POST" && /^\/v1\/(vgpus|jobs|users|projects|tokens)$/.test(path)) more["Idempotency-Key"] = crypto.randomUUID();
  const used = token;
  return answer(await send(path, {method, headers: headers(more), body: body === undefined ? undefined : JSON.stringify(body)}), used);
}

// All pages of a list; each(rows) is called page by page.
export async function pages(path, field, each, {first = 10, then = 200, signal} = {}) {
  let after = "";
  let limit = first;
  for (;;) {
    const sign = path.includes("?") ? "&" : "?";
    const page = await get(`${path}${sign}limit=${limit}${after}`, {signal});
    each(page[field], page);
    if (!page.next) return;
    after = `&after=${encodeURIComponent(page.next)}`;
    limit = then;
  }
}

// The code of a link, for the page's key; only the relay of `fastgpu dashboard` knows this.
export async function logIn(code) {
  const response = await send("/login", {method: "POST", body: code});
  if (!response.ok) throw await problemOf(response);
  keepToken((await response.json()).key);
}

// Messages of an event stream. EventSource cannot send a header, so this reads it itself.
export async function stream(path, lastId, onMessage, signal) {
  const extra = {Accept: "text/event-stream"};
  if (lastId !== null) extra["Last-Event-ID"] = String(lastId);
  const used = token;
  const response = await send(path, {headers: headers(extra), signal});
  if (!response.ok) { await answer(response, used); return; }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const data = rest.slice(0, end).split("\n").filter((l) => l.startsWith("data: ")).map((l) => l.slice(6)).join("\n");
      rest = rest.slice(end + 2);
      if (data) onMessage(JSON.parse(data));
    }
  }
}

export const seg = encodeURIComponent;
