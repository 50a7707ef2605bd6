// SPDX-License-Identifier: Apache-2.0
// Money: what was spent, what it will come to, what may be spent, what an hour costs, and what is owed.

import {h, fill, setText, name} from "../dom.js";
import * as api from "../api.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {chart} from "../chart.js";
import {button, meter, notice, pill, section, sorry, table, tile} from "../ui.js";
import {verifyInvoice} from "../verify.js";

const EVERY = 30000;
const DAY = 86400000;

function scope(project) {
  if (project) return `project=${api.seg(project)}`;
  return live.state.who.admin || live.state.who.operator ? "all=1" : "";
}

function month(date) { return date.toISOString().slice(0, 7); }
function sum(rows) { return rows.reduce((a, r) => a + Number(r.cost), 0); }

// What the month comes to if it goes on as in its last days: what is spent so far, and the mean of up to seven whole days (today, when there
// is none yet) for what is left.
export function forecast(days, spent, now) {
  const end = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
  const start = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
  const today = now.toISOString().slice(0, 10);
  const whole = days.filter((d) => d.day && d.day < today).sort((a, b) => (a.day < b.day ? 1 : -1)).slice(0, 7);
  const passed = (now.getTime() - start) / DAY;
  const rate = whole.length ? sum(whole) / whole.length : spent / Math.max(passed % 1, 1 / 24);
  return spent + rate * Math.max(0, (end - now.getTime()) / DAY);
}

function priceOf(p) {
  const what = p.device || p.model || "every device";
  return h("div", {class: "two"}, h("span", {}, name(what)), p.class ? h("small", {class: "muted"}, p.class === "cap" ? "capped" : "shared") : null);
}

function invoiceRow(i) {
  const said = h("span", {class: "verdict"}, i.draft ? h("span", {class: "muted"}, "not final") : "");
  if (!i.draft) {
    const b = button("Verify", {small: true, onclick: async () => {
      b.disabled = true;
      fill(said, h("span", {class: "muted"}, "reading the log…"));
      try {
        const v = await verifyInvoice(i.number, (n) => fill(said, h("span", {class: "muted"}, `${fmt.count(n)} records…`)));
        fill(said, h("span", {class: "pill good"}, "in the signed log"), h("small", {class: "muted"}, ` ${fmt.count(v.records)} records, signed by `, name(v.origin)));
      } catch (e) {
        fill(said, h("span", {class: "pill bad"}, "not proven"), h("small", {class: "muted"}, " ", name(e.message)), b);
        b.disabled = false;
      }
    }});
    said.append(b);
  }
  i.said = said;
  return i;
}

// The first moment of a month, "2026-11", or of one so many later.
function begins(text, later = 0) {
  const [year, number] = text.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + later, 1));
}

function dayOf(date) { return date.toISOString().slice(0, 10); }

export function moneyPage(place) {
  let gone = false;
  let timer = 0;
  let project = "";
  let shown = month(new Date());
  const pick = h("select", {"aria-label": "Project", onchange: () => { project = pick.value; load(); }});
  const when = h("input", {type: "month", "aria-label": "Month", value: month(new Date()), max: month(new Date()), onchange: () => load()});
  const tiles = h("div", {class: "tiles"});
  const values = ["Spent", "Forecast", "Budget", "Today"].map((label) => { const v = h("span", {}, "–"); const f = h("span", {}, " "); const box = tile(label, v, f); tiles.append(box); return {v, f, box}; });
  const body = h("div", {class: "grid two-up"});
  const said = h("div", {class: "notes"});
  const plot = chart({label: "Cost of each day", height: 200, between: () => [begins(shown) / 1000, begins(shown, 1) / 1000], format: (x) => fmt.money(String(x)), axis: 62, series: [{label: "Cost", tone: "accent", bars: true, fill: true}]});
  place.append(h("div", {class: "page-head"}, h("h1", {}, "Money"), h("div", {class: "row end grow"}, when, pick)), tiles, said, body);
  const noDays = h("div", {class: "none"}, "Nothing was used in this month.");
  const daysBox = section("Cost of each day", null, noDays, plot.node);
  const whoBox = h("div");
  const priceBox = h("div");
  const invoiceBox = h("div");
  const budgetBox = h("div");
  body.append(daysBox, whoBox, budgetBox, priceBox);
  place.append(invoiceBox);

  function projects(rows) {
    const names = [...new Set([...live.state.projects, ...rows.map((r) => r.project)])].filter(Boolean).sort();
    const all = live.state.who.admin || live.state.who.operator;
    if (pick.options.length === names.length + (all ? 1 : 0)) return;
    fill(pick, all ? h("option", {value: ""}, "all projects") : null, names.map((n) => h("option", {value: n, selected: n === project}, n)));
    project = pick.value;
  }

  function showTiles(days, budgets) {
    const now = new Date();
    const isNow = shown === month(now);
    const currency = (days.find((d) => d.currency) || budgets[0] || {}).currency || "";
    const spent = sum(days);
    const will = isNow ? forecast(days, spent, now) : spent;
    const mine = budgets.filter((b) => !project || b.project === project);
    const limit = mine.reduce((a, b) => a + Number(b.amount), 0);
    setText(values[0].v, fmt.money(String(spent), currency));
    setText(values[0].f, begins(shown).toLocaleDateString("en", {month: "long", year: "numeric", timeZone: "UTC"}));
    setText(values[1].v, fmt.money(String(will), currency));
    setText(values[1].f, isNow ? "if it goes on as lately" : "the month is over");
    setText(values[2].v, limit ? fmt.money(String(limit), currency) : "none");
    setText(values[2].f, limit ? `${fmt.percent(mine.reduce((a, b) => a + Number(b.spent), 0) / limit)} used` : "nothing is limited");
    setText(values[3].v, fmt.money(String(sum(days.filter((d) => d.day === dayOf(now)))), currency));
    setText(values[3].f, isNow ? "since midnight, UTC" : "not in this month");
    days = [...days].sort((a, b) => (a.day < b.day ? -1 : 1));
    noDays.hidden = Boolean(days.length);
    plot.node.hidden = !days.length;
    if (days.length) plot.set([days.map((d) => Date.parse(`${d.day}T12:00:00Z`) / 1000), days.map((d) => Number(d.cost))]);
    return currency;
  }

  function showBudgets(budgets) {
    fill(budgetBox, section("Budgets", null, table([
      {head: "Project", get: (b) => name(b.project)},
      {head: "Used", class: "wide-cell", get: (b) => { const part = Number(b.amount) ? Number(b.spent) / Number(b.amount) : 0; return h("div", {class: "two"}, meter(part, {tone: part >= 1 ? "bad" : part > 0.8 ? "warn" : "", label: fmt.percent(part)})); }},
      {head: "Spent", class: "num", get: (b) => `${fmt.money(b.spent)} of ${fmt.money(b.amount, b.currency)}`},
      {head: "At the limit", get: (b) => ({notify: "say so", suspend: "suspend", stop: "stop"})[b.on_limit] || b.on_limit}], budgets, {caption: "Budgets of projects", none: "No project has a budget."})));
  }

  function showPrices(prices) {
    const about = prices.set ? h("span", {class: "muted"}, `list ${prices.list}, since ${fmt.when(prices.set)}`) : null;
    fill(priceBox, section("Price list", about, table([
      {head: "Of", get: priceOf}, {head: "A GPU-hour", class: "num", get: (p) => fmt.money(p.price, p.currency)},
      {head: "From", get: (p) => (p.from ? fmt.whenDay(p.from) : "–")}, {head: "Until", get: (p) => (p.until ? fmt.whenDay(p.until) : "–")}], prices.prices, {caption: "Prices in force", none: "There are no prices: what is used costs nothing."})));
  }

  let invoiced = "";
  function showInvoices(invoices) {
    const key = JSON.stringify(invoices.map((i) => [i.number, i.payable]));
    if (key === invoiced) return; // what was verified stays said
    invoiced = key;
    fill(invoiceBox, section("Invoices", null, table([
      {head: "Number", get: (i) => name(i.number)}, {head: "Project", get: (i) => name(i.project)}, {head: "Period", get: (i) => `${fmt.whenDay(i.from)} to ${fmt.whenDay(i.until)}`},
      {head: "State", get: (i) => pill(i.draft ? "draft" : "final", i.draft ? "info" : "good")}, {head: "Payable", class: "num", get: (i) => fmt.money(i.payable, i.currency)},
      {head: "Records", class: "num", get: (i) => fmt.count(i.records)}, {head: "Verification", class: "wide-cell", get: (i) => i.said}], invoices.map(invoiceRow), {caption: "Invoices of the month and the one before", none: "No invoice yet: a month is invoiced when it is over."})));
  }

  async function load() {
    clearTimeout(timer);
    if (/^\d{4}-\d{2}$/.test(when.value)) shown = when.value;
    const span = `&from=${dayOf(begins(shown))}&until=${dayOf(begins(shown, 1))}`;
    const s = scope(project);
    const and = s ? `&${s}` : "";
    try {
      const [days, groups, prices, budgets, current, last, log] = await Promise.all([
        api.get(`/v1/usage?group_by=day${span}${and}`), api.get(`/v1/usage?group_by=${project ? "vgpu" : "project"}${span}${and}`), api.get("/v1/prices"),
        api.get(`/v1/budgets${project ? `?project=${api.seg(project)}` : ""}`), api.get(`/v1/invoices?month=${shown}${and}`), api.get(`/v1/invoices?month=${month(begins(shown, -1))}${and}`), api.get("/v1/log/checkpoint")]);
      if (gone) return;
      projects(groups.usage);
      const currency = showTiles(days.usage, budgets.budgets);
      fill(said, log.trouble ? notice("bad", "Nothing is billed: ", name(log.trouble)) : null);
      const rows = groups.usage.sort((a, b) => Number(b.cost) - Number(a.cost)).slice(0, 50);
      const most = Math.max(1e-12, ...rows.map((r) => Number(r.cost)));
      fill(whoBox, section(project ? "By vGPU" : "By project", null, table([
        {head: project ? "vGPU" : "Project", get: (r) => name(r.name || r.project || r.vgpu)}, {head: "", class: "wide-cell", get: (r) => h("div", {class: "two"}, meter(Number(r.cost) / most, {label: fmt.money(r.cost, r.currency)}))},
        {head: "GPU-hours", class: "num", get: (r) => fmt.hours(r.billed_gpu_hours)}, {head: "Cost", class: "num", get: (r) => fmt.money(r.cost, r.currency || currency)}], rows, {caption: "What was used in the month", none: "Nothing was used in this month."})));
      showBudgets(budgets.budgets);
      showPrices(prices);
      showInvoices([...current.invoices, ...last.invoices]);
    } catch (e) {
      if (!gone && !e.isGone && e.status !== 401) fill(body, sorry(e));
    }
    if (!gone) timer = setTimeout(load, EVERY);
  }

  function begin() {
    if (!live.state.who) return;
    off();
    projects([]);
    load();
  }
  const off = live.on("change", begin);
  begin();
  return () => { gone = true; clearTimeout(timer); off(); plot.drop(); };
}
