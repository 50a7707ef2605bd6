// SPDX-License-Identifier: Apache-2.0
// Every action, from the page, on a daemon that is busy. What is said on the page is compared with what the daemon has.

import {assert, clean, go, host, open, ready, until} from "./browser.mjs";

const get = (path) => host("ok", "GET", path);

async function submit(page, fields) {
  await page.waitForSelector("dialog[open]");
  for (const [label, value] of Object.entries(fields)) {
    const input = page.getByLabel(label, {exact: true});
    if (await input.evaluate((n) => n.tagName) === "SELECT") await input.selectOption(value);
    else await input.fill(value);
  }
  await page.click("dialog button[type=submit]");
  await until(page, () => !document.querySelector("dialog form") || document.querySelector("dialog .notice"), null, "the form is answered");
}

async function closed(page) {
  const said = page.locator("dialog form .notice");
  if (await said.count()) throw new Error(`refused: ${await said.innerText()}`);
  await until(page, () => !document.querySelector("dialog[open]"), null, "the dialog closes");
}

export async function vgpus(browser) {
  const {page, wrong} = await open(browser, await host("link"), {allow: [/409/]});
  await ready(page);
  await go(page, "vgpus");
  await page.click("main .button.primary");
  await submit(page, {Name: "from-page", Project: "imaging", "Memory of each": "512M", "Compute of each, %": "2", Device: "3"});
  await closed(page);
  const made = await get("/v1/vgpus/imaging:from-page");
  assert.deepEqual([made.vgpus[0].memory, made.vgpus[0].share, made.vgpus[0].device], [512 << 20, 20, 3]);
  await page.click("a:has-text('from-page/0')");
  await page.waitForSelector(".drawer canvas");
  // What is refused is said where it was asked for, and the form stays.
  await page.click(".drawer .button:has-text('Resize')");
  await submit(page, {Memory: "4000G"});
  await page.waitForSelector("dialog .notice.bad");
  await submit(page, {Memory: "768M", "Compute, %": "3"});
  await closed(page);
  const resized = await get("/v1/vgpus/imaging:from-page");
  assert.deepEqual([resized.vgpus[0].memory, resized.vgpus[0].share], [768 << 20, 30]);
  await until(page, () => /768 MiB/.test(document.querySelector(".vt").innerText), null, "the row tells the new quota");
  await page.click(".drawer .button:has-text('Suspend')");
  await page.waitForSelector(".drawer .button:has-text('Resume')");
  assert.equal((await get("/v1/vgpus/imaging:from-page")).vgpus[0].state, "suspended");
  await page.click(".drawer .button:has-text('Resume')");
  await page.waitForSelector(".drawer .button:has-text('Suspend')");
  await page.click(".drawer .button:has-text('Delete')");
  await page.click("dialog .button:has-text('Cancel')");
  await closed(page);
  assert.equal((await get("/v1/vgpus/imaging:from-page")).name, "from-page");
  await page.click(".drawer .button:has-text('Delete')");
  await page.click("dialog .button.danger");
  await until(page, () => !document.querySelector(".drawer") && !/from-page/.test(document.querySelector(".vt").innerText), null, "it is gone from the list");
  assert.ok(!(await get("/v1/vgpus?project=imaging")).sets.some((s) => s.name === "from-page"));
  // What others do is told by the stream.
  await host("ok", "POST", "/v1/vgpus", {name: "by-another", project: "speech", memory: "1M", compute: "0.1", device: "0"});
  await page.waitForSelector("a:has-text('by-another/0')");
  await host("ok", "DELETE", "/v1/vgpus/speech:by-another");
  await until(page, () => !/by-another/.test(document.querySelector(".vt").innerText), null, "the other's is gone");
  // Got and asked: what the page says is what the daemon counted.
  const before = await host("used", "imaging:train-resnet");
  await page.waitForTimeout(2000);
  const part = (await host("used", "imaging:train-resnet")) - before;
  await go(page, "vgpus");
  await until(page, () => [...document.querySelectorAll(".vt-space .vt-row")].some((r) => /train-resnet/.test(r.textContent) && /[1-9]\d* % of 30 %/.test(r.textContent)), null, "a share is shown");
  assert.ok(part > 0);
  // History is asked for by the daemon's clock, whatever this machine's says.
  await page.clock.setFixedTime(new Date(Date.now() + 400 * 86400000));
  await page.waitForTimeout(2000); // figures come, and with them the daemon's time
  await go(page, `vgpus/${encodeURIComponent("imaging:train-resnet/0")}`);
  const asked = page.waitForResponse((r) => /\/history\?/.test(r.url()));
  await page.click(".drawer .segments button:text('24 h')");
  assert.equal((await asked).status(), 200);
  clean(wrong);
}

export async function jobs(browser) {
  const {page, wrong} = await open(browser, await host("link"));
  await ready(page);
  await go(page, "queue");
  await page.waitForSelector("a:has-text('needs-much')");
  await until(page, () => /it needs 90 % of share/.test(document.querySelector("main").textContent), null, "the reason is told");
  await page.click("main .button.primary");
  await submit(page, {Command: "sh -c 'echo \"hello  from the page\"; echo two >&2; sleep 300'", Name: "from-page", Project: "imaging", "Memory of each vGPU": "64M", "Compute of each vGPU, %": "1"});
  await page.waitForSelector(".drawer pre");
  await until(page, () => document.querySelector(".drawer pre").textContent.includes("hello  from the page\ntwo\n"), null, "the log is followed");
  const id = Number((await page.url()).split("/").pop());
  assert.equal((await get(`/v1/jobs/${id}`)).name, "from-page");
  await page.click(".drawer .button:has-text('Suspend')");
  await page.waitForSelector(".drawer .button:has-text('Resume')");
  await until(page, () => /suspended/.test(document.querySelector(".drawer dl").textContent), null, "suspended");
  await page.click(".drawer .button:has-text('Resume')");
  await page.waitForSelector(".drawer .button:has-text('Suspend')");
  await page.click(".drawer .button:has-text('Cancel')");
  await page.click("dialog .button.danger");
  await until(page, () => /cancelled/.test(document.querySelector(".drawer dl").textContent), null, "cancelled");
  assert.equal((await get(`/v1/jobs/${id}`)).state, "cancelled");
  await page.click(".drawer [aria-label=Close]");
  await page.click("a:has-text('· grid')");
  await until(page, () => document.querySelectorAll(".drawer table tbody tr").length === 12, null, "the elements are listed");
  clean(wrong);
}

async function tokens(browser) {
  const {page, wrong} = await open(browser, await host("link"));
  await ready(page);
  await go(page, "access");
  await page.click(".card .button.primary");
  await submit(page, {For: "bob", "What for": "from-page", "At most as": "viewer", Until: "1d"});
  if (await page.locator("dialog form .notice").count()) throw new Error(await page.innerText("dialog form"));
  await page.waitForSelector("input.secret");
  const secret = await page.inputValue("input.secret");
  assert.match(secret, /^fgt_/);
  assert.equal((await host("as", secret, "GET", "/v1/whoami")).name, "bob");
  await page.click("dialog .button.primary");
  await until(page, () => !document.querySelector("dialog"), null, "it is closed");
  assert.ok(!(await page.content()).includes(secret), "the secret is nowhere any more");
  await page.click("tr:has-text('from-page') .button");
  await page.click("dialog .button.danger");
  await page.waitForSelector("tr:has-text('from-page') .pill:has-text('revoked')");
  assert.equal((await host("as", secret, "GET", "/v1/whoami")).status, 401);
  await page.click(".button:has-text('Log out')");
  await page.waitForSelector(".login");
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  clean(wrong);
}

// The pages that only show.
async function showing(browser) {
  const {page, wrong} = await open(browser, await host("link"));
  await ready(page);
  await go(page, "money");
  await until(page, () => /EUR/.test(document.querySelector(".tiles").textContent) && /NVIDIA H100/.test(document.querySelector("main").textContent), null, "prices and budget");
  await page.selectOption("main select", "imaging");
  await until(page, () => /By vGPU/.test(document.querySelector("main").textContent), null, "one project's");
  await go(page, "model");
  for (const w of ["last minute", "last day", "all time"]) { await page.click(`.segments button:text('${w}')`); await page.waitForSelector(`.segments [aria-pressed=true]:text('${w}')`); }
  await go(page, "audit");
  await page.waitForSelector("td:has-text('POST /v1/jobs')");
  await page.fill("[aria-label='Only: What']", "suspend");
  await page.keyboard.press("Enter");
  await until(page, () => [...document.querySelectorAll("tbody tr")].length && [...document.querySelectorAll("tbody tr")].every((r) => /suspend/.test(r.textContent)), null, "the filter");
  await page.click(".segments button:text('Events')");
  await page.waitForSelector("td:has-text('job.submitted')");
  await host("ok", "POST", "/v1/vgpus", {name: "seen-live", project: "speech", memory: "1M", compute: "0.1", device: "0"});
  await page.waitForSelector("td:has-text('seen-live')");
  // Light and dark by hand, kept for the next time.
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.click("[aria-label='Light or dark']");
  assert.notEqual(await ground(), light);
  await page.reload();
  await ready(page);
  assert.notEqual(await ground(), light);
  clean(wrong);
}

// An invoice is checked here, against what was signed; and a record that was changed on its way is found.
async function invoice(browser) {
  const {page, wrong} = await open(browser, await host("link"));
  await ready(page);
  await go(page, "money");
  await page.fill("main input[type=month]", "2026-11");
  const row = page.locator("tr:has-text('lab-2026-11-1')");
  await row.locator(".button:has-text('Verify')").click();
  await row.locator(".verdict .pill").waitFor();
  assert.match(await row.innerText(), /in the signed log/);
  assert.match(await row.innerText(), /\d+ records, signed by fastgpu/);
  await page.route("**/v1/log/records**", async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    body.records[Math.floor(body.records.length / 2)].text = body.records[Math.floor(body.records.length / 2)].text.replace(/"seq":(\d)/, '"seq":9$1');
    await route.fulfill({response, json: body});
  });
  const other = page.locator("tr:has-text('ops-2026-11-1')");
  await other.locator(".button:has-text('Verify')").click();
  await other.locator(".pill:has-text('not proven')").waitFor();
  assert.match(await other.innerText(), /record \d+ is not what was signed/);
  clean(wrong);
}

export async function reading(browser) {
  await showing(browser);
  await invoice(browser);
  await tokens(browser);
}
