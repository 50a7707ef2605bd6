// SPDX-License-Identifier: Apache-2.0
// Drawings: small ones on a canvas by hand, large ones by uPlot, which is loaded with the first of them.

import {h} from "./dom.js";

const drawn = new Set(); // everything that must be drawn again in other colours

export function color(what) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${what}`).trim();
}

let cache = {};
function cached(what) {
  if (!cache[what]) cache[what] = color(what);
  return cache[what];
}

export function themeChanged() {
  cache = {};
  for (const d of [...drawn]) d();
}

function surface(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const w = canvas.clientWidth;
  const hgt = canvas.clientHeight;
  if (!w || !hgt) return null;
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(hgt * ratio)) {
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(hgt * ratio);
  }
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, w, hgt);
  return {c, w, h: hgt};
}

// --- a line in a row of a table; `asked` is a level to compare it with ---

export function spark() { return h("canvas", {class: "spark", "aria-hidden": "true"}); }

export function drawSpark(canvas, values, {max, asked, tone = "accent", room = 60} = {}) {
  const s = surface(canvas);
  if (!s) return;
  const top = max || Math.max(1e-9, ...values, asked || 0);
  const y = (v) => s.h - 1.5 - (Math.min(v, top) / top) * (s.h - 3);
  if (asked) {
    s.c.strokeStyle = cached("line-strong");
    s.c.setLineDash([2, 2]);
    s.c.beginPath();
    s.c.moveTo(0, y(asked));
    s.c.lineTo(s.w, y(asked));
    s.c.stroke();
    s.c.setLineDash([]);
  }
  if (values.length < 2) return;
  const step = s.w / (room - 1);
  const x = (i) => s.w - (values.length - 1 - i) * step;
  s.c.beginPath();
  values.forEach((v, i) => (i ? s.c.lineTo(x(i), y(v)) : s.c.moveTo(x(i), y(v))));
  s.c.strokeStyle = cached(tone);
  s.c.lineWidth = 1.5;
  s.c.lineJoin = "round";
  s.c.stroke();
  s.c.lineTo(s.w, s.h);
  s.c.lineTo(x(0), s.h);
  s.c.closePath();
  s.c.globalAlpha = 0.13;
  s.c.fillStyle = cached(tone);
  s.c.fill();
  s.c.globalAlpha = 1;
}

// --- heat: one cell for each moment, darker where the device had more to do ---

const HEAT = ["heat-0", "heat-1", "heat-2", "heat-3", "heat-4", "heat-5"];

export function heat() { return h("canvas", {class: "heat", role: "img"}); }

export function drawHeat(canvas, values, cells) {
  const s = surface(canvas);
  if (!s) return;
  const gap = 1;
  const width = (s.w + gap) / cells;
  for (let i = 0; i < cells; i++) {
    const v = values[values.length - cells + i];
    const known = v !== undefined && !Number.isNaN(v);
    s.c.fillStyle = known ? cached(HEAT[v <= 0.005 ? 0 : Math.min(5, 1 + Math.floor(v * 4.999))]) : cached("heat-none");
    s.c.beginPath();
    s.c.roundRect(i * width, 0, Math.max(1, width - gap), s.h, 1.5);
    s.c.fill();
  }
}

// --- charts ---

let library = null;

function load() {
  if (!library) {
    const sheet = h("link", {rel: "stylesheet", href: new URL("./vendor/uplot/uPlot.min.css", import.meta.url).pathname});
    document.head.append(sheet);
    library = import("./vendor/uplot/uPlot.esm.js").then((m) => m.default);
  }
  return library;
}

const BINARY = Array.from({length: 50}, (_, i) => 2 ** i);
const two = (n) => String(n).padStart(2, "0");

// Times below a chart: as exact as they are apart.
function times(u, ticks) {
  const apart = ticks.length > 1 ? ticks[1] - ticks[0] : 60;
  const days = u.scales.x.max - u.scales.x.min > 1.5 * 86400;
  return ticks.map((t) => {
    const d = new Date(1000 * t);
    if (days) return d.toLocaleDateString("en-GB", {day: "numeric", month: "short"});
    return `${two(d.getHours())}:${two(d.getMinutes())}${apart < 60 ? `:${two(d.getSeconds())}` : ""}`;
  });
}

function options(U, spec, width, height, ready) {
  const grid = {stroke: color("line"), width: 1};
  const axis = {stroke: color("muted"), grid, ticks: {show: false}, font: "11px system-ui, sans-serif"};
  const value = (u, v) => (v === null || v === undefined ? "–" : spec.format(v));
  return {
    width, height,
    padding: [8, 26, 0, 0],
    cursor: {points: {size: 6}, y: false, drag: {x: false, y: false}},
    legend: {live: true},
    hooks: {ready: [ready]},
    scales: {x: {time: true, range: spec.between ? (u, min, max) => spec.between() || [min, max] : undefined}, y: {range: (u, min, max) => [0, spec.max || Math.max(max || 0, spec.atLeast || 0) * 1.08 || 1]}},
    axes: [{...axis, space: 76, size: 28, values: times}, {...axis, incrs: spec.binary ? BINARY : undefined, size: spec.axis || 64, values: (u, ticks) => ticks.map((t) => spec.format(t)), space: 32}],
    series: [{}, ...spec.series.map((s) => ({
      label: s.label, stroke: color(s.tone), width: s.dash ? 1.5 : 2, dash: s.dash ? [5, 4] : undefined, fill: s.fill ? `${color(s.tone)}22` : undefined,
      points: {show: false}, spanGaps: false, value, paths: s.bars ? U.paths.bars({size: [0.7, 40]}) : s.stepped ? U.paths.stepped({align: 1}) : undefined,
    }))],
  };
}

// A chart that fills its place. spec: {label, series: [{label, tone, dash, fill, bars}], format, max, height}. set(data): [times (s), column…], null is a gap.
export function chart(spec) {
  const height = spec.height || 190;
  const place = h("div", {class: "chart", role: "img", "aria-label": spec.label, style: {"min-height": `${height + 34}px`}});
  let plot = null;
  let data = null;
  let gone = false;
  const make = async () => {
    const U = await load();
    if (gone || !data || !place.clientWidth) return;
    if (plot) plot.destroy();
    plot = new U(options(U, spec, place.clientWidth, height, newest), data, place);
  };
  // Nobody points at it: the legend tells the newest that is known.
  const newest = (u = plot) => {
    if (u.cursor.idx !== null && u.cursor.idx !== undefined) return;
    let last = data[0].length - 1;
    while (last > 0 && data.slice(1).every((c) => c[last] === null)) last--;
    if (last >= 0) u.setLegend({idx: last});
  };
  place.addEventListener("mouseleave", () => { if (plot) setTimeout(() => newest(), 0); });
  const observer = new ResizeObserver(() => { if (plot) plot.setSize({width: place.clientWidth, height}); else if (data) make(); });
  observer.observe(place);
  drawn.add(make);
  return {
    node: place,
    set(next) {
      data = next;
      if (plot) { plot.setData(next); newest(); }
      else make();
    },
    drop() {
      gone = true;
      drawn.delete(make);
      observer.disconnect();
      if (plot) plot.destroy();
    },
  };
}

const PALETTE = 8;

// The colour of a project, the same wherever it is shown.
export function tone(text) {
  let sum = 0;
  for (const c of String(text)) sum = (sum * 31 + c.codePointAt(0)) >>> 0;
  return `data-${1 + sum % PALETTE}`;
}
