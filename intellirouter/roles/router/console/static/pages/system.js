import { html, Asked, Badge, Button, Card, Facts, Field, Notice, Page, Table, Text, ago, count, date, status, toast, useAct, useAsk, useConfirm, useState } from "../ui.js";
import { get, post, remove } from "../api.js";
import { NotAdmin } from "./keys.js";
import { T } from "../strings.js";

const W = T.system;
const quiet = (promise) => promise.catch(() => null);

export default function System({ who }) {
  const asked = useAsk(async (signal) => {
    const roles = await Promise.all(Object.keys(who.roles).map(async (role) => [role, await quiet(get(role, "/health", signal))]));
    const [cache, nodes, config] = await Promise.all([who.admin ? quiet(get("router", "/admin/cache", signal)) : null, who.roles.chains ? quiet(get("chains", "/v1/nodes", signal)) : null, who.admin && who.offers.includes("/admin/config") ? quiet(get("router", "/admin/config", signal)) : null]);
    return { roles, cache, nodes: nodes?.data ?? [], config: config?.data ?? null };
  }, [who.admin], 6000);
  const [find, search] = useState("");
  const [sure, question] = useConfirm();
  const [clear] = useAct(async () => { await remove("router", "/admin/cache"); toast(W.cleared); asked.again(); });
  const [drain] = useAct(async (drained) => { if (!drained || await sure(W.drain, W.drainSure, W.drain)) { await post("router", "/admin/drain", { node: true, drained }); asked.again(); } });
  return html`<${Page} title=${T.pages.system} about=${W.about} actions=${who.admin && asked.data && (asked.data.roles.find(([role]) => role === "router")?.[1]?.draining ? html`<${Button} kind="main" onClick=${() => drain(false)}>${W.undrain}<//>` : html`<${Button} onClick=${() => drain(true)}>${W.drain}<//>`)}>
    ${!who.admin && html`<${NotAdmin} who=${who} />`}
    <${Asked} of=${asked}>${(data) => html`
      <${Card} title=${W.health} flush><${Table} label=${W.health} rows=${data.roles.flatMap(([role, told]) => told ? Object.entries(told.parts).map(([name, part]) => ({ role: told.role, name, draining: told.draining, version: told.version, commit: told.commit, ...part })) : [{ role, name: "role", status: "unhealthy", reason: "does not answer" }])} keyed=${(row) => row.role + row.name} columns=${[
        { name: "Role", of: (row) => html`<b>${row.role}</b>${row.draining && html` <${Badge} tone="warn">draining<//>`}<div class="faint small">${row.version} ${row.commit ?? ""}</div>` },
        { name: W.part, of: (row) => row.name }, { name: T.keys.status, of: (row) => html`<${Badge} tone=${status(row.status)}>${row.status}<//>` }, { name: W.since, of: (row) => html`<span class="nowrap">${ago(row.since)}</span>` }, { name: W.reason, of: (row) => html`<span class="wrap">${row.reason}</span>` },
      ]} /><//>
      <div class="grid">
        ${data.cache && html`<${Card} title=${W.cache} actions=${html`<${Button} kind="small" onClick=${clear}>${W.clear}<//>`}><${Facts} of=${Object.entries(data.cache).map(([name, value]) => [name, typeof value === "number" ? count(value) : String(value)])} /><//>`}
        ${data.nodes.length > 0 && html`<${Card} title=${W.nodes} flush><${Table} label=${W.nodes} rows=${data.nodes} keyed=${(node) => node.id ?? JSON.stringify(node)} columns=${Object.keys(data.nodes[0]).map((name) => ({ name, of: (node) => html`<span class="wrap">${typeof node[name] === "number" && node[name] > 1e9 ? date(node[name]) : String(node[name])}</span>` }))} /><//>`}
      </div>
      ${data.config && html`<${Card} title=${W.config} flush actions=${html`<${Text} value=${find} set=${search} type="search" aria-label=${T.search} placeholder=${T.search} />`}><${Table} label=${W.config} rows=${data.config.filter((row) => !find || row.key.includes(find))} keyed=${(row) => row.key} columns=${[
        { name: W.key, of: (row) => html`<code class="wrap">${row.key}</code>` }, { name: W.value, of: (row) => html`<code class="wrap">${typeof row.value === "string" ? row.value : JSON.stringify(row.value)}</code>` }, { name: W.source, of: (row) => html`<span class="faint wrap">${row.source}</span>` },
      ]} /><//>`}`}<//>${question}<//>`;
}
