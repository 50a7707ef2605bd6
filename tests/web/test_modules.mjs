// SPDX-License-Identifier: Apache-2.0
// What of the page needs no browser: words of a command, forecasts, the log's proofs.

import assert from "node:assert/strict";
import {createHash} from "node:crypto";
import {split} from "../../web/words.js";
import {forecast} from "../../web/pages/money.js";
import {isSigned, readNote, rootOf} from "../../web/verify.js";
import * as fmt from "../../web/format.js";

// --- words, as a shell cuts them ---

for (const [text, words] of [["a b  c", ["a", "b", "c"]], ["", []], ["  ", []], ["'a b' c", ["a b", "c"]], ["\"a 'b' \\\"c\\\"\"", ["a 'b' \"c\""]], ["a\\ b", ["a b"]], ["''", [""]], ["a''b\"\"", ["ab"]],
  ["sh -c 'echo $x | wc'", ["sh", "-c", "echo $x | wc"]], ["a\n\tb", ["a", "b"]], ["'\\n'", ["\\n"]], ["x\\", ["x\\"]], ["\"$(id)\"", ["$(id)"]]]) assert.deepEqual(split(text), words, text);
assert.throws(() => split("'a"), /never closed/);
assert.throws(() => split("a \"b"), /never closed/);

// --- what a month comes to ---

const noon = new Date("2026-11-11T12:00:00Z");
const days = (n, cost) => Array.from({length: n}, (_, i) => ({day: `2026-11-${String(i + 1).padStart(2, "0")}`, cost: String(cost)}));
assert.equal(forecast(days(10, 2), 20, noon), 20 + 2 * 19.5);
assert.equal(forecast([...days(3, 100), ...days(10, 1).slice(3)], 307, noon), 307 + 19.5, "the last seven whole days alone");
assert.equal(forecast([{day: "2026-11-11", cost: "6"}], 6, noon), 6 + 12 * 19.5, "today, when there is no whole day yet");
assert.equal(forecast([], 0, noon), 0);

// --- numbers ---

assert.equal(fmt.bytes(0), "0 B");
assert.equal(fmt.bytes(1536), "1.50 KiB");
assert.equal(fmt.bytes(80 * 2 ** 30), "80 GiB");
assert.equal(fmt.part(0), "0 %");
assert.equal(fmt.part(0.031), "3.1 %");
assert.equal(fmt.money("1234.5", "EUR"), "1,234.50 EUR");
assert.equal(fmt.money("0.0031", "EUR"), "0.0031 EUR");
assert.equal(fmt.seconds(NaN), "–");

// --- proofs, against a tree that is built here another way ---

const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const leafOf = (text) => sha(Buffer.of(0), Buffer.from(text));

function tree(leaves) {
  if (leaves.length === 1) return leaves[0];
  let k = 1;
  while (2 * k < leaves.length) k *= 2;
  return sha(Buffer.of(1), tree(leaves.slice(0, k)), tree(leaves.slice(k)));
}

function way(index, leaves) {
  if (leaves.length === 1) return [];
  let k = 1;
  while (2 * k < leaves.length) k *= 2;
  return index < k ? [...way(index, leaves.slice(0, k)), tree(leaves.slice(k))] : [...way(index - k, leaves.slice(k)), tree(leaves.slice(0, k))];
}

for (const size of [1, 2, 3, 4, 5, 7, 8, 9, 31, 33]) {
  const texts = Array.from({length: size}, (_, i) => `{"type":"x","seq":${i}} ä`);
  const leaves = texts.map(leafOf);
  const root = tree(leaves).toString("base64");
  for (let i = 0; i < size; i++) {
    const proof = way(i, leaves).map((b) => b.toString("base64"));
    assert.equal(await rootOf(i, size, texts[i], proof), root);
    assert.notEqual(await rootOf(i, size, `${texts[i]} `, proof), root, "another text");
    if (size > 1) {
      assert.notEqual(await rootOf((i + 1) % size, size, texts[i], proof), root, "another place");
      assert.notEqual(await rootOf(i, size, texts[i], proof.slice(1)), root, "a shorter way");
      assert.notEqual(await rootOf(i, size, texts[i], [...proof, proof[0]]), root, "a longer way");
    }
  }
}

// --- notes, signed by a key made here ---

const pair = await crypto.subtle.generateKey({name: "Ed25519"}, true, ["sign", "verify"]);
const key = Buffer.from(await crypto.subtle.exportKey("raw", pair.publicKey)).toString("base64");
const body = "fastgpu/node-7\n20\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\ntime 1767225600\n";
const signature = Buffer.concat([Buffer.from([1, 2, 3, 4]), Buffer.from(await crypto.subtle.sign("Ed25519", pair.privateKey, Buffer.from(body)))]).toString("base64");
const note = readNote(`${body}\n— other AAAA\n— fastgpu/node-7 ${signature}\n`);
assert.deepEqual([note.origin, note.size, note.root], ["fastgpu/node-7", 20, "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="]);
assert.equal(await isSigned(note, key), true);
assert.equal(await isSigned({...note, body: note.body.replace("20", "21")}, key), false);
assert.throws(() => readNote("nonsense"), /no signed note/);
assert.throws(() => readNote(`${body}\n— other ${signature}\n`), /own name/);
