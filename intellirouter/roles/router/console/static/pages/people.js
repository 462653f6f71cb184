// People, service accounts and teams: who they are, what roles they have, and whether they are let in.
import { html, Asked, Badge, Button, Card, Choice, Dialog, Empty, Field, Table, Text, count, status, toast, useAct, useAsk, useConfirm, useState } from "../ui.js";
import { get, patch, path, post, query, remove } from "../api.js";
import { T } from "../strings.js";

const W = T.people;
const words = (text) => text.split(/[\s,]+/).filter(Boolean);

/** Somebody new, or `one` who is to be changed: name, kind and tenant of an account stay. */
function Write({ one, roles, close, again }) {
  const [form, set] = useState({ name: one?.name ?? "", kind: one?.kind ?? "user", title: one?.title ?? "", email: one?.email ?? "", tenant: one?.tenant ?? "default", teams: (one?.teams ?? []).join(", "), roles: one ? (one.roles ?? []).join(", ") : roles.some((role) => role.name === "viewer") ? "viewer" : "" });
  const to = (name) => (value) => set((was) => ({ ...was, [name]: value }));
  const [save, busy] = useAct(async (event) => {
    event?.preventDefault();
    const said = { title: form.title.trim(), email: form.email.trim(), teams: words(form.teams), roles: words(form.roles) };
    if (one) await patch("router", path("admin", "users", one.name), said);
    else await post("router", "/admin/users", { name: form.name.trim(), kind: form.kind, tenant: form.tenant.trim() || "default", ...said });
    toast(one ? W.changed : W.added); close(); again();
  });
  const text = (name, label, more = {}) => html`<${Field} label=${label}><${Text} value=${form[name]} set=${to(name)} maxlength="256" ...${more} /><//>`;
  return html`<${Dialog} title=${one ? `${W.edit} ${one.name}` : W.add} close=${close} actions=${html`<${Button} onClick=${close}>${T.cancel}<//><${Button} kind="main" busy=${busy} disabled=${!form.name.trim()} onClick=${save}>${one ? T.save : T.create}<//>`}><form class="grid" style=${{ "--least": "220px" }} onSubmit=${save}>
    ${!one && html`${text("name", W.name, { autofocus: true })}<${Field} label=${W.kind}><${Choice} value=${form.kind} set=${to("kind")} options=${[["user", W.user], ["service", W.service]]} /><//>`}
    ${text("title", W.title)}${text("email", W.email, { type: "email" })}${!one && text("tenant", T.keys.tenant)}${text("teams", W.teams)}
    <${Field} label=${W.roles} note=${roles.map((role) => role.name).join(", ")}><${Text} value=${form.roles} set=${to("roles")} maxlength="500" autofocus=${Boolean(one)} /><//><input type="submit" class="visually-hidden" tabindex="-1" aria-hidden="true" /></form><//>`;
}

/** The people's part of the page of keys. `may`: whoever looks may change them. */
export function People({ may }) {
  const asked = useAsk(async (signal) => {
    const [people, teams, roles] = await Promise.all([get("router", "/admin/users?limit=100", signal), get("router", "/admin/teams", signal), get("router", "/admin/roles", signal)]);
    return { ...people, teams: teams.data, roles: roles.data };
  }, []);
  const [older, keep] = useState({ rows: [], next: undefined });
  const [writing, write] = useState(null); // true: somebody new
  const [sure, question] = useConfirm();
  const again = () => { keep({ rows: [], next: undefined }); asked.again(); };
  const next = older.next === undefined ? asked.data?.next : older.next;
  const [more, busy] = useAct(async () => { const told = await get("router", "/admin/users" + query({ limit: 100, after: next })); keep((was) => ({ rows: [...was.rows, ...told.data], next: told.next })); });
  const [act] = useAct(async (one, what) => {
    if (what === "delete") { if (!(await sure(`${T.remove} ${one.name}?`, W.sure, T.remove))) return; await remove("router", path("admin", "users", one.name)); } else await post("router", path("admin", "users", one.name, what));
    again();
  });
  const button = (one, what, label, kind = "small") => html`<${Button} kind=${kind} aria-label=${`${label} ${one.name}`} onClick=${() => act(one, what)}>${label}<//>`;
  return html`<${Card} title=${W.people} flush actions=${may && asked.data && html`<${Button} kind="small" onClick=${() => write(true)}>${W.add}<//>`}><${Asked} of=${asked} lines=${3}>${(data) => html`
    <${Table} label=${W.people} rows=${[...data.data, ...older.rows]} keyed=${(one) => one.id} empty=${html`<${Empty} title=${W.none}><p>${W.noneAbout}</p><//>`} columns=${[
      { name: W.name, sort: (one) => one.name, of: (one) => html`<b class="wrap">${one.name}</b>${one.kind === "service" && html` <${Badge}>${W.service}<//>`}<div class="faint small wrap">${[one.title, one.email].filter(Boolean).join(" · ")}</div>` },
      { name: T.keys.status, of: (one) => html`<${Badge} tone=${status(one.status)}>${one.status}<//>` }, { name: T.keys.tenant, of: (one) => html`<span class="wrap">${one.tenant}</span>` },
      { name: W.teams, of: (one) => html`<span class="wrap">${(one.teams ?? []).join(", ") || "–"}</span>` }, { name: W.roles, of: (one) => html`<span class="wrap">${[...new Set([...(one.roles ?? []), ...(one.given ?? [])])].join(", ") || "–"}</span>` },
      { of: (one) => may && html`<div class="row end"><${Button} kind="small" aria-label=${`${W.edit} ${one.name}`} onClick=${() => write(one)}>${W.edit}<//>${one.status === "blocked" ? button(one, "unblock", T.keys.unblock) : button(one, "block", T.keys.block)}${button(one, "delete", T.remove, "small danger")}</div>` },
    ]} />${next && html`<div class="empty"><${Button} busy=${busy} onClick=${more}>${T.more}<//></div>`}
    ${data.teams.length > 0 && html`<${Table} label=${W.teams} rows=${data.teams} keyed=${(team) => team.name} columns=${[{ name: W.team, of: (team) => html`<b class="wrap">${team.name}</b><div class="faint small wrap">${team.title}</div>` }, { name: W.roles, of: (team) => html`<span class="wrap">${(team.roles ?? []).join(", ") || "–"}</span>` }, { name: W.members, num: true, of: (team) => count(team.members) }]} />`}
    ${writing && html`<${Write} one=${writing === true ? null : writing} roles=${data.roles} close=${() => write(null)} again=${again} />`}`}<//>${question}<//>`;
}
