// SPDX-License-Identifier: Apache-2.0
// Coming to the page, its policy, a thousand vGPUs, who cannot see or use a mouse.

import {assert, axeSource, clean, go, host, open, ready, until} from "./browser.mjs";

const PAGES = ["devices", "vgpus", "queue", "money", "model", "audit", "access"];

// The link works once, and leaves no trace in the address line; the tab stays logged in.
async function link(browser) {
  const url = await host("link");
  const {page, wrong, context} = await open(browser, url);
  await ready(page);
  assert.equal(page.url(), `${new URL(url).origin}/#/devices`);
  assert.equal(await page.locator(".device").count(), 4);
  await page.reload();
  await ready(page);
  clean(wrong);
  const again = await open(browser, url, {allow: [/401/]});
  await again.page.waitForSelector(".login");
  assert.match(await again.page.innerText(".login"), /used already/);
  clean(again.wrong);
  // Nothing is kept where another tab, or the next start of the browser, could find it.
  assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie, Object.keys(sessionStorage)]), [0, "", ["fastgpu.token"]]);
  assert.deepEqual(await context.cookies(), []);
}

// What the policy forbids does not happen, even when somebody got as far as to try it.
async function policy(browser) {
  const {page, wrong} = await open(browser, await host("link"), {allow: [/policy:|Content Security Policy|TrustedHTML|Trusted Type|violates|Failed to load|Refused|blocked/i]});
  await ready(page);
  const tried = await page.evaluate(async () => {
    const did = {};
    const script = document.createElement("script");
    try { script.textContent = "window.pwned = 1"; document.head.append(script); } catch { /* refused */ }
    try { const d = document.createElement("div"); d.innerHTML = "<img src=x onerror='window.pwned = 2'>"; document.body.append(d); } catch (e) { did.html = e.name; }
    try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); did.insert = true; } catch (e) { did.insert = e.name; }
    // From a turn of its own: what the test itself evaluates may do this.
    await new Promise((done) => setTimeout(() => { try { window.eval("window.pwned = 3"); } catch { /* refused */ } done(); }, 0));
    const style = document.createElement("style");
    style.textContent = "body { --pwned: 1 }";
    document.head.append(style);
    did.style = getComputedStyle(document.body).getPropertyValue("--pwned");
    try { await fetch("http://127.0.0.1:9/elsewhere"); did.fetch = "went"; } catch { did.fetch = "refused"; }
    await new Promise((done) => setTimeout(done, 100));
    did.pwned = window.pwned;
    return did;
  });
  assert.deepEqual(tried, {html: "TypeError", insert: "TypeError", style: "", fetch: "refused", pwned: undefined});
  assert.deepEqual(wrong, [], "the refused request never left");
}

// A thousand vGPUs: what is sent first is small, what exists is what can be seen, and the end of the list can be reached.
export async function thousand(browser) {
  const {page, wrong} = await open(browser, await host("link"));
  await ready(page);
  await go(page, "vgpus");
  await until(page, () => document.querySelector(".page-head .num").textContent.startsWith("1,0"), null, "all vGPUs are there");
  const first = await page.evaluate(() => {
    const at = performance.getEntriesByName("content")[0].startTime;
    return [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter((e) => e.responseEnd <= at).reduce((n, e) => n + e.transferSize, 0);
  });
  assert.ok(first > 20000 && first < 200 * 1024, `${first} bytes to the first view`);
  const rows = () => page.evaluate(() => document.querySelectorAll(".vt-space .vt-row").length);
  assert.ok(await rows() < 80, `${await rows()} rows exist`);
  await page.evaluate(() => { const s = document.querySelector(".vt-scroll"); s.scrollTop = s.scrollHeight; });
  await until(page, () => [...document.querySelectorAll(".vt-space .vt-row:not([hidden])")].some((r) => r.getAttribute("aria-rowindex") === document.querySelector(".vt-scroll").getAttribute("aria-rowcount")), null, "the last row is shown");
  await page.fill("input[type=search]", "crowd-03");
  await until(page, () => /^100 of 1,0/.test(document.querySelector(".page-head .num").textContent), null, "the filter finds crowd-030 to 039");
  await page.fill("input[type=search]", "");
  await page.click("button.sort:text('Memory')");
  await until(page, () => document.querySelector("[aria-sort=descending] button").textContent === "Memory", null, "sorted by memory");
  await until(page, () => { const s = document.querySelector(".vt-scroll"); s.scrollTop = 0; const first = [...document.querySelectorAll(".vt-space .vt-row:not([hidden])")].find((r) => r.getAttribute("aria-rowindex") === "2"); return first && first.textContent.includes("whisper-ft/0"); }, null, "who uses most is first");
  clean(wrong);
}

// No finding of axe that is serious or worse, on any page, light or dark, wide or narrow.
export async function axe(browser) {
  const found = [];
  const url = await host("link");
  const {page, wrong} = await open(browser, url);
  await ready(page);
  await page.evaluate(axeSource);
  const look = async (what, rules) => {
    const result = await page.evaluate((only) => window.axe.run(document, {resultTypes: ["violations"], ...(only ? {runOnly: only} : {})}), rules || null);
    for (const v of result.violations) if (["serious", "critical"].includes(v.impact)) found.push(`${what}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join(" | ")}`);
  };
  const all = [...PAGES, `vgpus/${encodeURIComponent("imaging:train-resnet/0")}`, "queue/3"];
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({colorScheme: scheme});
    for (const where of all) {
      await go(page, where);
      await page.waitForTimeout(250);
      await look(`${where} ${scheme}`, scheme === "dark" && ["color-contrast"]);
    }
    await go(page, "vgpus");
    await page.click("main .button.primary");
    await look(`dialog ${scheme}`);
    await page.keyboard.press("Escape");
  }
  await page.setViewportSize({width: 390, height: 800});
  for (const where of PAGES) {
    await go(page, where);
    await page.waitForTimeout(100);
    if (["devices", "vgpus"].includes(where)) await look(`${where} narrow`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${where} is wider than a phone`);
  }
  assert.deepEqual(found, []);
  clean(wrong);
}

// Everything without a mouse.
async function keyboard(browser) {
  const {page, wrong} = await open(browser, await host("link"));
  await ready(page);
  const focus = () => page.evaluate(() => (document.activeElement.textContent || "").trim());
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("Tab");
  assert.equal(await focus(), "Skip to the page");
  for (let i = 0; i < 12 && await focus() !== "vGPUs"; i++) await page.keyboard.press("Tab");
  assert.equal(await focus(), "vGPUs");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".vt");
  for (let i = 0; i < 30 && !(await focus()).startsWith("align/0"); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".drawer");
  assert.ok(await page.evaluate(() => document.querySelector(".drawer").contains(document.activeElement)), "the detail has the focus");
  await page.keyboard.press("Escape");
  await until(page, () => !document.querySelector(".drawer"), null, "Escape closes it");
  await page.focus("main .button.primary");
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
  assert.ok(await page.evaluate(() => document.querySelector("dialog").contains(document.activeElement)));
  await page.keyboard.press("Escape");
  await until(page, () => !document.querySelector("dialog"), null, "Escape closes the dialog");
  clean(wrong);
}

export async function entrance(browser) {
  await link(browser);
  await policy(browser);
  await keyboard(browser);
}
