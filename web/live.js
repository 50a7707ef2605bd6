// SPDX-License-Identifier: Apache-2.0
// What the page knows: devices, vGPUs and their figures, kept up to date by one request of figures a second and one stream of events. Nothing is
// asked while nobody looks. What is old is never shown as if it were new: `age()` says how old, and the page greys it.

import * as api from "./api.js";

export const HISTORY = 120; // seconds kept of every vGPU and device
const TICK = 1000;
const DEVICES_EVERY = 5000;
const STALE_AFTER = 3500;
const EVENTS_KEPT = 500;

export const state = {
  who: null, version: null, projects: [],
  devices: [], problems: [], findings: [],
  sets: new Map(),  // "project:name" -> set
  vgpus: new Map(), // uuid -> vGPU
  complete: false,  // the list of sets is here as a whole
  events: [],       // newest first
  phase: "start",   // start, live, gone
  problem: null,
  lastOk: 0,        // performance.now() of the newest figures
  ticks: 0,
};

const listeners = {tick: new Set(), change: new Set(), event: new Set(), phase: new Set()};

// Returns what takes the listener away again.
export function on(what, f) {
  listeners[what].add(f);
  return () => listeners[what].delete(f);
}

function tell(what, ...args) {
  for (const f of [...listeners[what]]) f(...args);
}

export function age() { return state.lastOk ? (performance.now() - state.lastOk) / 1000 : Infinity; }
export function isStale() { return state.phase === "gone" || performance.now() - state.lastOk > STALE_AFTER; }

class Ring {
  constructor(columns) {
    this.at = 0;
    this.count = 0;
    for (const c of columns) this[c] = new Float64Array(HISTORY);
    this.columns = columns;
  }
  push(...values) {
    this.columns.forEach((c, i) => { this[c][this.at] = values[i]; });
    this.at = (this.at + 1) % HISTORY;
    if (this.count < HISTORY) this.count++;
  }
  // The values of a column, oldest first; the last `n`.
  values(column, n = HISTORY) {
    const take = Math.min(n, this.count);
    const out = new Float64Array(take);
    for (let i = 0; i < take; i++) out[i] = this[column][(this.at - take + i + HISTORY) % HISTORY];
    return out;
  }
}

class Vgpu {
  constructor(set, v) {
    this.ring = new Ring(["t", "memory", "got", "wait"]);
    this.got = 0;       // part of a device
    this.waiting = 0;   // seconds waited a second, summed over threads
    this.seen = 0;      // gpu_ns
    this.seenWait = 0;
    this.seenAt = 0;
    this.used = 0;
    this.refusals = 0;
    this.waits = 0;
    this.processes = 0;
    this.active = false;
    this.update(set, v);
  }
  update(set, v) {
    this.set = set;
    this.info = v;
    this.id = `${set.project}:${v.name}`;
    this.search = `${v.name} ${set.project} ${set.owner} ${v.device_model}`.toLowerCase();
    this.state = v.state;
    if (!this.seenAt) {
      this.used = v.usage.memory_used;
      this.refusals = v.usage.refusals;
      this.waits = v.usage.waits;
      this.processes = v.usage.processes;
      this.active = v.usage.active;
    }
  }
  figure(now, used, gpu, wait, waits, refusals, processes, active, what) {
    const dt = now - this.seenAt;
    // The first figure has nothing before it to be compared with.
    const known = this.seenAt && dt > 0;
    if (known) {
      this.got = Math.max(0, (gpu - this.seen) / dt);
      this.waiting = Math.max(0, (wait - this.seenWait) / dt);
    }
    this.seen = gpu;
    this.seenWait = wait;
    this.seenAt = now;
    this.used = used;
    this.waits = waits;
    this.refusals = refusals;
    this.processes = processes;
    this.active = active === 1;
    this.state = what;
    if (known) this.ring.push(now / 1e9, used, this.got, this.waiting);
  }
}

// --- devices ---

const deviceRings = new Map();

export function deviceRing(id) {
  if (!deviceRings.has(id)) deviceRings.set(id, new Ring(["t", "busy"]));
  return deviceRings.get(id);
}

export function vgpusOf(device) {
  const found = [];
  for (const v of state.vgpus.values()) if (v.info.device === device) found.push(v);
  return found;
}

async function loadDevices() {
  const reply = await api.get("/v1/devices");
  state.devices = reply.devices;
  state.problems = reply.problems;
  state.findings = reply.findings;
  state.sim = reply.sim;
}

function addUpDevices(now) {
  const sum = new Map();
  for (const v of state.vgpus.values()) sum.set(v.info.device, (sum.get(v.info.device) || 0) + v.got);
  for (const d of state.devices) {
    d.busy = Math.min(1, sum.get(d.id) || 0);
    if (state.ticks) deviceRing(d.id).push(now / 1e9, d.busy);
  }
}

// --- sets ---

function key(set) { return `${set.project}:${set.name}`; }

function takeSet(set) {
  state.sets.set(key(set), set);
  for (const v of set.vgpus) {
    const known = state.vgpus.get(v.uuid);
    if (known) known.update(set, v);
    else state.vgpus.set(v.uuid, new Vgpu(set, v));
  }
}

// It is known to be gone.
export function dropSet(name) {
  changed.delete(name);
  const set = state.sets.get(name);
  if (!set) return;
  state.sets.delete(name);
  for (const v of set.vgpus) {
    const known = state.vgpus.get(v.uuid);
    if (known && known.set === set) state.vgpus.delete(v.uuid);
  }
}

let reloading = null;

// The whole list anew; what was there and is not any more goes at the end.
async function reloadSets() {
  if (reloading) return reloading;
  const seen = new Set();
  reloading = api.pages("/v1/vgpus", "sets", (sets) => {
    for (const set of sets) { seen.add(key(set)); takeSet(set); }
    tell("change");
  }).then(() => {
    for (const name of [...state.sets.keys()]) if (!seen.has(name)) dropSet(name);
    const uuids = new Set();
    for (const set of state.sets.values()) for (const v of set.vgpus) uuids.add(v.uuid);
    for (const uuid of [...state.vgpus.keys()]) if (!uuids.has(uuid)) state.vgpus.delete(uuid);
    state.complete = true;
    tell("change");
  }).finally(() => { reloading = null; });
  return reloading;
}

const changed = new Set();
let changeTimer = 0;

export function changedHere() { tell("change"); }

async function catchUp() {
  changeTimer = 0;
  const names = [...changed];
  changed.clear();
  try {
    if (names.length > 5) return await reloadSets();
    for (const name of names) {
      try {
        takeSet(await api.get(`/v1/vgpus/${api.seg(name)}`));
      } catch (e) {
        if (e.status !== 404) throw e;
        dropSet(name);
      }
    }
    tell("change");
  } catch { /* said elsewhere; the list is read anew when the daemon is back */ }
}

// Something about this set is not as it was: it is looked at again, soon, together with others.
export function touch(name) {
  changed.add(name);
  if (!changeTimer) changeTimer = setTimeout(catchUp, 150);
}

// --- figures ---

function takeFigures(f) {
  let strangers = 0;
  for (let i = 0; i < f.uuid.length; i++) {
    const v = state.vgpus.get(f.uuid[i]);
    if (!v) { strangers++; continue; }
    v.figure(f.now_ns, f.memory_used[i], f.gpu_ns[i], f.wait_ns[i], f.waits[i], f.refusals[i], f.processes[i], f.active[i], f.state[i]);
  }
  return strangers;
}

let sinceReload = 0;

async function figures(signal) {
  let strangers = 0;
  let known = 0;
  let now = 0;
  let after = "";
  for (;;) {
    const f = await api.get(`/v1/figures?limit=1000${after}`, {signal});
    strangers += takeFigures(f);
    known += f.uuid.length;
    now = f.now_ns;
    if (!f.next) break;
    after = `&after=${f.next}`;
  }
  addUpDevices(now);
  state.lastOk = performance.now();
  sinceReload++;
  if (state.complete && (strangers || known !== state.vgpus.size) && sinceReload > 3) {
    sinceReload = 0;
    reloadSets().catch(() => {});
  }
}

// --- phases ---

function enter(phase, problem) {
  const was = state.phase;
  state.phase = phase;
  state.problem = problem || null;
  if (was !== phase || problem) tell("phase", phase, was);
}

let timer = 0;
let running = false;
let lastDevices = 0;
let failures = 0;
let generation = 0;

async function tick(mine) {
  try {
    if (state.phase !== "live") await begin();
    if (performance.now() - lastDevices > DEVICES_EVERY) {
      lastDevices = performance.now();
      await loadDevices();
    }
    await figures();
    if (mine !== generation) return;
    state.ticks++;
    failures = 0;
    tell("tick");
  } catch (e) {
    if (mine !== generation) return;
    if (e.status === 401) return stop();
    failures++;
    if (e.isGone) enter("gone", e);
    tell("tick");
  }
  if (running && mine === generation) timer = setTimeout(() => tick(mine), failures ? Math.min(5000, 1000 * failures) : TICK);
}

// First, and whenever the daemon was gone: all of it anew.
async function begin() {
  const sets = reloadSets();
  sets.catch(() => {});
  const [who, version, projects] = await Promise.all([api.get("/v1/whoami"), api.get("/v1/version"), api.get("/v1/projects?limit=1000"), loadDevices()]);
  state.who = who;
  state.version = version;
  state.projects = projects.projects.map((p) => p.name);
  lastDevices = performance.now();
  enter("live");
  tell("change");
  listen();
}

// --- events ---

let listening = null;
let lastEvent = null;

function takeEvents(message) {
  lastEvent = message.next;
  for (const e of message.events) {
    state.events.unshift(e);
    if (e.kind === "vgpu.deleted") { dropSet(`${e.project}:${e.target}`); tell("change"); }
    else if (e.project && /^(vgpu|lease)\./.test(e.kind)) touch(`${e.project}:${e.target.replace(/\/\d+$/, "")}`);
    if (e.kind.startsWith("device.")) lastDevices = 0;
    tell("event", e);
  }
  if (state.events.length > EVENTS_KEPT) state.events.length = EVENTS_KEPT;
}

// What happened lately, for who has just come.
async function earlier(next) {
  const reply = await api.get(`/v1/events?after=${Math.max(0, next - 100)}&limit=100`);
  const known = new Set(state.events.map((e) => e.seq));
  state.events = [...state.events, ...reply.events.filter((e) => !known.has(e.seq)).reverse()].sort((a, b) => b.seq - a.seq);
  tell("event", null);
}

async function listen() {
  if (listening) listening.abort();
  const mine = new AbortController();
  listening = mine;
  while (running && listening === mine && state.phase === "live") {
    try {
      await api.stream("/v1/events", lastEvent, (message) => {
        const first = lastEvent === null;
        takeEvents(message);
        if (first) earlier(message.next).catch(() => {});
      }, mine.signal);
    } catch (e) {
      if (mine.signal.aborted || e.status === 401) return;
    }
    await new Promise((done) => setTimeout(done, 2000));
  }
}

// --- beginning and end ---

export function start() {
  if (running) return;
  running = true;
  failures = 0;
  clearTimeout(timer);
  tick(++generation);
}

export function stop() {
  running = false;
  generation++;
  clearTimeout(timer);
  if (listening) listening.abort();
  listening = null;
}

// Another caller: nothing of the one before is kept.
export function forget() {
  stop();
  state.who = null;
  state.sets.clear();
  state.vgpus.clear();
  deviceRings.clear();
  Object.assign(state, {devices: [], problems: [], findings: [], events: [], complete: false, phase: "start", lastOk: 0});
  lastEvent = null;
}

// What nobody sees is not asked for: each open stream is one of the few connections that a browser has to one place.
export function watchVisibility() {
  let hide = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hide);
    if (document.hidden) hide = setTimeout(stop, 20000);
    else if (!running && state.who) { start(); if (state.phase === "live") listen(); }
  });
}
