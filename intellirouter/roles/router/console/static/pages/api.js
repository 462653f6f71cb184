// The description of the API, browsable: every endpoint of every role, with who may ask it.
import { html, Asked, Badge, Card, Data, Empty, Failed, Field, Page, Text, count, useAsk, useMemo, useState } from "../ui.js";
import { get } from "../api.js";
import { T } from "../strings.js";

const W = T.api;
const TONE = { get: "info", post: "good", put: "warn", patch: "warn", delete: "bad" };

function grouped(paths, find) {
  const found = new Map(), wanted = find.toLowerCase();
  for (const [path, methods] of Object.entries(paths)) for (const [method, told] of Object.entries(methods)) {
    if (!TONE[method] || (wanted && !`${method} ${path} ${told.summary ?? ""} ${told.description ?? ""}`.toLowerCase().includes(wanted))) continue;
    const group = told.tags?.[0] ?? W.other;
    if (!found.has(group)) found.set(group, []);
    found.get(group).push({ path, method, told });
  }
  return [...found];
}

/** An endpoint: its details are drawn when they are opened, for there are many. */
function Endpoint({ path, method, told }) {
  const [open, set] = useState(false);
  return html`<details class="endpoint" onToggle=${(event) => set(event.target.open)}><summary><${Badge} tone=${TONE[method]}>${method.toUpperCase()}<//><code class="wrap">${path}</code><span class="soft">${told.summary}</span></summary>
    ${open && html`<div class="stack tight">${told.description && told.description !== told.summary && html`<p class="soft wrap">${told.description}</p>`}<${Data} value=${Object.fromEntries(["security", "parameters", "requestBody", "responses"].filter((key) => told[key] !== undefined).map((key) => [key, told[key]]))} label=${`${method.toUpperCase()} ${path}`} /></div>`}</details>`;
}

export default function Api() {
  const asked = useAsk((signal) => get("router", "/openapi.json", signal));
  const [find, search] = useState("");
  const groups = useMemo(() => grouped(asked.data?.paths ?? {}, find), [asked.data, find]);
  const endpoints = groups.reduce((sum, [, rows]) => sum + rows.length, 0);
  return html`<${Page} title=${T.pages.api} about=${W.about} actions=${html`<a class="button" href="/openapi.json">openapi.json</a>`}>
    <div class="filters" role="search"><${Field} label=${T.search} wide><${Text} value=${find} set=${search} type="search" placeholder=${W.hint} /><//></div>
    ${asked.error && !asked.data ? (asked.error.status === 404 ? html`<${Empty} title=${W.none} />` : html`<${Failed} error=${asked.error} again=${asked.again} />`) : html`<${Asked} of=${asked}>${() => html`
      <p class="faint small" role="status">${count(endpoints)} ${W.endpoints}</p>
      ${!endpoints && html`<${Card}><${Empty} title=${W.noneFits} /><//>`}
      ${groups.map(([group, rows]) => html`<${Card} key=${group} title=${group} flush>${rows.map((row) => html`<${Endpoint} key=${row.method + row.path} ...${row} />`)}<//>`)}`}<//>`}<//>`;
}
