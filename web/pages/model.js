// SPDX-License-Identifier: Apache-2.0
// The performance model: which part of what was wanted became useful work, where the rest went, and whose it was.

import {h, fill, name} from "../dom.js";
import * as api from "../api.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {chart} from "../chart.js";
import {empty, meter, section, sorry, table} from "../ui.js";

const EVERY = 10000;
const WINDOWS = {minute: "last minute", hour: "last hour", day: "last day", life: "all time"};
const FACTORS = [
  {key: "s", head: "S", about: "occupied, of what could be served", lost: "stood empty while somebody waited or held it for nothing"},
  {key: "u", head: "U", about: "busy, of what is occupied", lost: "held, and not used"},
  {key: "v", head: "V", about: "native, of what is busy", lost: "cost of sharing, against the bare device"},
  {key: "alpha", head: "α", about: "kept, of native", lost: "work that was for nothing"},
];
const NAMES = ["n0", "n1", "n2", "n3", "n4"];

function factor(row, key) {
  if (row[key] === undefined) return h("span", {class: "muted", title: (row.why_not || {})[key] || ""}, "–");
  return h("span", {class: "num"}, row[key].toFixed(row[key] < 0.1 ? 3 : 2));
}

function gpuTime(ns) { return fmt.seconds(ns / 1e9); }

// From all that could have been to what was kept, a step for each factor that is known.
function waterfall(rows) {
  const sum = {};
  for (const n of NAMES) sum[n] = rows.every((r) => r.counters_ns[n] !== undefined) ? rows.reduce((a, r) => a + r.counters_ns[n], 0) : undefined;
  if (!sum.n0) return h("p", {class: "none"}, "Nothing was wanted of the devices in this time.");
  const steps = [];
  for (let i = 0; i < 4; i++) {
    const [from, to] = [sum[NAMES[i]], sum[NAMES[i + 1]]];
    if (from === undefined || to === undefined) break;
    steps.push({...FACTORS[i], lost_ns: from - to, left: to / sum.n0, gone: (from - to) / sum.n0});
  }
  const worst = steps.reduce((a, s) => (s.lost_ns > a ? s.lost_ns : a), 0);
  const kept = [...NAMES].reverse().map((n) => sum[n]).find((x) => x !== undefined);
  return h("div", {class: "fall"},
    h("div", {class: "fall-row"}, h("span", {}, "Could be served"), h("div", {class: "fall-bar"}, h("i", {class: "fall-left", style: {width: "100%"}})), h("span", {class: "num"}, gpuTime(sum.n0))),
    steps.map((s) => h("div", {class: `fall-row ${s.lost_ns === worst && worst > 0 ? "worst" : ""}`},
      h("span", {}, `${s.head}: `, h("span", {class: "muted"}, s.lost)),
      h("div", {class: "fall-bar"}, h("i", {class: "fall-left", style: {width: `${100 * s.left}%`}}), h("i", {class: "fall-gone", style: {width: `${100 * Math.max(0, s.gone)}%`}})),
      h("span", {class: "num"}, `− ${gpuTime(Math.max(0, s.lost_ns))}`))),
    h("div", {class: "fall-row total"}, h("span", {}, steps.length === 4 ? "Useful work" : "Left, as far as is known"), h("div", {class: "fall-bar"}, h("i", {class: "fall-kept", style: {width: `${100 * kept / sum.n0}%`}})), h("span", {class: "num"}, `${gpuTime(kept)}, ${fmt.percent(kept / sum.n0)}`)));
}

function factorTable(rows, caption, none) {
  return table([
    {head: "Name", get: (r) => (r.kind === "device" ? h("span", {}, `#${r.name} `, name((live.state.devices.find((d) => String(d.id) === r.name) || {}).model)) : name(r.name))},
    {head: "P", class: "wide-cell", get: (r) => (r.p === undefined ? factor(r, "p") : h("div", {class: "two"}, h("span", {class: "num left"}, fmt.percent(r.p)), meter(r.p, {label: fmt.percent(r.p)})))},
    ...FACTORS.map((f) => ({head: h("abbr", {title: f.about}, f.head), class: "num", get: (r) => factor(r, f.key)})),
    {head: "Held, not used", class: "num", get: (r) => gpuTime(Math.max(0, r.counters_ns.n1 - r.counters_ns.n2))}], rows, {caption, none});
}

// "What costs most": of vGPUs, what they held and did not use.
function wasters(rows) {
  return [...rows].sort((a, b) => (b.counters_ns.n1 - b.counters_ns.n2) - (a.counters_ns.n1 - a.counters_ns.n2));
}

async function historyOf(devices) {
  const until = api.now();
  return Promise.all(devices.map((d) => api.get(`/v1/devices/${api.seg(d.name)}/history?from=${until - 86400}&series=p,alpha,u,s,v`).catch((e) => e)));
}

// The mean over devices, where it is known of any.
function mean(histories, key) {
  const n = histories[0].points;
  return Array.from({length: n}, (_, i) => {
    const known = histories.map((x) => (x.series[key] || [])[i]).filter((v) => v !== null && v !== undefined);
    return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
  });
}

export function modelPage(place) {
  let gone = false;
  let timer = 0;
  let window = "hour";
  let asked = 0;
  const picks = h("div", {class: "segments", role: "group", "aria-label": "Over how long"}, Object.entries(WINDOWS).map(([w, label]) =>
    h("button", {type: "button", "aria-pressed": String(w === window), onclick: (e) => { window = w; for (const b of picks.children) b.setAttribute("aria-pressed", String(b === e.target)); load(); }}, label)));
  const fall = h("div");
  const over = h("div");
  const tables = h("div", {class: "grid"});
  const plot = chart({label: "The factors over the last day, mean of the devices", height: 220, max: 1.05, axis: 48, format: (x) => x.toFixed(2),
    series: [{label: "P", tone: "text"}, {label: "S", tone: "data-1"}, {label: "U", tone: "data-2"}, {label: "V", tone: "data-3"}, {label: "α", tone: "data-4"}]});
  const said = h("p", {class: "muted"});
  place.append(h("div", {class: "page-head"}, h("h1", {}, "Model"), h("span", {class: "muted"}, "P = α · U · S · V"), h("div", {class: "row end grow"}, picks)), h("div", {class: "grid two-up"}, fall, over), tables);

  async function overTime(devices) {
    if (Date.now() - asked < 60000 || !devices.length) return;
    asked = Date.now();
    const all = await historyOf(devices);
    const known = all.filter((x) => x.series);
    if (gone) return;
    fill(over, section("Over the last day", null, known.length ? plot.node : null, said));
    if (!known.length) {
      said.textContent = all[0] && all[0].status !== 404 ? `No history: ${all[0].message}` : "This daemon keeps no history.";
      return;
    }
    const first = known[0];
    const columns = [Array.from({length: first.points}, (_, i) => first.from_s + (i + 0.5) * first.step_s), ...["p", "s", "u", "v", "alpha"].map((k) => mean(known, k))];
    // What was before there was a daemon is not shown as nothing.
    const begin = Math.max(0, columns[0].findIndex((_, i) => columns.slice(1).some((c) => c[i] !== null)) - 1);
    plot.set(columns.map((c) => c.slice(begin)));
    said.textContent = mean(known, "v").every((v) => v === null) ? "V is known once a device was measured: fastgpu bench." : "";
  }

  async function load() {
    clearTimeout(timer);
    try {
      const {perf} = await api.get(`/v1/perf?window=${window}`);
      if (gone) return;
      const kind = (k) => perf.filter((r) => r.kind === k);
      const devices = kind("device");
      const top = devices.length ? devices : kind("project");
      if (!perf.length) {
        fill(fall, empty("Nothing to judge yet", "The factors come from whole minutes of metering; the first one ends soon."));
        fill(tables);
      } else {
        fill(fall, section("Where it went", h("span", {class: "muted"}, `GPU time, ${WINDOWS[window]}`), waterfall(top)));
        fill(tables, devices.length ? section("Devices", null, factorTable(devices, "Factors of devices")) : null, section("Projects", null, factorTable(kind("project"), "Factors of projects", "No project yet.")),
          section("What costs most", h("span", {class: "muted"}, "vGPUs, by what they hold and do not use"), factorTable(wasters(kind("vgpu")).slice(0, 25), "Factors of vGPUs", "No vGPU yet.")));
      }
      overTime(devices).catch(() => {});
    } catch (e) {
      if (!gone && !e.isGone && e.status !== 401) fill(fall, sorry(e));
    }
    if (!gone) timer = setTimeout(load, EVERY);
  }

  load();
  return () => { gone = true; clearTimeout(timer); plot.drop(); };
}
