// SPDX-License-Identifier: Apache-2.0
// Elements, by hand. What others named becomes text and nothing else: nothing is ever parsed as HTML here, and the policy that the page is
// served with forbids it.

const SVG = "http://www.w3.org/2000/svg";
const TITLE_MAX = 300;

function put(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

// h("p", {class: "note", onclick: f}, "text", node…)
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else if (key in node && typeof value !== "string") node[key] = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  put(node, children);
  return node;
}

export function fill(node, ...children) {
  node.replaceChildren();
  put(node, children);
  return node;
}

// Writes only what differs: a thousand rows a second are mostly the same.
export function setText(node, text) {
  if (node.firstChild && node.firstChild.nodeType === Node.TEXT_NODE && !node.firstChild.nextSibling) {
    if (node.firstChild.data !== text) node.firstChild.data = text;
  } else {
    node.textContent = text;
  }
}

export function setClass(node, name, on) {
  if (node.classList.contains(name) !== Boolean(on)) node.classList.toggle(name, Boolean(on));
}

// A name that somebody chose: kept from turning its neighbours round, cut by the style sheet, whole in the tip.
export function name(text, props) {
  const value = text === undefined || text === null ? "" : String(text);
  return h("bdi", {class: "name", title: value.slice(0, TITLE_MAX), ...props}, value.slice(0, 4096));
}

const ICONS = {
  devices: "M5 5h14v14H5zM9 9h6v6H9zM9 2v3M15 2v3M9 19v3M15 19v3M2 9h3M2 15h3M19 9h3M19 15h3",
  vgpus: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  queue: "M4 6h16M4 12h16M4 18h10",
  money: "M12 3v18M17 7H9.5a2.8 2.8 0 0 0 0 5.6h5a2.8 2.8 0 0 1 0 5.6H6",
  model: "M3 20l6-8 4 4 8-11M15 5h6v6",
  audit: "M6 3h12v18H6zM9 8h6M9 12h6M9 16h4",
  access: "M14 9a4 4 0 1 1-2.5 3.7L4 20v-3h3v-3h3l1.3-1.3M16.5 8.5h.01",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7z",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
  resize: "M4 14v6h6M20 10V4h-6M4 20l7-7M20 4l-7 7",
  check: "M5 12l5 5 9-10",
  warn: "M12 4l9 16H3zM12 10v4M12 17v.01",
};

export function icon(which) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[which] || "");
  svg.append(path);
  return svg;
}
