// Guards and tool servers, where the node has them.
import { html, Asked, Badge, Card, Data, Empty, Field, Notice, Page, Table, count, useAct, useAsk, useState } from "../ui.js";
import { get, post } from "../api.js";
import { T } from "../strings.js";

const W = T.tools;
export default function Tools({ who }) {
  const offers = (path) => who.offers.includes(path);
  const asked = useAsk(async (signal) => ({ guards: offers("/admin/guards") ? await get("router", "/admin/guards", signal) : null, servers: offers("/admin/mcp") ? await get("router", "/admin/mcp", signal) : null }), [who.admin]);
  const [text, set] = useState("");
  const [found, tell] = useState(null);
  const [test, busy] = useAct(async (event) => { event.preventDefault(); tell(await post("router", "/admin/guards/test", { text })); });
  return html`<${Page} title=${T.pages.tools} about=${W.about}><${Asked} of=${asked}>${({ guards, servers }) => html`
    ${!guards && !servers && html`<${Empty} title=${W.none}><p>${W.noneAbout}</p><//>`}
    ${guards && html`<${Card} title=${W.guards} flush><${Table} label=${W.guards} rows=${guards.data} keyed=${(guard) => guard.name} columns=${[{ name: "Name", of: (g) => html`<b>${g.name}</b>` }, { name: "Kind", of: (g) => g.kind }, { name: "On", of: (g) => (g.on ?? []).join(", ") }, { name: "Action", of: (g) => html`<${Badge} tone=${g.action === "block" ? "bad" : "info"}>${g.action}<//>` }, { name: "Mode", of: (g) => g.mode }, { name: W.found, num: true, of: (g) => count(g.found) }]} /><//>
      <${Card} title=${W.test}><form class="stack" onSubmit=${test}><${Field} label="Text"><textarea value=${text} onInput=${(e) => set(e.target.value)}></textarea><//><div><button class="button main" disabled=${busy || !text}>${W.test}</button></div></form>${found && ((found.findings ?? found.data ?? []).length ? html`<${Data} value=${found} />` : html`<${Notice} tone="good">${W.nothing}<//>`)}<//>`}
    ${servers && html`<${Card} title=${W.servers} flush><${Table} label=${W.servers} rows=${servers.data} keyed=${(one) => one.name} columns=${[{ name: "Name", of: (one) => html`<b>${one.name}</b>` }, { name: T.keys.status, of: (one) => html`<${Badge}>${one.status}<//>` }, { name: "Tools", of: (one) => html`<span class="wrap">${(one.tools ?? []).map((tool) => tool.name ?? tool).join(", ")}</span>` }]} /><//>`}`}<//><//>`;
}
