// SPDX-License-Identifier: Apache-2.0
// Pictures for the manual: started by pictures.py. Somebody looks at them before they are kept.

import {go, host, open, ready} from "./browser.mjs";

const DETAIL = `vgpus/${encodeURIComponent("imaging:train-resnet/0")}`;
const SHOTS = [
  {name: "devices", where: "devices", scheme: "light"}, {name: "devices-dark", where: "devices", scheme: "dark"},
  {name: "vgpus", where: DETAIL, scheme: "light"}, {name: "vgpus-dark", where: DETAIL, scheme: "dark"},
  {name: "queue", where: "queue/3", scheme: "light"}, {name: "money", where: "money", scheme: "light"}, {name: "model-dark", where: "model", scheme: "dark"},
  {name: "audit", where: "audit", scheme: "light"},
  {name: "phone-devices", where: "devices", scheme: "light", size: [390, 780]}, {name: "phone-vgpus-dark", where: "vgpus", scheme: "dark", size: [390, 780]},
];

export async function pictures(browser) {
  const {page} = await open(browser, await host("link"), {size: [1360, 850]});
  // That there is no OpenCL on a simulated node is not what these pictures are of.
  await page.route("**/v1/devices", async (route) => { const response = await route.fetch(); await route.fulfill({response, json: {...await response.json(), problems: []}}); });
  await ready(page);
  await page.waitForTimeout(62000); // the strips fill
  for (const shot of SHOTS) {
    await page.emulateMedia({colorScheme: shot.scheme});
    await page.setViewportSize({width: (shot.size || [1360, 850])[0], height: (shot.size || [1360, 850])[1]});
    await go(page, shot.where);
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    await page.waitForTimeout(2500);
    await page.screenshot({path: `${process.env.PICTURES}/${shot.name}.png`});
  }
}
