// SPDX-License-Identifier: Apache-2.0
// A browser at the page, and a line to the test that started this: `host` has it do something to the daemon. Everything that the page says on
// its console, every request that leaves for elsewhere, and every breach of its policy is a failure.

import assert from "node:assert/strict";
import {createRequire} from "node:module";
import readline from "node:readline";

const require = createRequire(`${process.env.WEB_PACKAGES}/`);
const {chromium} = require("playwright-core");
export const axeSource = require("axe-core").source;
export {assert};

const lines = readline.createInterface({input: process.stdin})[Symbol.asyncIterator]();

// host("ok", "GET", "/v1/vgpus") is daemon.ok("GET", "/v1/vgpus") in the test.
export async function host(what, ...args) {
  process.stdout.write(`${JSON.stringify([what, ...args])}\n`);
  const {value} = await lines.next();
  const reply = JSON.parse(value);
  if (reply.error) throw new Error(`${what} ${JSON.stringify(args)}: ${reply.error}`);
  return reply.value;
}

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
  });
}

// A page in a context of its own. `wrong` gathers what must not happen; `allow` are console messages that the scenario is about.
export async function open(browser, url, {allow = [], size = [1280, 800], scheme = "light", ...more} = {}) {
  const context = await browser.newContext({viewport: {width: size[0], height: size[1]}, colorScheme: scheme, ignoreHTTPSErrors: true, ...more});
  const page = await context.newPage();
  const origin = new URL(url).origin;
  const wrong = [];
  // A daemon that keeps no history says so by 404, and a browser puts that on its console whatever the page makes of it.
  const isHistory = (m) => /\/history\?/.test(m.location().url);
  page.on("console", (m) => { if (["error", "warning"].includes(m.type()) && !isHistory(m) && !allow.some((a) => a.test(m.text()))) wrong.push(`console: ${m.text()}`); });
  page.on("pageerror", (e) => wrong.push(`error: ${e.stack}`));
  page.on("dialog", (d) => { wrong.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on("request", (r) => { if (new URL(r.url()).origin !== origin && !/^(data|blob|about):/.test(r.url())) wrong.push(`request to elsewhere: ${r.url()}`); });
  await page.addInitScript(() => { document.addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`)); });
  await page.goto(url);
  return {context, page, wrong, origin};
}

export async function ready(page) { await page.waitForSelector(".live.good"); }

export async function go(page, where) {
  await page.evaluate((w) => { location.hash = `#/${w}`; }, where);
  await page.waitForSelector("main h1");
}

// Waits until f() in the page is true.
export async function until(page, f, arg, what) {
  try {
    await page.waitForFunction(f, arg, {timeout: 20000, polling: 50});
  } catch {
    throw new Error(`in vain: ${what || f}\n${(await page.innerText("body")).slice(0, 1500)}`);
  }
}

export function clean(wrong) { assert.deepEqual(wrong, []); }

export async function run(scenario) {
  const browser = await launch();
  try {
    await scenario(browser);
    process.stdout.write(`${JSON.stringify(["done"])}\n`);
  } catch (e) {
    process.stdout.write(`${JSON.stringify(["failed", String(e.stack)])}\n`);
    process.exitCode = 1;
  } finally {
    await browser.close();
    process.stdin.destroy();
  }
}
