// SPDX-License-Identifier: Apache-2.0
// All vGPUs: what each was promised and what it has, live, however many there are.

import {h, setText, name} from "../dom.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {drawSpark, spark} from "../chart.js";
import {button, empty, meter, pill, setMeter} from "../ui.js";
import {VirtualTable} from "../table.js";
import {createVgpu} from "./vgpu_actions.js";
import {vgpuDrawer} from "./vgpu.js";

const SPARK = 60;

function text(get, props) {
  return {make: () => h("span", props || {}), show: (node, v) => setText(node, get(v))};
}

const columns = [
  {key: "name", head: "Name", class: "col-name", sort: (v) => v.info.name,
    make: () => h("div", {class: "two"}, h("a", {href: "#"}, h("bdi", {class: "name"})), h("small", {class: "muted"}, h("bdi", {class: "name"}))),
    show: (node, v, changed) => {
      if (!changed) return;
      node.firstChild.setAttribute("href", `#/vgpus/${encodeURIComponent(v.id)}`);
      setText(node.firstChild.firstChild, v.info.name);
      setText(node.lastChild.firstChild, `${v.set.project} · ${v.set.owner}`);
    }},
  {key: "state", head: "State", class: "col-state wide", sort: (v) => v.state + (v.active ? "0" : "1"), make: () => h("span"),
    show: (node, v) => {
      const word = v.state === "ready" && v.active ? "at work" : v.state === "ready" ? "idle" : v.state;
      if (node.dataset.word === word) return;
      node.dataset.word = word;
      node.replaceChildren(pill(word, word === "at work" ? "good" : word === "idle" ? "off" : undefined));
    }},
  {key: "device", head: "Device", class: "col-device wide", sort: (v) => v.info.device, ...text((v) => (v.info.device === null ? "–" : `#${v.info.device}`))},
  {key: "memory", head: "Memory", class: "col-meter", sort: (v) => v.used, make: () => h("div", {class: "two"}, h("span", {class: "num"}), meter(0)),
    show: (node, v) => {
      setText(node.firstChild, `${fmt.bytes(v.used)} of ${fmt.bytes(v.info.memory)}`);
      setMeter(node.lastChild, v.used / v.info.memory, `${fmt.percent(v.used / v.info.memory)} of its memory`);
    }},
  {key: "share", head: "Compute", class: "col-share", sort: (v) => v.got,
    make: () => h("div", {class: "two"}, h("span", {class: "num"}), spark()),
    show: (node, v) => {
      setText(node.firstChild, `${fmt.part(v.got)} of ${v.info.share / 10} %`);
      const got = v.ring.values("got", SPARK);
      drawSpark(node.lastChild, got, {max: Math.max(v.info.share / 1000 * 1.25, 0.05, ...got), asked: v.info.share / 1000, room: SPARK});
    }},
  {key: "waiting", head: "Waits", class: "col-num wide", sort: (v) => v.waiting, ...text((v) => (v.waiting ? `${fmt.seconds(v.waiting)}/s` : "–"), {class: "num", title: "seconds that its threads waited for the device in each second"})},
  {key: "refusals", head: "Refusals", class: "col-num wide", sort: (v) => v.refusals, ...text((v) => (v.refusals ? fmt.count(v.refusals) : "–"), {class: "num"})},
  {key: "processes", head: "Processes", class: "col-num wide", sort: (v) => v.processes, ...text((v) => (v.processes ? fmt.count(v.processes) : "–"), {class: "num"})},
];

const FILTERS = {
  all: () => true,
  "at work": (v) => v.active || v.processes > 0,
  waiting: (v) => v.waiting > 0.01,
  refused: (v) => v.refusals > 0,
  suspended: (v) => v.state === "suspended",
  trouble: (v) => v.state === "lost" || v.state === "quarantined",
};

export function vgpusPage(place, target) {
  let words = "";
  let filter = "all";
  let drawn = 0;
  let side = null;
  const search = h("input", {type: "search", placeholder: "Name, project, owner…", "aria-label": "Filter by name, project or owner", oninput: () => { words = search.value.toLowerCase().slice(0, 200); refill(); }});
  const pick = h("select", {"aria-label": "Which vGPUs", onchange: () => { filter = pick.value; refill(); }}, Object.keys(FILTERS).map((f) => h("option", {value: f}, f)));
  const counted = h("span", {class: "muted num", "aria-live": "polite"});
  const none = h("div", {hidden: true});
  const table = new VirtualTable({columns, label: "vGPUs", sort: {key: "name", down: false}, onopen: (v) => { location.hash = `#/vgpus/${encodeURIComponent(v.id)}`; }});
  place.append(h("div", {class: "page-head"}, h("h1", {}, "vGPUs"), counted, h("div", {class: "row end grow"}, h("label", {class: "search"}, search), pick, button("Create", {kind: "primary", which: "plus", onclick: () => createVgpu()}))),
    h("div", {class: "split"}, h("div", {class: "split-main"}, none, table.node)));
  const split = place.querySelector(".split");

  function refill() {
    const rows = [];
    for (const v of live.state.vgpus.values()) if (FILTERS[filter](v) && (!words || v.search.includes(words))) rows.push(v);
    table.set(rows);
    const all = live.state.vgpus.size;
    setText(counted, rows.length === all ? `${fmt.count(all)}${live.state.complete ? "" : "…"}` : `${fmt.count(rows.length)} of ${fmt.count(all)}`);
    const isEmpty = live.state.complete && !rows.length;
    none.hidden = !isEmpty;
    table.node.hidden = isEmpty;
    if (isEmpty) none.replaceChildren(all ? empty("Nothing like that", "No vGPU fits the filter.") : empty("No vGPUs yet", "A vGPU is a part of a device with a quota of memory and a share of its time.", button("Create one", {kind: "primary", which: "plus", onclick: () => createVgpu()})));
    drawn = live.state.ticks;
  }

  // Sorted by what changes, the order is made anew each second; else only the rows in view are told.
  function tick() {
    const moving = filter !== "all" || !["name", "device"].includes(table.sort.key);
    if (moving && live.state.ticks !== drawn) refill();
    else table.draw();
    if (side) side.tick();
  }

  function open(next) {
    if (side) side.drop();
    side = null;
    table.marked = null;
    if (next) {
      side = vgpuDrawer(next, () => { location.hash = "#/vgpus"; });
      split.append(side.node);
      side.node.focus({preventScroll: true});
      table.marked = side.vgpu();
    }
    table.draw();
  }

  const off = [live.on("tick", tick), live.on("change", () => { refill(); if (side) side.tick(); })];
  refill();
  open(target);
  return {
    update: open,
    drop: () => { off.forEach((f) => f()); table.drop(); if (side) side.drop(); },
  };
}
