// SPDX-License-Identifier: Apache-2.0
// Who did what, and what happened.

import {h, fill, name} from "../dom.js";
import * as api from "../api.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {button, pill, section, sorry, table} from "../ui.js";

const PAGE = 100;

function verdict(row) {
  const tone = row.status >= 500 ? "bad" : row.status >= 400 ? "warn" : "good";
  return h("span", {class: "row nowrap"}, pill(String(row.status), tone), row.problem ? h("span", {class: "muted"}, row.problem) : null, row.count > 1 ? h("span", {class: "muted"}, `× ${fmt.count(row.count)}`) : null);
}

const columns = [
  {head: "When", get: (r) => h("span", {class: "num"}, fmt.when(r.time))},
  {head: "Who", get: (r) => h("div", {class: "two"}, name(r.actor), h("small", {class: "muted"}, name([r.via, r.from].filter(Boolean).join(" · "))))},
  {head: "What", get: (r) => h("code", {}, name(r.action))},
  {head: "On", get: (r) => name(r.target)},
  {head: "Project", get: (r) => name(r.project || "")},
  {head: "Result", get: verdict},
];

function events() {
  return table([
    {head: "When", get: (e) => h("span", {class: "num"}, fmt.when(e.time))},
    {head: "Kind", get: (e) => pill(e.kind, /refus|lost|problem|ended$/.test(e.kind) && !/^job\.ended/.test(e.kind) ? "warn" : "off")},
    {head: "What", class: "wide-cell", get: (e) => h("span", {class: "wrap"}, name(e.text))},
    {head: "Project", get: (e) => name(e.project || "")},
    {head: "By", get: (e) => name(e.actor)}], live.state.events.slice(0, 200), {caption: "Events, newest first", none: "Nothing has happened yet."});
}

export function auditPage(place) {
  let gone = false;
  let rows = [];
  let next = null;
  let mode = "audit";
  const fields = [["actor", "Who"], ["action", "What"], ["target", "On"], ["project", "Project"], ["status", "Result"]].map(([key, label]) => ({key, input: h("input", {type: "search", placeholder: label, "aria-label": `Only: ${label}`, class: "short", onchange: () => load(true)})}));
  const body = h("div");
  const filters = h("div", {class: "row end grow"}, fields.map((f) => f.input));
  const picks = h("div", {class: "segments", role: "group", "aria-label": "Which list"}, [["audit", "Audit"], ["events", "Events"]].map(([m, label]) =>
    h("button", {type: "button", "aria-pressed": String(m === mode), onclick: (e) => { mode = m; for (const b of picks.children) b.setAttribute("aria-pressed", String(b === e.target)); filters.hidden = m !== "audit"; if (m === "audit") load(true); else showEvents(); }}, label)));
  place.append(h("div", {class: "page-head"}, h("h1", {}, "Audit"), picks, filters), body);

  function show() {
    fill(body, section("What was asked for", h("span", {class: "muted"}, "newest first"), table(columns, rows, {caption: "Audit, newest first", none: "No row fits."}),
      next ? h("div", {class: "row center more"}, button("Older", {onclick: () => load(false)})) : null));
  }

  function showEvents() { fill(body, section("What happened", h("span", {class: "muted"}, "live"), events())); }

  async function load(anew) {
    const query = fields.map((f) => (f.input.value.trim() ? `&${f.key}=${api.seg(f.input.value.trim().slice(0, 100))}` : "")).join("");
    try {
      const page = await api.get(`/v1/audit?limit=${PAGE}${query}${anew || !next ? "" : `&after=${next}`}`);
      if (gone || mode !== "audit") return;
      rows = anew ? page.audit : [...rows, ...page.audit];
      next = page.next || null;
      show();
    } catch (e) {
      if (!gone && !e.isGone && e.status !== 401) fill(body, sorry(e));
    }
  }

  let soon = 0;
  const off = live.on("event", () => { clearTimeout(soon); soon = setTimeout(() => { if (mode === "events") showEvents(); }, 200); });
  load(true);
  return () => { gone = true; clearTimeout(soon); off(); };
}
