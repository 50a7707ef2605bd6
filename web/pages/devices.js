// SPDX-License-Identifier: Apache-2.0
// Devices: how busy, how hot, how full, and who is on it.

import {h, fill, setText, name} from "../dom.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {drawHeat, heat, tone} from "../chart.js";
import {empty, meter, notice, pill, setMeter, tile} from "../ui.js";

const CELLS = 60;
const SHOWN = 6;

function heading(d) {
  return h("header", {class: "card-head"},
    h("div", {class: "device-name"}, h("span", {class: "device-id"}, `#${d.id}`), h("h2", {}, name(d.model))),
    h("div", {class: "row"}, d.mig === "slice" || d.mig === "enabled" ? pill("MIG", "info") : null, pill(d.state === "ok" ? "ok" : "lost")));
}

// Temperature and power are there where the driver tells them, and nowhere else.
function telemetry(d) {
  const t = d.telemetry;
  const found = [];
  if (!t || t.stale) return found;
  if (t.temperature_c !== undefined) found.push(["Temperature", `${t.temperature_c} °C`]);
  if (t.power_mw !== undefined) found.push(["Power", `${Math.round(t.power_mw / 1000)}${t.power_limit_mw ? ` of ${Math.round(t.power_limit_mw / 1000)}` : ""} W`]);
  return found;
}

class Card {
  constructor(d) {
    this.heat = heat();
    this.busy = h("span", {class: "big"});
    this.meta = h("div", {class: "device-meta"});
    this.memory = meter(0, {label: "memory"});
    this.memoryText = h("span", {class: "num"});
    this.share = h("div", {class: "stack", role: "img"});
    this.shareText = h("span", {class: "num"});
    this.who = h("ul", {class: "who"});
    this.node = h("article", {class: "card device"},
      heading(d),
      h("div", {class: "heat-head"}, h("div", {}, this.busy, h("span", {class: "muted"}, " busy")), this.meta),
      this.heat,
      h("div", {class: "heat-foot muted"}, h("span", {}, "1 min ago"), h("span", {class: "legend"}, "idle", [0, 1, 2, 3, 4, 5].map((i) => h("i", {class: `heat-${i}`})), "full"), h("span", {}, "now")),
      h("div", {class: "pair"}, h("span", {}, "Memory promised"), this.memoryText), this.memory,
      h("div", {class: "pair"}, h("span", {}, "Compute promised"), this.shareText), this.share,
      h("h3", {}, "Who is on it"), this.who);
    this.state = d.state;
    this.model = d.model;
    this.sharesOf = "";
  }

  show(d) {
    const on = live.vgpusOf(d.id);
    const promised = d.memory - d.memory_free - d.memory_reserved;
    const values = live.deviceRing(d.id).values("busy", CELLS);
    const mean = values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0;
    setText(this.busy, fmt.percent(d.busy || 0));
    this.heat.setAttribute("aria-label", `busy: ${fmt.percent(d.busy || 0)} now, ${fmt.percent(mean)} over the last ${values.length} seconds`);
    drawHeat(this.heat, values, CELLS);
    fill(this.meta, telemetry(d).map(([k, v]) => h("span", {}, h("span", {class: "muted"}, `${k} `), v)));
    setText(this.memoryText, `${fmt.bytes(Math.max(0, promised))} of ${fmt.bytes(d.memory)}`);
    setMeter(this.memory, promised / d.memory, `${fmt.percent(promised / d.memory)} of the memory is promised to vGPUs`);
    setText(this.shareText, `${fmt.percent((1000 - d.share_free) / 1000)} by ${d.vgpus} vGPU${d.vgpus === 1 ? "" : "s"}`);
    this.showShares(on);
    this.showWho(on);
  }

  // Parts of one project stand together.
  showShares(on) {
    const sum = new Map();
    for (const v of on) if (v.state !== "suspended") sum.set(v.set.project, (sum.get(v.set.project) || 0) + v.info.share);
    const parts = [...sum].sort((a, b) => b[1] - a[1]);
    const key = JSON.stringify(parts);
    if (key === this.sharesOf) return;
    this.sharesOf = key;
    fill(this.share, parts.map(([project, share]) => h("i", {class: tone(project), style: {width: `${share / 10}%`}, title: `${project}: ${share / 10} %`})));
    this.share.setAttribute("aria-label", parts.length ? parts.map(([p, s]) => `${p} ${s / 10} %`).join(", ") : "nothing promised");
  }

  showWho(on) {
    const top = on.filter((v) => v.processes || v.got > 0 || v.used).sort((a, b) => b.got - a.got || b.used - a.used);
    if (!top.length) return fill(this.who, h("li", {class: "none"}, on.length ? `Nobody is working; ${on.length} vGPU${on.length === 1 ? " is" : "s are"} idle.` : "No vGPUs on this device yet."));
    const rows = top.slice(0, SHOWN).map((v) => h("li", {},
      h("i", {class: `dot ${tone(v.set.project)}`}),
      h("a", {href: `#/vgpus/${encodeURIComponent(v.id)}`}, name(v.info.name)),
      h("span", {class: "muted project"}, name(v.set.project)),
      h("span", {class: "num"}, fmt.part(v.got), h("span", {class: "muted"}, ` of ${v.info.share / 10} %`)),
      h("span", {class: "num"}, fmt.bytes(v.used))));
    if (top.length > SHOWN) rows.push(h("li", {class: "more"}, h("a", {href: "#/vgpus"}, `and ${top.length - SHOWN} more`)));
    return fill(this.who, rows);
  }
}

function summary() {
  const {devices, vgpus} = live.state;
  const total = devices.reduce((a, d) => a + d.memory, 0);
  const used = [...vgpus.values()].reduce((a, v) => a + v.used, 0);
  const busy = devices.length ? devices.reduce((a, d) => a + (d.busy || 0), 0) / devices.length : 0;
  let active = 0;
  let refused = 0;
  for (const v of vgpus.values()) { if (v.active) active++; refused += v.refusals; }
  return {total, used, busy, active, refused};
}

export function devicesPage(place) {
  const cards = new Map();
  const tiles = h("div", {class: "tiles"});
  const notes = h("div", {class: "notes"});
  const grid = h("div", {class: "grid devices"});
  place.append(h("div", {class: "page-head"}, h("h1", {}, "Devices")), tiles, notes, grid);

  const values = [["Busy", "of all devices"], ["Memory in use", ""], ["vGPUs", ""], ["Refusals", "allocations beyond a quota"]].map(([label, note]) => {
    const value = h("span");
    const foot = h("span", {}, note);
    tiles.append(tile(label, value, foot));
    return {value, foot};
  });

  function showTiles() {
    const s = summary();
    setText(values[0].value, fmt.percent(s.busy));
    setText(values[1].value, fmt.bytes(s.used));
    setText(values[1].foot, `of ${fmt.bytes(s.total)} on ${live.state.devices.length} device${live.state.devices.length === 1 ? "" : "s"}`);
    setText(values[2].value, fmt.count(live.state.vgpus.size));
    setText(values[2].foot, `${fmt.count(s.active)} at work`);
    setText(values[3].value, fmt.count(s.refused));
  }

  let noted = "";
  function showNotes() {
    const {problems, findings} = live.state;
    const key = JSON.stringify([problems, findings]);
    if (key === noted) return;
    noted = key;
    fill(notes, problems.slice(0, 20).map((p) => notice("warn", name(p))),
      findings.slice(0, 20).map((f) => notice("bad", h("span", {}, name(f.program), ` (process ${f.pid}) `, f.kind === "outside" ? "uses a device without a vGPU" : "uses more than the quota of ", f.vgpu ? name(f.vgpu) : "",
        ` · ${fmt.bytes(f.memory)}`, f.killed ? " · ended" : ""))));
  }

  function show() {
    const {devices} = live.state;
    showTiles();
    showNotes();
    if (!devices.length) {
      if (live.state.phase === "live") fill(grid, empty("No device was found", "fastgpu doctor says what is missing; without a GPU, FASTGPU_SIM makes simulated ones."));
      return;
    }
    for (const d of devices) {
      let card = cards.get(d.id);
      if (card && (card.state !== d.state || card.model !== d.model)) { card.node.remove(); card = null; }
      if (!card) {
        card = new Card(d);
        cards.set(d.id, card);
        grid.append(card.node);
      }
      card.show(d);
    }
  }

  const off = [live.on("tick", show), live.on("change", show)];
  show();
  return () => off.forEach((f) => f());
}
