// Who did what: the audit, searched, opened, and its chain of records verified.
import { html, Asked, Badge, Button, Card, Choice, Data, Dialog, Empty, Facts, Field, Notice, Page, Table, Text, count, go, moment, useAct, useAsk, useEffect, useState, zone } from "../ui.js";
import { get, query } from "../api.js";
import { T } from "../strings.js";

const W = T.audit;
const KINDS = ["administration", "sign-in", "refusal", "call", "system"];
const OUTCOMES = ["ok", "refused", "failed", "begun", "away"];
const TONES = { ok: "good", refused: "warn", failed: "bad", begun: "info" };
const FIELDS = ["text", "kind", "outcome", "who", "on"];
const seconds = (row) => Date.parse(row.at) / 1000;
const text = (value) => typeof value === "string" ? value : JSON.stringify(value);

/** One record: what changed as before and after, and everything else it says. */
function Details({ row, close }) {
  const changes = Object.entries(row.change ?? {});
  return html`<${Dialog} kind="wide" title=${`${row.action} · ${moment(seconds(row))}`} close=${close}><div class="stack">
    <${Facts} of=${[[W.who, row.who], [W.action, row.action], [W.on, row.on], [W.outcome, row.outcome && `${row.outcome}${row.status ? ` (${row.status})` : ""}`], ["", row.error], [W.address, row.address], [W.node, row.node], [W.request, row.request]]} />
    ${changes.length > 0 && html`<h3>${W.changes}</h3><${Table} label=${W.changes} rows=${changes} keyed=${([name]) => name} columns=${[{ name: W.on, of: ([name]) => html`<code>${name}</code>` }, { name: W.before, of: ([, [before]]) => html`<code class="wrap">${text(before) ?? "–"}</code>` }, { name: W.after, of: ([, [, after]]) => html`<code class="wrap">${text(after) ?? "–"}</code>` }]} />`}
    <details><summary>JSON</summary><${Data} value=${row} label=${W.details} /></details></div><//>`;
}

function Verdict() {
  const [told, tell] = useState(null);
  const [verify, busy] = useAct(async () => tell(await get("router", "/admin/audit/verify")));
  return html`<div class="row"><${Button} busy=${busy} onClick=${verify}>${W.verify}<//></div>
    ${told && html`<${Notice} tone=${told.holds ? "good" : "bad"}><b>${told.holds ? W.holds : W.broken}</b> ${told.nodes.map((one) => `${one.node}: ${count(one.records)} ${W.records}`).join(", ")}
      ${told.nodes.flatMap((one) => (one.findings ?? []).map((found, n) => html`<div key=${one.node + n}>${one.node} · ${found.problem}: ${found.message}</div>`))}<//>`}`;
}

export default function Audit({ with: given }) {
  const filters = Object.fromEntries(FIELDS.filter((name) => given[name]).map((name) => [name, given[name]])), key = JSON.stringify(filters);
  const [form, fill] = useState(filters);
  const [older, keep] = useState({ rows: [], next: undefined });
  const [opened, open] = useState(null);
  useEffect(() => { fill(filters); keep({ rows: [], next: undefined }); }, [key]);
  const page = (before, signal) => get("router", "/admin/audit" + query({ ...filters, limit: 100, before }), signal);
  const asked = useAsk((signal) => page(undefined, signal), [key]);
  const next = older.next === undefined ? asked.data?.next : older.next;
  const [more, busy] = useAct(async () => { const told = await page(next); keep((was) => ({ rows: [...was.rows, ...told.data], next: told.next })); });
  const apply = (values) => go("audit" + query(values)), to = (name) => (value) => fill((was) => ({ ...was, [name]: value })), choose = (name) => (value) => apply({ ...form, [name]: value });
  const field = (name, label, more) => html`<${Field} label=${label} wide=${name === "text"}><${Text} value=${form[name] ?? ""} set=${to(name)} ...${more} /><//>`;
  return html`<${Page} title=${T.pages.audit} about=${W.about}>
    <form class="filters" role="search" onSubmit=${(event) => { event.preventDefault(); apply(form); }}>
      ${field("text", W.text, { type: "search" })}${field("who", W.who)}${field("on", W.on)}
      <${Field} label=${W.kind}><${Choice} value=${form.kind ?? ""} set=${choose("kind")} options=${[["", T.all], ...KINDS]} /><//>
      <${Field} label=${W.outcome}><${Choice} value=${form.outcome ?? ""} set=${choose("outcome")} options=${[["", T.all], ...OUTCOMES]} /><//>
      <button class="button">${T.search}</button>
    </form>
    ${asked.data && html`<${Verdict} />`}
    ${asked.error?.status === 404 ? html`<${Card}><${Empty} title=${W.off}><p>${W.offAbout}</p><//><//>` : html`<${Asked} of=${asked}>${(data) => html`<${Card} flush label=${T.pages.audit}><${Table} label=${T.pages.audit} rows=${[...data.data, ...older.rows]} keyed=${(row) => row.node + row.n} empty=${html`<${Empty} title=${W.none}><p>${W.noneAbout}</p><//>`} columns=${[
      { name: W.at, of: (row) => html`<button type="button" class="link mono nowrap" onClick=${() => open(row)}>${moment(seconds(row))}</button>` },
      { name: W.who, of: (row) => html`<b class="wrap">${row.who ?? "–"}</b>${row.address && html`<div class="faint small">${row.address}</div>`}` },
      { name: W.action, of: (row) => html`<span class="wrap">${row.action}</span><div class="faint small">${row.kind}</div>` }, { name: W.on, of: (row) => html`<span class="wrap">${row.on ?? row.path ?? ""}</span>` },
      { name: W.outcome, of: (row) => html`<${Badge} tone=${TONES[row.outcome] ?? ""}>${row.outcome}<//>${row.status ? html` <span class="faint small">${row.status}</span>` : ""}` },
    ]} /><//>
    <div class="row spread"><span class="faint small">${T.requests.zone} ${zone}</span>${next && html`<${Button} busy=${busy} onClick=${more}>${T.more}<//>`}</div>`}<//>`}
    ${opened && html`<${Details} row=${opened} close=${() => open(null)} />`}<//>`;
}
