// SPDX-License-Identifier: Apache-2.0
// Checks an invoice here, in the browser, against what the node has signed (docs/design/records.md): every record is under the signed root,
// and the root is signed with the node's key. Whether the amounts follow from the records is for `fastgpu invoice MONTH --verify`.

import * as api from "./api.js";

const text = new TextEncoder();

function fromBase64(s) { return Uint8Array.from(atob(s), (c) => c.charCodeAt(0)); }
function toBase64(b) { return btoa(String.fromCharCode(...b)); }

async function sha256(...parts) {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) { all.set(p, at); at += p.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

// The root that a leaf and its way up lead to (RFC 9162, 2.1.3.2); null: the way does not fit.
export async function rootOf(index, size, record, proof) {
  let fn = index;
  let sn = size - 1;
  let r = await sha256(LEAF, text.encode(record));
  for (const step of proof) {
    if (sn === 0) return null;
    const p = fromBase64(step);
    if (fn % 2 === 1 || fn === sn) {
      r = await sha256(NODE, p, r);
      while (fn % 2 === 0 && fn !== 0) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
    } else {
      r = await sha256(NODE, r, p);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 ? toBase64(r) : null;
}

// {origin, size, root, signed} of a signed note.
export function readNote(note) {
  const end = note.indexOf("\n\n");
  if (end < 0) throw new Error("the checkpoint is no signed note");
  const body = note.slice(0, end + 1);
  const [origin, size, root] = body.split("\n");
  const line = note.slice(end + 2).split("\n").find((l) => l.startsWith(`— ${origin} `));
  if (!line || !/^\d+$/.test(size)) throw new Error("the checkpoint is not signed in its own name");
  return {origin, size: Number(size), root, body, signature: fromBase64(line.slice(origin.length + 3)).slice(4)};
}

export async function isSigned(note, key) {
  const imported = await crypto.subtle.importKey("raw", fromBase64(key), {name: "Ed25519"}, false, ["verify"]);
  return crypto.subtle.verify({name: "Ed25519"}, imported, note.signature, text.encode(note.body));
}

// tell(number of records so far). Resolves to {records, origin, key}, or throws what is wrong.
export async function verifyInvoice(number, tell) {
  if (!globalThis.crypto || !crypto.subtle) throw new Error("this browser checks no signatures outside https");
  const checkpoint = await api.get("/v1/log/checkpoint");
  const note = readNote(checkpoint.checkpoint);
  let signed;
  try { signed = await isSigned(note, checkpoint.key); } catch { throw new Error("this browser cannot check Ed25519; use fastgpu invoice --verify"); }
  if (!signed) throw new Error("the checkpoint's signature is wrong");
  let at = "";
  let count = 0;
  let found = false;
  for (;;) {
    const page = await api.get(`/v1/log/records?invoice=${api.seg(number)}&size=${note.size}${at}`);
    for (const r of page.records) {
      if (await rootOf(r.number, note.size, r.text, r.proof) !== note.root) throw new Error(`record ${r.number} is not what was signed`);
      found = found || (r.text.startsWith('{"type":"invoice"') && JSON.parse(r.text).number === number);
      if (++count % 50 === 0) tell(count);
    }
    if (!page.next) break;
    at = `&at=${page.next}`;
  }
  if (!found) throw new Error("the invoice itself is not among the records");
  return {records: count, origin: note.origin, key: checkpoint.key};
}
