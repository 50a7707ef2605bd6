// SPDX-License-Identifier: Apache-2.0
// What somebody does at the page, and what must come of it. `node scenes.mjs NAME`, started by test_browser.py.

import {run} from "./browser.mjs";
import * as first from "./scenes_first.mjs";
import * as work from "./scenes_work.mjs";
import * as trouble from "./scenes_trouble.mjs";
import * as pictures from "./scenes_pictures.mjs";
import * as measure from "./scenes_measure.mjs";

const scenes = {...first, ...work, ...trouble, ...measure, ...pictures};
run(scenes[process.argv[2]]);
