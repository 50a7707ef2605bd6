// SPDX-License-Identifier: Apache-2.0
// Pieces that every page uses.

import {h, fill, icon, name} from "./dom.js";
import * as fmt from "./format.js";

// --- small pieces ---

const TONES = {
  ready: "good", ok: "good", active: "good", done: "good", running: "good", live: "good",
  suspended: "warn", queued: "info", starting: "info", stopping: "warn", held: "warn", draft: "info", expired: "warn",
  lost: "bad", quarantined: "bad", failed: "bad", cancelled: "off", revoked: "off", idle: "off",
};

export function pill(text, tone) {
  return h("span", {class: `pill ${tone || TONES[text] || "off"}`}, text);
}

export function meter(part, {tone, label, mark} = {}) {
  const width = `${Math.max(0, Math.min(100, 100 * (part || 0)))}%`;
  const bar = h("div", {class: `meter ${tone || ""}`, role: "img", "aria-label": label || fmt.percent(part)},
    h("div", {class: "meter-fill", style: {width}}));
  if (mark !== undefined) bar.append(h("div", {class: "meter-mark", style: {left: `${Math.min(100, 100 * mark)}%`}}));
  return bar;
}

export function setMeter(bar, part, label) {
  bar.firstChild.style.width = `${Math.max(0, Math.min(100, 100 * (part || 0)))}%`;
  if (label) bar.setAttribute("aria-label", label);
}

export function button(text, {onclick, kind, which, title, disabled, small} = {}) {
  return h("button", {type: "button", class: `button ${kind || ""} ${small ? "small" : ""}`, onclick, title, disabled}, which && icon(which), text && h("span", {}, text));
}

export function empty(title, text, ...actions) {
  return h("div", {class: "empty"}, h("h3", {}, title), h("p", {}, text), actions.length ? h("div", {class: "row center"}, actions) : null);
}

export function notice(tone, text, ...more) {
  return h("div", {class: `notice ${tone}`, role: tone === "bad" ? "alert" : "status"}, icon(tone === "good" ? "check" : "warn"), h("div", {}, text, more));
}

// What a refused request says, for people.
export function sorry(problem) {
  if (problem.status === 403) return empty("You may not see this", problem.message);
  if (problem.status === 404) return empty("Not here", problem.message);
  return notice("bad", problem.message);
}

export function tile(label, value, note, tone) {
  return h("div", {class: `tile ${tone || ""}`}, h("div", {class: "tile-label"}, label), h("div", {class: "tile-value"}, value), note ? h("div", {class: "tile-note"}, note) : null);
}

export function facts(rows) {
  return h("dl", {class: "facts"}, rows.filter(Boolean).map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
}

export function section(title, tools, ...body) {
  return h("section", {class: "card"}, h("header", {class: "card-head"}, h("h2", {}, title), tools ? h("div", {class: "row"}, tools) : null), body);
}

// A plain table; a column is {head, get(row), class}. Rows are objects.
export function table(columns, rows, {caption, none} = {}) {
  if (!rows.length) return h("div", {class: "none"}, none || "Nothing here yet.");
  return h("div", {class: "table-wrap", tabIndex: 0, role: "region", "aria-label": caption},
    h("table", {class: "table"},
      h("caption", {class: "hidden"}, caption),
      h("thead", {}, h("tr", {}, columns.map((c) => h("th", {scope: "col", class: c.class}, c.head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((c) => h("td", {class: c.class}, c.get(row))))))));
}

export {name};

// --- toasts ---

let shelf = null;

export function toast(text, tone = "good") {
  if (!shelf) {
    shelf = h("div", {class: "toasts", role: "status", "aria-live": "polite"});
    document.body.append(shelf);
  }
  const one = h("div", {class: `toast ${tone}`}, icon(tone === "good" ? "check" : "warn"), h("span", {}, text));
  shelf.append(one);
  setTimeout(() => one.remove(), tone === "good" ? 4000 : 9000);
}

// --- dialogs ---

let dialogs = 0;

function open(title, body, actions) {
  const id = `dialog-${++dialogs}`;
  const dialog = h("dialog", {class: "dialog", "aria-labelledby": id}, h("h2", {id}, title), body, h("div", {class: "row end"}, actions));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Asks before something is lost. Resolves to whether it is wanted; with `option`, to {option: boolean}.
export function confirm(title, text, {yes = "Yes", option} = {}) {
  return new Promise((done) => {
    const box = option ? h("input", {type: "checkbox"}) : null;
    let wanted = false;
    const dialog = open(title, [h("p", {}, text), box ? h("label", {class: "check"}, box, h("span", {}, option)) : null], [
      button("Cancel", {onclick: () => dialog.close()}),
      button(yes, {kind: "danger", onclick: () => { wanted = {option: Boolean(box && box.checked)}; dialog.close(); }}),
    ]);
    dialog.addEventListener("close", () => done(wanted));
  });
}

let fields = 0;

// One line of a form: {key, label, hint, type, value, required, options, placeholder}
function field(f) {
  const id = `field-${++fields}`;
  let input;
  if (f.options) input = h("select", {id}, f.options.map((o) => h("option", {value: o, selected: o === f.value}, o || f.blank || "–")));
  else if (f.type === "area") input = h("textarea", {id, rows: f.rows || 2, placeholder: f.placeholder, spellcheck: "false"}, f.value || "");
  else input = h("input", {id, type: f.type || "text", value: f.value === undefined ? "" : String(f.value), placeholder: f.placeholder, autocomplete: "off", spellcheck: "false"});
  if (f.required) input.required = true;
  if (f.hint) input.setAttribute("aria-describedby", `${id}-hint`);
  const row = h("div", {class: `field ${f.wide ? "wide" : ""}`}, h("label", {for: id}, f.label), input, f.hint ? h("div", {class: "hint", id: `${id}-hint`}, f.hint) : null);
  return {row, input, key: f.key, type: f.type};
}

// A form in a dialog. send(values) may throw a Problem: it is said inside, and the form stays. Resolves to what send returned, or null.
export function form(title, rows, send, {yes = "Save", about, live} = {}) {
  return new Promise((done) => {
    const made = rows.map(field);
    const said = h("div", {class: "said", "aria-live": "assertive"});
    const hint = h("p", {class: "form-hint"});
    let result = null;
    const values = () => Object.fromEntries(made.map((m) => [m.key, m.input.value.trim()]));
    const submit = h("button", {type: "submit", class: "button primary"}, h("span", {}, yes));
    const body = h("form", {class: "form", novalidate: false}, about ? h("p", {class: "about"}, about) : null, h("div", {class: "fields"}, made.map((m) => m.row)), hint, said,
      h("div", {class: "row end"}, button("Cancel", {onclick: () => dialog.close()}), submit));
    body.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      fill(said);
      try {
        result = await send(values());
        dialog.close();
      } catch (e) {
        fill(said, notice("bad", e.message));
      }
      submit.disabled = false;
    });
    if (live) {
      let turn = 0;
      const look = async () => { const mine = ++turn; const text = await live(values()); if (mine === turn) hint.textContent = text || ""; };
      body.addEventListener("input", () => setTimeout(look, 250));
      look();
    }
    const dialog = open(title, body, []);
    dialog.addEventListener("close", () => done(result));
  });
}

// Shows something once, to be copied.
export function showOnce(title, text, secret) {
  return new Promise((done) => {
    const value = h("input", {type: "text", readOnly: true, value: secret, class: "secret", "aria-label": title, spellcheck: "false"});
    const dialog = open(title, [h("p", {}, text), h("div", {class: "row"}, value, button("Copy", {onclick: async () => {
      try { await navigator.clipboard.writeText(secret); toast("Copied"); } catch { value.select(); }
    }}))], [button("Done", {kind: "primary", onclick: () => dialog.close()})]);
    dialog.addEventListener("close", () => { value.value = ""; done(); });
    value.select();
  });
}

// --- drawer: one thing in detail, beside the list it is in ---

export function drawer(title, sub, onclose) {
  const body = h("div", {class: "drawer-body"});
  const head = h("div", {class: "drawer-tools row"});
  const close = h("button", {type: "button", class: "button quiet", "aria-label": "Close", onclick: onclose}, icon("close"));
  const node = h("aside", {class: "drawer", "aria-label": "Details", tabIndex: -1},
    h("header", {class: "drawer-head"}, h("div", {class: "drawer-title"}, h("h2", {}, title), h("div", {class: "muted"}, sub)), close), head, body);
  const escape = (event) => { if (event.key === "Escape" && !document.querySelector("dialog[open]")) onclose(); };
  document.addEventListener("keydown", escape);
  return {node, body, head, drop: () => { document.removeEventListener("keydown", escape); node.remove(); }};
}

// Runs what a button stands for; says what came of it.
export async function act(what, said) {
  try {
    const result = await what();
    if (said) toast(said);
    return result ?? true;
  } catch (e) {
    toast(e.message, "bad");
    return null;
  }
}
