// SPDX-License-Identifier: Apache-2.0
// Figures, not tests: for measure.py.

import {go, host, open, ready} from "./browser.mjs";

export async function measure(browser) {
  for (const where of ["devices", "vgpus"]) {
    const times = [];
    const sizes = [];
    for (let i = 0; i < 7; i++) {
      const first = await open(browser, await host("link"));
      await ready(first.page);
      // The tab is logged in: from here on it is the page alone, with nothing kept from before.
      const cdp = await first.context.newCDPSession(first.page);
      await cdp.send("Network.setCacheDisabled", {cacheDisabled: true});
      await go(first.page, where);
      await first.page.reload();
      await ready(first.page);
      await first.page.waitForTimeout(1000);
      const {at, bytes} = await first.page.evaluate(() => {
        const mark = performance.getEntriesByName("content")[0].startTime;
        return {at: mark, bytes: [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter((e) => e.responseEnd <= mark).reduce((n, e) => n + e.transferSize, 0)};
      });
      times.push(at);
      sizes.push(bytes);
      await first.context.close();
    }
    await host("result", {what: "content", where, ms: times, bytes: sizes});
  }
  const {page} = await open(browser, await host("link"));
  await ready(page);
  await go(page, "vgpus");
  await page.waitForTimeout(3000);
  for (const by of ["Name", "Compute"]) {
    await page.click(`button.sort:text('${by}')`);
    await page.waitForTimeout(1500);
    const tasks = await page.evaluate((seconds) => new Promise((done) => {
      const long = [];
      const o = new PerformanceObserver((list) => long.push(...list.getEntries().map((e) => Math.round(e.duration))));
      o.observe({entryTypes: ["longtask"]});
      setTimeout(() => { o.disconnect(); done(long); }, 1000 * seconds);
    }), Number(process.env.SECONDS));
    await host("result", {what: "tasks", by, ms: tasks});
  }
}
