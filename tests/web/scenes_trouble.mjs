// SPDX-License-Identifier: Apache-2.0
// Names that are attacks, rights that are missing or end, and a daemon that goes and comes back.

import {assert, clean, go, host, open, ready, until} from "./browser.mjs";

const PAGES = ["devices", "vgpus", "queue", "money", "model", "audit", "access"];
const NASTY = [
  "<script>window.pwned=1</script>", "<img src=x onerror=window.pwned=2>", "\"><svg onload=window.pwned=3>", "javascript:window.pwned=4", "{{constructor.constructor('window.pwned=5')()}}",
  "\u202egnp.exe\u202c \u2066\u2067", "\u0000\u001b[31m\u0007", "x".repeat(65536), "<b>".repeat(5000), "__proto__", "%3Cscript%3E", "'-alert(1)-'",
];
const FREE = new Set(["name", "project", "owner", "model", "vendor", "driver", "device_model", "key", "actor", "via", "from", "action", "target", "text", "kind", "problem", "command", "reason", "remedy", "user", "description",
  "program", "cgroup", "vgpu", "number", "note", "detail", "title", "origin", "node", "trouble", "listen", "id_text", "array", "device", "class", "version", "fingerprint", "token"]);

// Whatever the daemon answers, each of its texts is an attack.
function poison(value, key, turn) {
  if (Array.isArray(value)) return value.map((v, i) => poison(v, key, turn + i));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v], i) => [k, poison(v, k, turn + i)]));
  if (typeof value === "string" && (FREE.has(key) || key === "problems")) return NASTY[turn % NASTY.length];
  return value;
}

async function poisoned(browser) {
  const url = await host("link");
  const {page, wrong} = await open(browser, "about:blank", {allow: [/404|400|Failed to load/]});
  wrong.length = 0;
  let turn = 0;
  await page.route("**/v1/**", async (route) => {
    if (/text\/event-stream/.test(route.request().headers().accept || "")) return route.continue();
    const response = await route.fetch();
    let body;
    try { body = await response.json(); } catch { return route.fulfill({response}); }
    return route.fulfill({response, json: poison(body, "", turn++)});
  });
  await page.goto(url);
  await page.waitForSelector(".live.good");
  for (const where of [...PAGES, "vgpus/%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D6%3E", "queue/1", "%00/..//", "constructor"]) {
    await go(page, where);
    await page.waitForTimeout(250);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${where}: a name makes the page wider than it is`);
  }
  await go(page, "audit");
  await page.click(".segments button:text('Events')");
  await page.waitForTimeout(200);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await page.evaluate(() => document.querySelectorAll("img, svg [onload], main script, b").length), 0);
  assert.equal(await page.evaluate(() => Object.prototype.pwned), undefined);
  // A name turns round itself alone.
  assert.ok(await page.evaluate(() => [...document.querySelectorAll("bdi")].every((b) => getComputedStyle(b).unicodeBidi === "isolate")));
  assert.deepEqual(wrong.filter((w) => !w.startsWith("request to elsewhere")), []);
}

// What the daemon itself lets somebody name: commands and logs.
async function named(browser) {
  await host("ok", "POST", "/v1/jobs", {command: ["sh", "-c", "printf '<script>window.pwned=1</script>\\033[2J\\033]0;x\\007\\342\\200\\256abc\\n'; head -c 100000 /dev/zero | tr '\\0' x"], memory: "1M", compute: "0.1", project: "imaging"});
  const {page, wrong} = await open(browser, await host("link"));
  await ready(page);
  await go(page, "queue");
  await page.click("a:has-text('7 ·')");
  await until(page, () => document.querySelector(".drawer pre").textContent.includes("xxx"), null, "the log is shown");
  const shown = await page.textContent(".drawer pre");
  assert.ok(!/[\u001b\u0007]/.test(shown), "no control characters");
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  clean(wrong);
}

export async function hostile(browser) {
  await poisoned(browser);
  await named(browser);
}

// Over TLS with a token: without one, with a bad one, as somebody who may only read, and when it expires under one's hands.
export async function rights(browser) {
  const {url, viewer, short} = await host("remote");
  const {page, wrong} = await open(browser, url, {allow: [/401|403/]});
  await page.waitForSelector(".login");
  await page.fill("#token", "fgt_nonsense");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".login .notice.bad");
  await page.fill("#token", viewer);
  await page.keyboard.press("Enter");
  await ready(page);
  assert.ok(!page.url().includes("fgt_"));
  await go(page, "vgpus");
  await page.waitForSelector("a:has-text('train-resnet/0')");
  assert.ok(!/whisper-ft/.test(await page.innerText("main")), "another project's are not shown");
  await page.click("main .button.primary");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog .notice.bad:has-text('only reads')");
  await page.keyboard.press("Escape");
  await go(page, "audit");
  await page.waitForSelector(".empty:has-text('You may not see this')");
  clean(wrong);
  const other = await open(browser, url, {allow: [/401|403/]});
  await other.page.waitForSelector(".login");
  await other.page.fill("#token", await host("expiring", short));
  await other.page.keyboard.press("Enter");
  await ready(other.page);
  await other.page.waitForSelector(".login .notice.bad:has-text('expired')", {timeout: 20000});
  assert.ok(!/train-resnet/.test(await other.page.innerText("body")), "nothing of what was shown stays");
  assert.equal(await other.page.evaluate(() => sessionStorage.length), 0);
  clean(other.wrong);
}

// Gone: said, and what is old is grey. Back: by itself, with everything as it is then.
export async function gone(browser) {
  const {page, wrong} = await open(browser, await host("link"), {allow: [/502|ERR_|Failed to load/]});
  await ready(page);
  await go(page, "vgpus");
  await page.waitForSelector("a:has-text('train-resnet/0')");
  await host("stop");
  await page.waitForSelector(".banner-place .notice.bad");
  assert.match(await page.innerText(".banner-place"), /goes on by itself/);
  assert.ok(await page.evaluate(() => document.body.classList.contains("stale")));
  await until(page, () => /\d+ (s|min).* old/.test(document.querySelector(".live").textContent), null, "it says how old");
  await page.click("main .button.primary");
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog .notice.bad");
  await page.keyboard.press("Escape");
  await host("start");
  await host("ok", "POST", "/v1/vgpus", {name: "after-it", project: "speech", memory: "1M", compute: "0.1", device: "0"});
  await ready(page);
  await page.waitForSelector("a:has-text('after-it/0')");
  assert.equal(await page.locator(".banner-place .notice").count(), 0);
  // The stream is back too.
  await host("ok", "POST", "/v1/vgpus", {name: "told-by-stream", project: "speech", memory: "1M", compute: "0.1", device: "0"});
  await page.waitForSelector("a:has-text('told-by-stream/0')");
  clean(wrong);
}
