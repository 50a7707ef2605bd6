// SPDX-License-Identifier: Apache-2.0
// Numbers and times for people.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  let unit = 0;
  let value = Number(n);
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) { value /= 1024; unit++; }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

// A part of one, "12.5 %".
export function percent(part, digits = 0) {
  if (part === null || part === undefined || Number.isNaN(part)) return "–";
  return `${(100 * part).toFixed(digits)} %`;
}

// The same of what is mostly small.
export function part(n) {
  return percent(n, n > 0.0005 && n < 0.0995 ? 1 : 0);
}

export function count(n) {
  if (n === null || n === undefined) return "–";
  return Number(n).toLocaleString("en");
}

export function seconds(s) {
  if (s === null || s === undefined || Number.isNaN(s)) return "–";
  if (s < 0.001) return "0 s";
  if (s < 1) return `${Math.round(1000 * s)} ms`;
  if (s < 60) return `${s < 10 && !Number.isInteger(s) ? s.toFixed(1) : Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.round((s % 86400) / 3600)} h`;
}

const clock = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const date = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"});
const day = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short", year: "numeric"});

function parse(time) {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? null : at;
}

// "14:03:21" of today, "3 Nov, 14:03" of another day.
export function when(time) {
  const at = time ? parse(time) : null;
  if (!at) return "–";
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : date.format(at);
}

export function whenDay(time) {
  const at = time ? parse(time) : null;
  return at ? day.format(at) : "–";
}

// "in 5 min 3 s", "2 h ago"
export function from(time) {
  const at = time ? parse(time) : null;
  if (!at) return "–";
  const s = (at.getTime() - Date.now()) / 1000;
  const text = Math.abs(s) < 60 ? seconds(Math.round(Math.abs(s))) : seconds(Math.abs(s)).replace(/ \d+ (s|min)$/, (all) => (Math.abs(s) < 600 ? all : ""));
  return s >= 0 ? `in ${text}` : `${text} ago`;
}

// Amounts are texts of decimal digits, and stay exact: only their length changes.
export function money(text, currency) {
  if (text === null || text === undefined || text === "") return "–";
  const n = Number(text);
  const digits = Math.abs(n) >= 0.01 || n === 0 ? 2 : 4;
  const body = n.toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  return currency ? `${body} ${currency}` : body;
}

export function hours(text) {
  const n = Number(text);
  return n === 0 ? "0" : n < 0.01 ? n.toFixed(4) : n.toFixed(2);
}
