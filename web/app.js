// SPDX-License-Identifier: Apache-2.0
// The frame: who is logged in, which page is shown, and whether what is shown is of now.

import {h, fill, icon, name, setClass, setText} from "./dom.js";
import * as api from "./api.js";
import * as fmt from "./format.js";
import * as live from "./live.js";
import {themeChanged} from "./chart.js";
import {button, notice} from "./ui.js";
import {devicesPage} from "./pages/devices.js";
import {vgpusPage} from "./pages/vgpus.js";
import {queuePage} from "./pages/queue.js";
import {moneyPage} from "./pages/money.js";
import {modelPage} from "./pages/model.js";
import {auditPage} from "./pages/audit.js";
import {accessPage} from "./pages/access.js";

const PAGES = [
  {id: "devices", label: "Devices", make: devicesPage},
  {id: "vgpus", label: "vGPUs", make: vgpusPage},
  {id: "queue", label: "Queue", make: queuePage},
  {id: "money", label: "Money", make: moneyPage},
  {id: "model", label: "Model", make: modelPage},
  {id: "audit", label: "Audit", make: auditPage},
  {id: "access", label: "Access", make: accessPage},
];

const root = document.getElementById("app");

// --- theme ---

function theme() {
  let kept = null;
  try { kept = localStorage.getItem("fastgpu.theme"); } catch { /* the system's then */ }
  return kept === "light" || kept === "dark" ? kept : null;
}

function isDark() { return theme() ? theme() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; }

function applyTheme() {
  const kept = theme();
  if (kept) document.documentElement.dataset.theme = kept;
  else delete document.documentElement.dataset.theme;
  themeChanged();
}

// --- the frame ---

const frame = {};

function themeButton() {
  const draw = () => fill(b, icon(isDark() ? "sun" : "moon"));
  const b = h("button", {type: "button", class: "button quiet", "aria-label": "Light or dark", onclick: () => {
    try { localStorage.setItem("fastgpu.theme", isDark() ? "light" : "dark"); } catch { /* for this time only */ }
    applyTheme();
    draw();
  }});
  frame.drawTheme = draw;
  draw();
  return b;
}

function buildFrame() {
  frame.links = PAGES.map((p) => h("a", {href: `#/${p.id}`}, icon(p.id), h("span", {}, p.label)));
  frame.live = h("span", {class: "live", role: "status"}, h("i", {}), h("span"));
  frame.who = h("a", {class: "who-am-i", href: "#/access"});
  frame.banner = h("div", {class: "banner-place", "aria-live": "assertive"});
  frame.main = h("main", {id: "main", tabIndex: -1});
  fill(root,
    h("a", {class: "skip", href: "#main", onclick: (e) => { e.preventDefault(); frame.main.focus(); }}, "Skip to the page"),
    h("header", {class: "top"}, h("a", {class: "brand", href: "#/devices"}, h("span", {class: "logo", "aria-hidden": "true"}, h("i"), h("i"), h("i")), "FastGPU"), frame.live, h("div", {class: "row end grow"}, frame.who, themeButton())),
    h("nav", {class: "side", "aria-label": "Pages"}, frame.links),
    h("div", {class: "page"}, frame.banner, frame.main));
}

// --- pages ---

let current = null;

function route() {
  const [, id, ...rest] = location.hash.split("/");
  const page = PAGES.find((p) => p.id === id) || PAGES[0];
  let target = null;
  try { target = rest.length ? decodeURIComponent(rest.join("/")) : null; } catch { /* not ours */ }
  return {page, target};
}

function show() {
  if (!frame.main) return;
  const {page, target} = route();
  PAGES.forEach((p, i) => { if (p === page) frame.links[i].setAttribute("aria-current", "page"); else frame.links[i].removeAttribute("aria-current"); });
  document.title = `${page.label} · FastGPU`;
  if (current && current.page === page && current.update) return current.update(target);
  const isFirst = !current;
  if (current) current.drop();
  fill(frame.main);
  const made = page.make(frame.main, target);
  current = typeof made === "function" ? {page, drop: made} : {page, ...made};
  if (!isFirst && document.activeElement === document.body) frame.main.focus({preventScroll: true});
  return undefined;
}

// --- of now, or of when? ---

function pulse() {
  if (!frame.live) return;
  const stale = live.isStale() && live.state.phase !== "start";
  const seconds = live.age();
  setClass(document.body, "stale", stale);
  frame.live.className = `live ${live.state.phase === "start" ? "" : stale ? "bad" : "good"}`;
  setText(frame.live.lastChild, live.state.phase === "start" ? "Connecting" : stale ? (Number.isFinite(seconds) ? `${fmt.seconds(Math.round(seconds))} old` : "No figures") : "Live");
}

function phase() {
  const gone = live.state.phase === "gone";
  const since = Number.isFinite(live.age()) ? " What is grey is as it was last known." : "";
  fill(frame.banner, gone ? notice("bad", `${live.state.problem && live.state.problem.status ? live.state.problem.message : "The daemon does not answer."} This page goes on by itself when it is back.${since}`) : null);
  const {who} = live.state;
  if (who) fill(frame.who, name(who.name), who.admin || who.operator ? h("span", {class: "muted"}, who.operator ? "" : " admin") : null);
  pulse();
}

// --- logging in ---

function logInForm(problem) {
  live.forget();
  if (current) { current.drop(); current = null; }
  frame.main = null;
  frame.live = null;
  setClass(document.body, "stale", false);
  const input = h("input", {type: "password", id: "token", autocomplete: "off", spellcheck: "false", placeholder: "fgt_…", required: true});
  const said = h("div", {"aria-live": "assertive"}, problem ? notice("bad", problem.message) : null);
  const body = h("form", {class: "login card"}, h("div", {class: "brand"}, h("span", {class: "logo", "aria-hidden": "true"}, h("i"), h("i"), h("i")), "FastGPU"),
    h("h1", {}, problem && api.hasToken() ? "Log in again" : "Log in"), said,
    h("label", {for: "token"}, "Token"), input,
    h("p", {class: "hint"}, "An admin, or you with the command line, makes one: ", h("code", {}, "fastgpu token create"), ". It stays in this tab. On the machine itself ", h("code", {}, "fastgpu dashboard"), " prints a link that needs none."),
    h("div", {class: "row end"}, button("", {}), h("button", {type: "submit", class: "button primary"}, h("span", {}, "Log in"))));
  body.querySelector(".row.end").firstChild.remove();
  body.addEventListener("submit", async (event) => {
    event.preventDefault();
    api.keepToken(input.value.trim());
    input.value = "";
    try {
      await api.get("/v1/whoami");
      begin();
    } catch (e) {
      if (e.status !== 401) fill(said, notice("bad", e.message));
    }
  });
  fill(root, h("main", {class: "login-page"}, body));
  input.focus();
}

// When there was first something to see: what a person waits for, and what is measured.
function seen() {
  if (!live.state.vgpus.size && !live.state.complete) return;
  offSeen();
  performance.mark("content");
}
let offSeen = () => {};

function begin() {
  offSeen();
  offSeen = live.on("change", seen);
  buildFrame();
  show();
  phase();
  live.start();
}

// The link's code goes from the address line before anything else is done with it.
async function boot() {
  applyTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { themeChanged(); if (frame.drawTheme) frame.drawTheme(); });
  api.on("denied", (problem) => { api.keepToken(null); logInForm(problem); });
  live.on("phase", phase);
  live.on("tick", pulse);
  setInterval(pulse, 1000);
  addEventListener("hashchange", () => show());
  live.watchVisibility();
  const code = /^#login=([0-9a-f]{64})$/.exec(location.hash);
  if (location.hash.startsWith("#login=")) history.replaceState(null, "", "#/devices");
  api.loadToken();
  if (code) {
    try {
      await api.logIn(code[1]);
    } catch (e) {
      if (!api.hasToken()) return logInForm(e);
    }
  }
  if (!api.hasToken()) return logInForm(null);
  return begin();
}

boot();
