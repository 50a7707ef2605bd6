// SPDX-License-Identifier: Apache-2.0
// The queue: what runs, what waits, why, and until when.

import {h, fill, setText, name} from "../dom.js";
import * as api from "../api.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {button, empty, pill, section, sorry, table, tile} from "../ui.js";
import {split} from "../words.js";
import {form, toast} from "../ui.js";
import {jobDrawer} from "./job.js";

const EVERY = 3000;
const REASONS = 12; // of so many that wait it is asked why
const SHOWN = 100;
const OVER = new Set(["done", "failed", "cancelled"]);

function resources(j) {
  return `${j.gpus > 1 ? `${j.gpus} × ` : ""}${fmt.bytes(j.memory)}, ${j.share / 10} %`;
}

function progress(j) {
  if (!j.counts) return null;
  const c = j.counts;
  return `${c.done} done, ${c.running} running, ${c.queued} waiting${c.failed ? `, ${c.failed} failed` : ""}`;
}

export function ending(j) {
  if (j.reason) return name(j.reason);
  if (j.signal) return `signal ${j.signal}`;
  return j.exit_code === undefined ? "" : `exit ${j.exit_code}`;
}

const who = {head: "Job", get: (j) => h("div", {class: "two"}, h("a", {href: `#/queue/${j.id}`}, name(`${j.id} · ${j.name}`)), h("small", {class: "muted"}, name(`${j.project || ""} · ${j.owner}`)))};
const what = {head: "Command", class: "wide-cell optional", get: (j) => h("span", {class: "cut"}, name(j.command))};
const size = {head: "Each", get: (j) => h("span", {class: "num"}, resources(j))};

export async function submitJob() {
  const made = await form("Submit a job", [
    {key: "command", label: "Command", type: "area", wide: true, required: true, placeholder: "python3 train.py --epochs 10", hint: "Words and quotes as in a shell; no shell runs it. For pipes and the like: sh -c '…'."},
    {key: "name", label: "Name", placeholder: "made up when empty"},
    {key: "project", label: "Project", options: ["", ...live.state.projects], blank: "where you work"},
    {key: "memory", label: "Memory of each vGPU", placeholder: "4G"},
    {key: "compute", label: "Compute of each vGPU, %", placeholder: "25"},
    {key: "gpus", label: "vGPUs", type: "number", value: 1},
    {key: "priority", label: "Priority", options: ["high", "normal", "low"], value: "normal"},
    {key: "time_limit", label: "Time limit", placeholder: "2h", hint: "It starts sooner when it fits in before others."},
    {key: "array", label: "Array", placeholder: "1-10%3", hint: "Once for each number, so many at once."},
  ], (v) => {
    const body = {command: split(v.command)};
    if (!body.command.length) throw new Error("There is no command yet.");
    for (const k of ["name", "project", "memory", "compute", "time_limit", "array"]) if (v[k]) body[k] = v[k];
    if (v.priority !== "normal") body.priority = v.priority;
    if (Number(v.gpus) > 1) body.gpus = Number(v.gpus);
    return api.change("POST", "/v1/jobs", body);
  }, {yes: "Submit"});
  if (made) { toast(`Job ${made.id} is in the queue`); location.hash = `#/queue/${made.id}`; }
  return made;
}

export function queuePage(place, target) {
  const waiting = h("div", {class: "live-figures"});
  const running = h("div", {class: "live-figures"});
  const over = h("div");
  const tiles = h("div", {class: "tiles"});
  const values = ["Running", "Waiting", "Next start", "Ended lately"].map((label) => { const v = h("span", {}, "–"); const f = h("span"); tiles.append(tile(label, v, f)); return {v, f}; });
  const why = new Map();
  let timer = 0;
  let side = null;
  let gone = false;
  place.append(h("div", {class: "page-head"}, h("h1", {}, "Queue"), h("div", {class: "row end grow"}, button("Submit a job", {kind: "primary", which: "plus", onclick: async () => { if (await submitJob()) load(); }}))),
    h("div", {class: "split"}, h("div", {class: "split-main"}, tiles, running, waiting, over)));
  const pane = place.querySelector(".split");

  async function askWhy(jobs) {
    await Promise.all(jobs.slice(0, REASONS).map(async (j) => {
      try { why.set(j.id, await api.get(`/v1/why/${j.id}`)); } catch { why.delete(j.id); }
    }));
  }

  const reason = {head: "Why it waits", class: "wide-cell", get: (j) => { const w = why.get(j.id); return w ? h("div", {class: "two"}, h("span", {class: "wrap"}, name(w.text)), w.remedy ? h("small", {class: "muted wrap"}, name(w.remedy)) : null) : h("span", {class: "muted"}, "–"); }};
  const start = {head: "Starts", get: (j) => { const w = why.get(j.id); return w && w.start ? h("span", {class: "num", title: fmt.when(w.start)}, fmt.from(w.start)) : j.not_before ? h("span", {class: "num"}, fmt.from(j.not_before)) : h("span", {class: "muted num"}, "not known"); }};

  function show(open, closed, total) {
    const busy = open.filter((j) => j.state !== "queued" && !(j.counts && !j.counts.running));
    const idle = open.filter((j) => !busy.includes(j));
    const next = idle.map((j) => why.get(j.id)).filter((w) => w && w.start).map((w) => w.start).sort()[0];
    setText(values[0].v, fmt.count(busy.reduce((a, j) => a + (j.counts ? j.counts.running : 1), 0)));
    setText(values[1].v, fmt.count(total));
    setText(values[1].f, `in ${idle.length} job${idle.length === 1 ? "" : "s"}`);
    setText(values[2].v, next ? fmt.from(next) : "–");
    setText(values[3].v, fmt.count(closed.length));
    setText(values[3].f, `${closed.filter((j) => j.state === "failed").length} failed`);
    fill(running, section("Running", null, table([who, {head: "State", get: (j) => pill(j.state)}, what, size,
      {head: "Since", get: (j) => h("span", {class: "num"}, progress(j) || fmt.from(j.started))},
      {head: "Limit", get: (j) => h("span", {class: "num"}, j.time_limit ? fmt.seconds(j.time_limit) : "–")}], busy, {caption: "Jobs that run", none: "Nothing runs."})));
    fill(waiting, section("Waiting", null, table([who, {head: "State", get: (j) => (j.held ? pill("held") : pill(j.state))}, reason, start, size], idle, {caption: "Jobs that wait", none: "Nothing waits."})));
    fill(over, section("Ended", null, table([who, {head: "State", get: (j) => pill(j.state)}, what, {head: "How", get: (j) => h("span", {class: "cut"}, progress(j) || ending(j))},
      {head: "Ended", get: (j) => h("span", {class: "num"}, fmt.when(j.ended))}, {head: "Ran", get: (j) => h("span", {class: "num"}, j.ran_ms === undefined ? "–" : fmt.seconds(j.ran_ms / 1000))}], closed, {caption: "Jobs that are over", none: "No job has ended yet."})));
  }

  async function load() {
    clearTimeout(timer);
    try {
      const [open, all] = await Promise.all([api.get(`/v1/jobs?state=unfinished&limit=${SHOWN}`), api.get(`/v1/jobs?limit=${SHOWN}`)]);
      await askWhy(open.jobs.filter((j) => j.state === "queued" || (j.counts && !j.counts.running)));
      if (gone) return;
      if (!open.jobs.length && !all.jobs.length) {
        fill(running, empty("No jobs yet", "A job is a command that runs in vGPUs of its own as soon as there is room.", button("Submit one", {kind: "primary", which: "plus", onclick: submitJob})));
        fill(waiting); fill(over);
      } else if (!place.querySelector(".table-wrap:focus-within a:focus")) {
        show(open.jobs, all.jobs.filter((j) => OVER.has(j.state)).slice(0, 30), open.waiting);
      }
    } catch (e) {
      if (!gone && !e.isGone && e.status !== 401) fill(running, sorry(e));
    }
    if (!gone) timer = setTimeout(load, EVERY);
  }

  function openJob(id) {
    if (side) side.drop();
    side = null;
    if (id && /^\d+$/.test(id)) {
      side = jobDrawer(id, () => { location.hash = "#/queue"; }, load);
      pane.append(side.node);
      side.node.focus({preventScroll: true});
    }
  }

  // What happens to jobs is told by the stream; the next look is at once then.
  const off = live.on("event", (e) => { if (e && e.kind.startsWith("job.")) { clearTimeout(timer); timer = setTimeout(load, 200); } });
  load();
  openJob(target);
  return {update: openJob, drop: () => { gone = true; clearTimeout(timer); off(); if (side) side.drop(); }};
}
