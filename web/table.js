// SPDX-License-Identifier: Apache-2.0
// A table of any length: only the rows that can be seen exist, and are used again as one scrolls. A row that shows the same thing as before is
// only told new figures.

import {h, setClass} from "./dom.js";

const SPARE = 6;

// columns: {key, head, class, sort(row) or undefined, make() -> node, show(node, row)}
export class VirtualTable {
  constructor({columns, label, sort, onopen, height}) {
    this.columns = columns;
    this.rows = [];
    this.pool = [];
    this.sort = sort;
    this.onopen = onopen;
    this.height = height || 46;
    this.marked = null;
    this.heads = columns.map((c) => this.head(c));
    this.space = h("div", {class: "vt-space", role: "rowgroup"});
    this.scroller = h("div", {class: "vt-scroll", role: "table", "aria-label": label, tabIndex: 0, onscroll: () => this.draw()}, h("div", {class: "vt-head", role: "rowgroup"}, h("div", {class: "vt-row", role: "row"}, this.heads)), this.space);
    this.node = h("div", {class: "vt"}, this.scroller);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.scroller);
    this.say();
  }

  head(c) {
    const cell = h("div", {class: `vt-cell ${c.class || ""}`, role: "columnheader"});
    if (c.sort) cell.append(h("button", {type: "button", class: "sort", onclick: () => this.by(c.key)}, c.head));
    else cell.append(h("span", {}, c.head));
    return cell;
  }

  by(key) {
    this.sort = {key, down: this.sort.key === key ? !this.sort.down : !["name", "project"].includes(key)};
    this.say();
    this.set(this.rows);
  }

  say() {
    this.columns.forEach((c, i) => {
      if (!c.sort) return;
      const on = this.sort.key === c.key;
      this.heads[i].setAttribute("aria-sort", on ? (this.sort.down ? "descending" : "ascending") : "none");
    });
  }

  // The rows to show; sorted here. Order among equals stays.
  set(rows) {
    const c = this.columns.find((x) => x.key === this.sort.key);
    const sign = this.sort.down ? -1 : 1;
    const keyed = rows.map((row) => ({row, key: c.sort(row)}));
    keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0));
    this.rows = keyed.map((k) => k.row);
    this.space.style.height = `${this.rows.length * this.height}px`;
    this.scroller.setAttribute("aria-rowcount", String(this.rows.length + 1));
    this.draw();
  }

  makeRow() {
    const cells = this.columns.map((c) => {
      const cell = h("div", {class: `vt-cell ${c.class || ""}`, role: "cell"});
      const inner = c.make();
      cell.append(inner);
      return {cell, inner};
    });
    const node = h("div", {class: "vt-row", role: "row", onclick: (event) => { if (!event.target.closest("a,button")) this.onopen(slot.row); }}, cells.map((c) => c.cell));
    const slot = {node, inner: cells.map((c) => c.inner), row: null, index: -1};
    this.space.append(node);
    return slot;
  }

  draw() {
    const top = this.scroller.scrollTop;
    const first = Math.max(0, Math.floor(top / this.height) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((top + this.scroller.clientHeight) / this.height) + SPARE);
    const wanted = last - first;
    while (this.pool.length < wanted) this.pool.push(this.makeRow());
    for (let i = 0; i < this.pool.length; i++) {
      // A row keeps its element while it stays in view.
      const index = first + ((i - first % this.pool.length + this.pool.length) % this.pool.length);
      const slot = this.pool[i];
      if (index >= last) { slot.node.hidden = true; slot.row = null; continue; }
      const row = this.rows[index];
      if (slot.node.hidden) slot.node.hidden = false;
      if (slot.index !== index) {
        slot.index = index;
        slot.node.style.transform = `translateY(${index * this.height}px)`;
        slot.node.setAttribute("aria-rowindex", String(index + 2));
      }
      const changed = slot.row !== row;
      slot.row = row;
      setClass(slot.node, "marked", this.marked !== null && this.marked === row);
      this.columns.forEach((c, k) => c.show(slot.inner[k], row, changed));
    }
  }

  drop() { this.observer.disconnect(); }
}
