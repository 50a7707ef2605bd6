// SPDX-License-Identifier: Apache-2.0
// One job: what it is, and what it writes, as it writes it.

import {h, fill, setText, name} from "../dom.js";
import * as api from "../api.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {act, button, confirm, drawer, facts, pill, sorry, table} from "../ui.js";

const TAIL = 64 * 1024;       // of a long log, the end
const KEPT = 512 * 1024;      // characters shown
const OVER = new Set(["done", "failed", "cancelled"]);
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])/g;
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;

function bytesOf(text) { return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)); }

// Follows a log until it ends or stop() is called.
function follow(id, index, pre, said) {
  const stop = new AbortController();
  const decoder = new TextDecoder();
  const query = index === null ? "" : `&index=${index}`;
  let length = 0;
  const write = (text) => {
    const clean = text.replace(ESCAPES, "").replace(/\r\n/g, "\n").replace(CONTROLS, "·");
    const low = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
    pre.append(clean);
    length += clean.length;
    while (length > KEPT && pre.firstChild !== pre.lastChild) { length -= pre.firstChild.length; pre.firstChild.remove(); }
    if (low) pre.scrollTop = pre.scrollHeight;
  };
  (async () => {
    let at = 0;
    let first = true;
    while (!stop.signal.aborted) {
      try {
        if (first) {
          const end = (await api.get(`/v1/jobs/${id}/log?from=0&limit=1${query}`, {signal: stop.signal})).size;
          at = Math.max(0, end - TAIL);
          if (at) setText(said, `The first ${fmt.bytes(at)} are left out.`);
          first = false;
        }
        const piece = await api.get(`/v1/jobs/${id}/log?from=${at}&limit=65536&wait=20${query}`, {signal: stop.signal, patience: 40000});
        if (piece.data) write(decoder.decode(bytesOf(piece.data), {stream: true}));
        at = piece.next;
        if (piece.end) {
          if (!pre.firstChild) setText(said, "It wrote nothing.");
          return;
        }
      } catch (e) {
        if (stop.signal.aborted || e.status === 401) return;
        if (!e.isGone && e.status !== 429) { setText(said, e.message); return; }
        await new Promise((done) => setTimeout(done, 2000));
      }
    }
  })();
  return () => stop.abort();
}

export function jobDrawer(id, onclose, onchange) {
  const side = drawer(`Job ${id}`, h("span"), onclose);
  const about = h("div");
  const elements = h("div");
  const said = h("p", {class: "muted"});
  const pre = h("pre", {class: "log", tabIndex: 0, "aria-label": "What the job has written", role: "log"});
  const title = h("h3", {}, "Output");
  let unfollow = null;
  let followed = null;
  let timer = 0;
  let gone = false;
  fill(side.body, about, elements, title, said, pre);

  function watch(index) {
    if (followed === String(index)) return;
    followed = String(index);
    if (unfollow) unfollow();
    fill(pre);
    setText(said, "");
    setText(title, index === null ? "Output" : `Output of element ${index}`);
    unfollow = follow(id, index, pre, said);
  }

  async function change(method, path, text) {
    if (await act(() => api.change(method, path), text)) { load(); onchange(); }
  }

  function tools(j) {
    if (OVER.has(j.state)) return fill(side.head);
    const paused = j.state === "suspended" || j.held;
    return fill(side.head,
      button(paused ? "Resume" : j.state === "queued" ? "Hold" : "Suspend", {which: paused ? "play" : "pause", small: true, onclick: () => change("POST", `/v1/jobs/${id}/${paused ? "resume" : "suspend"}`, paused ? "It goes on" : "It is held")}),
      button("Cancel", {which: "close", small: true, kind: "danger-quiet", onclick: async () => {
        if (await confirm(`Cancel job ${id}?`, "What waits is taken out, what runs is ended: it has 10 seconds to end by itself.", {yes: "Cancel the job"})) change("DELETE", `/v1/jobs/${id}`, `Job ${id} is cancelled`);
      }}));
  }

  function tell(j, w) {
    fill(side.node.querySelector(".drawer-title .muted"), name(j.name));
    tools(j);
    fill(about, facts([
      ["State", h("span", {}, pill(j.held && j.state === "queued" ? "held" : j.state), j.reason ? h("span", {class: "muted"}, " ", name(j.reason)) : null)],
      w ? ["Why", h("span", {class: "wrap"}, name(w.text))] : null,
      w && w.remedy ? ["What helps", h("span", {class: "wrap"}, name(w.remedy))] : null,
      w && w.start ? ["Starts", `${fmt.from(w.start)}, about ${fmt.when(w.start)}`] : null,
      ["Command", h("code", {class: "wrap block"}, name(j.command))],
      ["Project", name(j.project)],
      ["Owner", name(j.owner)],
      ["vGPUs", `${j.gpus} with ${fmt.bytes(j.memory)} and ${j.share / 10} % each`],
      j.time_limit ? ["Time limit", fmt.seconds(j.time_limit)] : null,
      ["Submitted", fmt.when(j.submitted)],
      j.started ? ["Started", fmt.when(j.started)] : null,
      j.ended ? ["Ended", fmt.when(j.ended)] : null,
      j.started && !j.ended ? ["Running for", fmt.seconds((Date.now() - Date.parse(j.started)) / 1000)] : null,
      j.ended && j.ran_ms !== undefined ? ["Ran", fmt.seconds(j.ran_ms / 1000)] : null,
      j.gpu_ns ? ["Device time", fmt.seconds(j.gpu_ns / 1e9)] : null,
      j.max_rss ? ["Most memory", fmt.bytes(j.max_rss)] : null,
      j.attempt > 1 ? ["Attempt", String(j.attempt)] : null,
    ]));
    if (j.elements) {
      fill(elements, h("h3", {}, "Elements"), table([
        {head: "Number", get: (x) => button(String(x.index), {small: true, kind: "quiet", onclick: () => watch(x.index)})}, {head: "State", get: (x) => pill(x.state)},
        {head: "How", get: (x) => (x.reason ? name(x.reason) : x.exit_code === undefined ? "" : `exit ${x.exit_code}`)},
        {head: "Ran", class: "num", get: (x) => (x.ran_ms === undefined ? "–" : fmt.seconds(x.ran_ms / 1000))}], j.elements, {caption: "Elements of the array"}));
      if (followed === null && j.elements.length) watch((j.elements.find((x) => x.state !== "queued") || j.elements[0]).index);
    } else if (followed === null && j.state !== "queued") {
      watch(null);
    }
  }

  async function load() {
    clearTimeout(timer);
    try {
      let j = await api.get(`/v1/jobs/${id}`);
      if (j.array) j = await api.get(`/v1/jobs/${id}?elements=1&limit=100`);
      const w = j.state === "queued" ? await api.get(`/v1/why/${id}`).catch(() => null) : null;
      if (gone) return;
      tell(j, w);
      if (!OVER.has(j.state)) timer = setTimeout(load, 3000);
    } catch (e) {
      if (gone || e.status === 401) return;
      if (e.isGone) timer = setTimeout(load, 3000);
      else fill(side.body, sorry(e));
    }
  }

  let soon = 0;
  const off = live.on("event", (e) => { if (e && e.kind.startsWith("job.")) { clearTimeout(soon); soon = setTimeout(load, 150); } });
  load();
  return {node: side.node, drop: () => { gone = true; off(); clearTimeout(soon); clearTimeout(timer); if (unfollow) unfollow(); side.drop(); }};
}
