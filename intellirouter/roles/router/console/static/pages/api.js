import { html, Asked, Badge, Card, Data, Empty, Field, Page, Text, useAsk, useMemo, useState } from "../ui.js";
import { get } from "../api.js";
import { T } from "../strings.js";

const TONE = { get: "info", post: "good", put: "warn", patch: "warn", delete: "bad" };

export default function Api() {
  const asked = useAsk((signal) => get("router", "/openapi.json", signal));
  const [find, search] = useState("");
  const groups = useMemo(() => {
    const found = new Map();
    for (const [path, methods] of Object.entries(asked.data?.paths ?? {})) for (const [method, told] of Object.entries(methods)) {
      if (!TONE[method] || (find && !(path + (told.summary ?? "")).toLowerCase().includes(find.toLowerCase()))) continue;
      const group = told.tags?.[0] ?? "Other";
      found.set(group, [...(found.get(group) ?? []), { path, method, told }]);
    }
    return [...found];
  }, [asked.data, find]);
  if (asked.error) return html`<${Page} title=${T.pages.api} about=${T.api.about}><${Empty} title=${T.api.none} /><//>`;
  return html`<${Page} title=${T.pages.api} about=${T.api.about} actions=${html`<a class="button" href="/openapi.json">openapi.json</a>`}>
    <div class="filters"><${Field} label=${T.search} wide><${Text} value=${find} set=${search} type="search" /><//></div>
    <${Asked} of=${asked}>${() => groups.map(([group, rows]) => html`<${Card} key=${group} title=${group} flush>${rows.map(({ path, method, told }) => html`<details key=${method + path} style=${{ padding: "8px 16px", borderBottom: "1px solid var(--line)" }}><summary><span class="row" style=${{ display: "inline-flex" }}><${Badge} tone=${TONE[method]}>${method.toUpperCase()}<//><code class="wrap">${path}</code><span class="soft">${told.summary}</span></span></summary><div class="stack" style=${{ padding: "10px 0" }}>${told.description && html`<p class="soft">${told.description}</p>`}<${Data} value=${{ security: told.security, parameters: told.parameters, requestBody: told.requestBody, responses: told.responses }} /></div></details>`)}<//>`)}<//><//>`;
}
