// SPDX-License-Identifier: Apache-2.0
// What may be done with vGPUs from the page.

import * as api from "../api.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {act, confirm, form, toast} from "../ui.js";

export function projects() { return ["", ...live.state.projects]; }

let prices = null;

// "0.60 EUR an hour", of the reserve that is asked for: the larger of the parts of memory and time.
async function hint(values) {
  try {
    prices = prices || await api.get("/v1/prices");
    const device = live.state.devices.find((d) => String(d.id) === values.device) || live.state.devices[0];
    const row = prices.prices.find((p) => !p.device && !p.model && !p.class) || prices.prices[0];
    if (!row || !device) return "";
    const share = parseFloat(values.compute || "0") / 100;
    const size = /^([\d.]+)\s*([KMGT]?)/i.exec(values.memory || "");
    const factor = {"": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4};
    const part = size ? (values.memory.endsWith("%") ? parseFloat(size[1]) / 100 : size[1] * factor[size[2].toUpperCase()] / device.memory) : 0;
    const reserve = Math.min(1, Math.max(share || 0, part || 0));
    return reserve ? `About ${fmt.money(reserve * Number(row.price) * (Number(values.gpus) || 1), row.currency)} an hour while it exists.` : "";
  } catch {
    return "";
  }
}

function wish(values) {
  const body = {};
  for (const k of ["name", "memory", "compute", "mode", "priority", "project", "device"]) if (values[k]) body[k] = values[k];
  if (values.gpus && values.gpus !== "1") body.gpus = Number(values.gpus);
  return body;
}

export async function createVgpu() {
  const made = await form("Create vGPUs", [
    {key: "name", label: "Name", hint: "Empty: one is made up.", placeholder: "my-vgpu"},
    {key: "project", label: "Project", options: projects(), blank: "where you work"},
    {key: "memory", label: "Memory of each", hint: "256M, 1.5G or 25%. Empty: in proportion.", placeholder: "4G"},
    {key: "compute", label: "Compute of each, %", hint: "Of the device's time.", placeholder: "25"},
    {key: "gpus", label: "How many", type: "number", value: 1},
    {key: "device", label: "Device", options: ["", ...live.state.devices.map((d) => String(d.id))], blank: "with the most room"},
    {key: "mode", label: "Mode", options: ["share", "cap"], value: "share", hint: "share: more when nobody else wants it; cap: never more."},
    {key: "priority", label: "Priority", options: ["high", "normal", "low"], value: "normal"},
  ], (values) => api.change("POST", "/v1/vgpus", wish(values)), {yes: "Create", live: hint});
  if (!made) return;
  live.touch(`${made.project}:${made.name}`);
  toast(made.note || `${made.name} is there`);
}

export async function resizeVgpu(v) {
  const changed = await form(`Resize ${v.info.name}`, [
    {key: "memory", label: "Memory", value: exact(v.info.memory), hint: "Never below what is in use."},
    {key: "compute", label: "Compute, %", value: String(v.info.share / 10)},
    {key: "mode", label: "Mode", options: ["share", "cap"], value: v.info.mode},
    {key: "priority", label: "Priority", options: ["high", "normal", "low"], value: v.info.priority},
  ], (values) => {
    const body = {};
    if (values.memory && values.memory !== exact(v.info.memory)) body.memory = values.memory;
    if (values.compute && Number(values.compute) !== v.info.share / 10) body.compute = values.compute;
    if (values.mode !== v.info.mode) body.mode = values.mode;
    if (values.priority !== v.info.priority) body.priority = values.priority;
    if (!Object.keys(body).length) throw new Error("Nothing is different yet.");
    return api.change("PATCH", `/v1/vgpus/${api.seg(`${v.set.project}:${v.set.name}`)}/${v.info.index}`, body);
  }, {yes: "Resize", about: "It takes effect at once, also under running programs."});
  if (changed) { live.touch(`${v.set.project}:${v.set.name}`); toast(`${v.info.name} is resized`); }
}

// The shortest way to write exactly so many bytes.
function exact(n) {
  for (const [unit, size] of [["G", 1024 ** 3], ["M", 1024 ** 2], ["K", 1024]]) if (n % size === 0) return `${n / size}${unit}`;
  return String(n);
}

export async function suspendVgpu(v, wanted) {
  const path = `/v1/vgpus/${api.seg(`${v.set.project}:${v.set.name}`)}/${wanted ? "suspend" : "resume"}`;
  if (await act(() => api.change("POST", path), wanted ? `${v.set.name} is suspended: its programs wait, its share is free` : `${v.set.name} goes on`)) live.touch(`${v.set.project}:${v.set.name}`);
}

export async function deleteVgpu(v) {
  const busy = v.set.vgpus.some((x) => { const known = live.state.vgpus.get(x.uuid); return known && known.processes; });
  const many = v.set.vgpus.length > 1 ? ` All ${v.set.vgpus.length} vGPUs of it go.` : "";
  const answer = await confirm(`Delete ${v.set.name}?`, `It cannot be had back.${many}`, {yes: "Delete", option: busy ? "End the programs that use it" : undefined});
  if (!answer) return false;
  const done = await act(() => api.change("DELETE", `/v1/vgpus/${api.seg(`${v.set.project}:${v.set.name}`)}${answer.option ? "?force=1" : ""}`), `${v.set.name} is deleted`);
  if (done !== null) { live.dropSet(`${v.set.project}:${v.set.name}`); live.changedHere(); }
  return done !== null;
}
