// Nodes and their health, the record, backups, the response cache, and the configuration with where each value comes from.
import { html, Asked, Badge, Button, Card, Check, Empty, Facts, NotPermitted, Page, Table, Text, ago, bytes, count, date, moment, span, status, toast, useAct, useAsk, useConfirm, useState } from "../ui.js";
import { get, post, remove } from "../api.js";
import { Settings } from "./settings.js";
import { T } from "../strings.js";

const W = T.system;
const quiet = (promise) => promise.catch(() => null);
const STEP = 200;

async function everything(who, signal) {
  const roles = await Promise.all(Object.keys(who.roles).map(async (role) => [role, await quiet(get(role, "/health", signal))]));
  if (roles.every(([, told]) => told === null)) await get("router", "/health", signal); // nobody answers: say why
  const read = (path, permission) => who.may(permission) && who.offers.includes(path) ? quiet(get("router", path, signal)) : null;
  const [cache, record, config, backups, nodes] = await Promise.all([read("/admin/cache", "admin:cache:read"), read("/admin/records", "admin:records:read"), read("/admin/config", "admin:config:read"), read("/admin/backups", "admin:config:read"), who.roles.chains && who.may("chains:read") ? quiet(get("chains", "/v1/nodes", signal)) : null]);
  return { roles, cache, record, config, backups, nodes: nodes?.data ?? [] };
}

function partsOf(roles) {
  return roles.flatMap(([role, told]) => told
    ? Object.entries(told.parts).map(([name, part], n) => ({ first: n === 0, role: told.role, name, draining: told.draining, version: [told.version, told.commit].filter(Boolean).join(" "), ...part }))
    : [{ first: true, role, name: W.role, status: "unhealthy", reason: W.silent }]);
}
const Health = ({ roles, who }) => html`<${Card} title=${W.health} flush><${Table} label=${W.health} rows=${partsOf(roles)} keyed=${(row) => row.role + row.name} columns=${[
  { name: T.overview.role, of: (row) => row.first ? html`<b>${row.role}</b>${row.draining && html` <${Badge} tone="warn">draining<//>`}<div class="faint small">${row.version}${who.roles[row.role] === "remote" ? ` · ${T.overview.another}` : ""}</div>` : "" },
  { name: W.part, of: (row) => row.name }, { name: T.keys.status, of: (row) => html`<${Badge} tone=${status(row.status)}>${row.status}<//>` },
  { name: W.since, of: (row) => row.since ? html`<span class="nowrap" title=${moment(row.since)}>${ago(row.since)}</span>` : "" }, { name: W.reason, of: (row) => row.reason ? html`<span class="wrap">${row.reason}</span>` : "" },
]} /><//>`;

function Record({ told }) {
  if (!told.enabled) return html`<${Card} title=${W.record}><p class="faint">${T.requests.off}</p><//>`;
  const { kept } = told;
  return html`<${Card} title=${W.record}><${Facts} of=${[
    [W.written, count(told.written)], [W.waiting, count(told.waiting)], [W.dropped, html`<span class=${told.dropped ? "bad" : ""}>${count(told.dropped)}${told.reason ? ` (${told.reason})` : ""}</span>`],
    ...Object.entries(kept ?? {}).map(([name, value]) => [W.kept[name] ?? name.replaceAll("_", " "), value == null ? "–" : name.includes("bytes") ? bytes(value) : typeof value === "number" ? count(value) : name === "oldest" ? date(Date.parse(value) / 1000) : String(value)]),
  ]} /><//>`;
}

function Backups({ told }) {
  const { backup, failed, drill } = told;
  const when = (at) => html`<span title=${moment(at)}>${ago(at)}</span>`;
  return html`<${Card} title=${W.backups}><${Facts} of=${[
    [W.backup, backup ? html`${when(backup.at)}${backup.place && html` <code class="wrap">${backup.place}</code>`}` : W.never],
    ...(failed ? [[W.failed, html`<span class=${!backup || failed.at > backup.at ? "bad" : "faint"}>${when(failed.at)}</span> <span class="wrap">${failed.reason}</span>`]] : []),
    [W.drill, drill ? html`${when(drill.at)} <${Badge} tone=${drill.ok ? "good" : "bad"}>${drill.ok ? W.passed : W.broken}<//> <span class="wrap">${drill.reason}</span>` : W.never],
    [W.schedule, told.schedule ? html`<code>${told.schedule}</code>` : W.byHand], ...(told.drill_schedule ? [[W.drillSchedule, html`<code>${told.drill_schedule}</code>`]] : []),
  ]} /><//>`;
}

function Configuration({ config }) {
  const [find, search] = useState("");
  const [all, widen] = useState(false);
  const [shown, show] = useState(STEP);
  const text = (value) => typeof value === "string" ? value : JSON.stringify(value);
  const rows = config.data.filter((row) => (all || find || row.source !== "default") && (!find || row.key.includes(find) || text(row.value).includes(find)));
  return html`<${Card} title=${W.config} flush actions=${html`<${Check} label=${`${W.defaults} (${count(config.data.length)})`} value=${all} set=${widen} /><${Text} value=${find} set=${search} type="search" aria-label=${W.find} placeholder=${W.find} />`}>
    ${config.file && html`<p class="faint small wrap" style=${{ padding: "10px 16px 0" }}>${W.file} <code>${config.file}</code></p>`}
    <${Table} label=${W.config} rows=${rows.slice(0, shown)} keyed=${(row) => row.key} empty=${html`<${Empty} title=${find ? W.noKey : W.allDefault} />`} columns=${[
      { name: W.key, of: (row) => html`<code class="wrap">${row.key}</code>` }, { name: W.value, of: (row) => html`<code class="wrap">${text(row.value)}</code>` }, { name: W.source, of: (row) => html`<span class="faint wrap">${config.file ? row.source.replace(config.file, config.file.split("/").at(-1)) : row.source}</span>` },
    ]} />${rows.length > shown && html`<div class="empty"><${Button} onClick=${() => show(shown + STEP)}>${T.more} (${count(rows.length - shown)})<//></div>`}<//>`;
}

const named = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");
const cell = (name, value) => typeof value === "number" && value > 1e9 ? html`<span title=${moment(value)}>${ago(value)}</span>` : typeof value === "boolean" ? (value ? W.yes : W.no) : value == null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);
const Nodes = ({ nodes }) => html`<${Card} title=${W.nodes} flush><${Table} label=${W.nodes} rows=${nodes} keyed=${(node) => node.node} columns=${[
  { name: W.node, of: (node) => html`<span class="wrap">${node.node}</span>` }, { name: W.heard, of: (node) => ago(Date.now() / 1000 - node.age_seconds) },
  { name: W.alive, of: (node) => html`<${Badge} tone=${node.alive ? "good" : "bad"}>${node.alive ? W.yes : W.no}<//>` },
]} /><//>`;

export default function System({ who }) {
  const asked = useAsk((signal) => everything(who, signal), [who.token], 6000);
  const [sure, question] = useConfirm();
  const [clear] = useAct(async () => { if (await sure(W.clear, W.clearSure, W.clear)) { await remove("router", "/admin/cache"); toast(W.cleared); asked.again(); } });
  const [drain] = useAct(async (drained) => { if (!drained || await sure(W.drain, W.drainSure, W.drain)) { await post("router", "/admin/drain", { node: true, drained }); asked.again(); } });
  const draining = asked.data?.roles.find(([role]) => role === "router")?.[1]?.draining;
  return html`<${Page} title=${T.pages.system} about=${W.about} actions=${who.may("admin:node:write") && asked.data && (draining ? html`<${Button} kind="main" onClick=${() => drain(false)}>${W.undrain}<//>` : html`<${Button} onClick=${() => drain(true)}>${W.drain}<//>`)}>
    ${!who.may("admin:config:read") && html`<${NotPermitted} who=${who} needs="admin:config:read" />`}
    <${Asked} of=${asked}>${(data) => html`
      <${Health} roles=${data.roles} who=${who} />
      <div class="grid">
        ${data.record && html`<${Record} told=${data.record} />`}
        ${data.backups && html`<${Backups} told=${data.backups} />`}
        ${data.cache && html`<${Card} title=${W.cache} actions=${who.may("admin:cache:write") && html`<${Button} kind="small" onClick=${clear}>${W.clear}<//>`}><${Facts} of=${Object.entries(data.cache).map(([name, value]) => [W.cacheFacts[name] ?? named(name), name === "ttl_seconds" ? span(value) : typeof value === "number" ? (name.includes("bytes") ? bytes(value) : count(value)) : cell(name, value)])} /><//>`}
      </div>
      ${data.nodes.length > 0 && html`<${Nodes} nodes=${data.nodes} />`}
      ${who.offers.includes("/admin/settings") && who.may("admin:settings:read") && html`<${Settings} who=${who} />`}
      ${data.config && html`<${Configuration} config=${data.config} />`}`}<//>${question}<//>`;
}
