// SPDX-License-Identifier: Apache-2.0
// Who one is here, and the tokens by which programs are.

import {h, fill, name} from "../dom.js";
import * as api from "../api.js";
import * as fmt from "../format.js";
import * as live from "../live.js";
import {act, button, confirm, facts, form, pill, section, showOnce, sorry, table} from "../ui.js";

async function createToken(users, onmade) {
  const made = await form("Create a token", [
    users ? {key: "user", label: "For", options: users, value: users[0], hint: "It does what this user may."} : null,
    {key: "name", label: "What for", placeholder: "ci"},
    {key: "role", label: "At most as", options: ["viewer", "member", "manager", "admin"], value: "member", hint: "viewer: reads. member: also runs things. manager: the whole project."},
    {key: "project", label: "Only in", options: ["", ...live.state.projects], blank: "wherever the user may"},
    {key: "expires", label: "Until", value: "30d", hint: "90d, 12h; at most 3650 days."},
  ].filter(Boolean), (v) => {
    const body = {};
    for (const k of ["user", "name", "project", "expires", "role"]) if (v[k]) body[k] = v[k];
    if (v.role === "admin") delete body.role;
    return api.change("POST", "/v1/tokens", body);
  }, {yes: "Create"});
  if (!made) return;
  onmade();
  await showOnce("The new token", "This is shown now and never again. Whoever has it does what it allows: keep it where others cannot read.", made.secret);
}

export function accessPage(place) {
  let gone = false;
  const about = h("div");
  const tokens = h("div");
  place.append(h("div", {class: "page-head"}, h("h1", {}, "Access"), h("div", {class: "row end grow"}, button("Log out", {onclick: () => { api.keepToken(null); history.replaceState(null, "", location.pathname); location.reload(); }}))), h("div", {class: "grid"}, about, tokens));

  function tellWho() {
    const {who, version} = live.state;
    if (!who || gone) return;
    fill(about, section("You", null, facts([
      ["Name", name(who.name)],
      ["Known by", name(who.via)],
      ["May", who.operator ? "everything: the operator" : who.admin ? "everything: an admin" : (who.projects || []).length ? h("span", {}, who.projects.map((p) => [pill(`${p.project}: ${p.role}`, "info"), " "])) : "nothing yet: in no project"],
      who.token ? ["Token", h("span", {}, h("code", {}, who.token), `, at most ${who.token_role}, until ${fmt.when(who.expires)}`)] : null,
      version ? ["Daemon", `FastGPU ${version.version}, up for ${fmt.seconds(version.uptime_ns / 1e9)}`] : null,
      version && version.tls ? ["Remote access", version.tls.error ? name(version.tls.error) : h("span", {}, name(version.tls.listen), " ", h("code", {class: "wrap"}, version.tls.fingerprint))] : null])));
  }

  async function load() {
    const {who} = live.state;
    if (!who) return;
    try {
      const list = [];
      await api.pages("/v1/tokens", "tokens", (page) => list.push(...page), {first: 500, then: 1000});
      const users = who.admin || who.operator ? (await api.get("/v1/users?limit=1000")).users.map((u) => u.name) : null;
      if (gone) return;
      const can = !users || users.length;
      const add = button("Create", {kind: "primary", which: "plus", disabled: !can, title: can ? "" : "A token belongs to a user, and there is none yet: fastgpu user create", onclick: () => createToken(users, load)});
      fill(tokens, section("Tokens", add, table([
        {head: "Token", get: (t) => h("div", {class: "two"}, name(t.name || "–"), h("small", {class: "muted"}, t.id))},
        {head: "User", get: (t) => name(t.user)},
        {head: "At most", get: (t) => t.role},
        {head: "Only in", get: (t) => name(t.project || "")},
        {head: "Created", get: (t) => fmt.when(t.created)},
        {head: "Expires", get: (t) => h("span", {class: "num", title: fmt.when(t.expires)}, fmt.from(t.expires))},
        {head: "State", get: (t) => pill(t.state)},
        {head: "", class: "num", get: (t) => (t.state === "active" ? button("Revoke", {small: true, kind: "danger-quiet", onclick: async () => {
          if (await confirm(`Revoke ${t.name || t.id}?`, "Whoever uses it is refused from now on.", {yes: "Revoke"}) && await act(() => api.change("DELETE", `/v1/tokens/${api.seg(t.id)}`), "It is revoked") !== null) load();
        }}) : "")}],
      list.reverse(), {caption: "Tokens", none: can ? "No tokens yet. A token lets a program, or this page elsewhere, act for a user." : "No tokens yet, and no users: whoever can open the daemon's socket may do everything."})));
    } catch (e) {
      if (!gone && !e.isGone && e.status !== 401) fill(tokens, sorry(e));
    }
  }

  const off = live.on("phase", () => { tellWho(); load(); });
  tellWho();
  load();
  return () => { gone = true; off(); };
}
