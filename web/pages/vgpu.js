// SPDX-License-Identifier: Apache-2.0
// One vGPU in detail: its figures over time, and what can be done with it.

import {h, fill, setText, name} from "../dom.js";
import * as api from "../api.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {chart} from "../chart.js";
import {button, drawer, empty, facts, pill} from "../ui.js";
import {deleteVgpu, resizeVgpu, suspendVgpu} from "./vgpu_actions.js";

const RANGES = {Live: 0, "1 h": 3600, "24 h": 86400, "7 d": 7 * 86400};
const SERIES = "metered_seconds,gpu_seconds,memory_used_bytes,memory_quota_bytes,share,throttled_seconds,refusals";

function find(id) {
  for (const v of live.state.vgpus.values()) if (v.id === id) return v;
  return null;
}

function rate(sums, known) {
  return sums.map((s, i) => (s === null || !known[i] ? null : s / known[i]));
}

// What the daemon has kept of earlier times; it says itself why it has not.
async function history(v, seconds, charts, said) {
  const path = `/v1/vgpus/${api.seg(`${v.set.project}:${v.set.name}`)}/${v.info.index}/history`;
  const until = api.now();
  try {
    const a = await api.get(`${path}?from=${until - seconds}&series=${SERIES}`);
    const times = Array.from({length: a.points}, (_, i) => a.from_s + (i + 0.5) * a.step_s);
    const s = a.series;
    charts.memory.set([times, s.memory_used_bytes, s.memory_quota_bytes]);
    charts.share.set([times, rate(s.gpu_seconds, s.metered_seconds), s.share.map((x) => (x === null ? null : x / 1000))]);
    charts.waits.set([times, rate(s.throttled_seconds, s.metered_seconds)]);
    setText(said, s.gpu_seconds.every((x) => x === null) ? "Nothing is known of that time yet." : "");
  } catch (e) {
    setText(said, e.status === 404 ? "This daemon keeps no history." : `No history: ${e.message}`);
  }
}

export function vgpuDrawer(id, onclose) {
  let v = find(id);
  let range = "Live";
  let shown = "";
  const side = drawer(name(id.slice(id.indexOf(":") + 1)), name(id.slice(0, id.indexOf(":"))), onclose);
  const said = h("p", {class: "muted"});
  const about = h("div");
  const charts = {
    memory: chart({label: "Memory in use and quota over time", height: 130, format: fmt.bytes, binary: true, axis: 74, series: [{label: "In use", tone: "accent", fill: true}, {label: "Quota", tone: "muted", dash: true}]}),
    share: chart({label: "Share of the device's time, got and asked, over time", height: 130, format: fmt.part, axis: 52, atLeast: 0.1, series: [{label: "Got", tone: "data-2", fill: true}, {label: "Asked", tone: "muted", dash: true}]}),
    waits: chart({label: "Seconds waited for the device in each second, over time", height: 100, format: (x) => `${fmt.seconds(x)}/s`, axis: 66, atLeast: 0.05, series: [{label: "Waited", tone: "data-4", fill: true}]}),
  };
  const picks = h("div", {class: "segments", role: "group", "aria-label": "Time shown"}, Object.keys(RANGES).map((r) =>
    h("button", {type: "button", "aria-pressed": String(r === range), onclick: () => pick(r)}, r)));

  function pick(r) {
    range = r;
    for (const b of picks.children) b.setAttribute("aria-pressed", String(b.textContent === r));
    setText(said, "");
    if (RANGES[r] && v) history(v, RANGES[r], charts, said);
    else drawLive();
  }

  function drawLive() {
    if (!v || !v.ring.count) return;
    const now = Date.now() / 1000;
    const t = Array.from(v.ring.values("t"));
    const times = t.map((x) => now - (t[t.length - 1] - x));
    charts.memory.set([times, Array.from(v.ring.values("memory")), times.map(() => v.info.memory)]);
    charts.share.set([times, Array.from(v.ring.values("got")), times.map(() => v.info.share / 1000)]);
    charts.waits.set([times, Array.from(v.ring.values("wait"))]);
  }

  function tools() {
    const paused = v.state === "suspended";
    fill(side.head, button("Resize", {which: "resize", small: true, onclick: () => resizeVgpu(v)}),
      button(paused ? "Resume" : "Suspend", {which: paused ? "play" : "pause", small: true, onclick: () => suspendVgpu(v, !paused)}),
      button("Delete", {which: "trash", small: true, kind: "danger-quiet", onclick: async () => { if (await deleteVgpu(v)) onclose(); }}));
  }

  function tell() {
    const i = v.info;
    const lease = v.set.idle_lease;
    fill(about, facts([
      ["State", pill(v.state === "ready" && v.active ? "at work" : v.state, v.state === "ready" && v.active ? "good" : undefined)],
      ["Owner", name(v.set.owner)],
      ["Device", h("span", {}, `#${i.device} `, name(i.device_model))],
      ["Compute", `${i.share / 10} %, ${i.mode === "cap" ? "never more" : "more when nobody else wants it"}`],
      ["Priority", i.priority],
      ["Waits", `${fmt.count(v.waits)} so far`],
      ["Refusals", `${fmt.count(v.refusals)} so far`],
      ["Processes", String(v.processes)],
      ["Enforced", i.tier === "soft" ? "soft: by the layer and the watchdog" : i.tier],
      lease ? ["Idle lease", `${lease.then} ${fmt.from(lease.ends)} unless used`] : null,
      v.set.job ? ["Job", h("a", {href: `#/queue/${v.set.job}`}, String(v.set.job))] : null,
      ["Created", fmt.when(v.set.created)],
      ["UUID", h("code", {}, i.uuid)],
    ]));
  }

  function tick() {
    const before = v;
    v = find(id);
    if (!v) {
      if (live.state.complete && shown !== "gone") { shown = "gone"; fill(side.head); fill(side.body, empty("Not here", "This vGPU is gone, or you may not see it.")); }
      return;
    }
    if (shown !== "there") {
      shown = "there";
      fill(side.body, h("div", {class: "row between"}, picks, said), h("h3", {}, "Memory"), charts.memory.node, h("h3", {}, "Compute"), charts.share.node, h("h3", {}, "Waits"), charts.waits.node, h("h3", {}, "About"), about);
    }
    const key = `${v.state}|${v.active}|${v.waits}|${v.refusals}|${v.processes}|${v.info.share}|${v.info.memory}|${v.info.mode}|${v.info.priority}`;
    if (key !== side.key || before !== v) {
      if (!side.key || side.paused !== v.state) tools();
      side.key = key;
      side.paused = v.state;
      tell();
    }
    if (!RANGES[range]) drawLive();
  }

  tick();
  return {node: side.node, tick, vgpu: () => v, drop: () => { Object.values(charts).forEach((c) => c.drop()); side.drop(); }};
}
