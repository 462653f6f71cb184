// Guards: what each looks for and does, and what they make of a text.
import { html, Asked, Badge, Card, Empty, Facts, Field, Notice, Page, Table, count, useAct, useAsk, useState } from "../ui.js";
import { get, post } from "../api.js";
import { T } from "../strings.js";

const W = T.tools;
const TONES = { block: "bad", flag: "info", route: "info" };
const rest = (guard) => Object.entries(guard).filter(([name]) => !["name", "kind", "action", "on", "mode", "default", "description"].includes(name)).map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(" · ");

/** A text with what was found in it marked; places that lie in one another are marked once. */
function Marked({ text, findings }) {
  const pieces = [];
  let at = 0;
  for (const one of [...findings].sort((a, b) => a.start - b.start)) {
    if (one.start < at) continue;
    pieces.push(text.slice(at, one.start), html`<mark title=${`${one.guard}: ${one.kind}`}>${text.slice(one.start, one.end)}</mark>`);
    at = one.end;
  }
  return html`<pre tabindex="0" aria-label=${W.found}>${pieces}${text.slice(at)}</pre>`;
}

function Try({ any }) {
  const [text, set] = useState("");
  const [told, tell] = useState(null);
  const [test, busy] = useAct(async (event) => { event.preventDefault(); tell({ text, ...(await post("router", "/admin/guards/test", { text })) }); });
  return html`<${Card} title=${W.test}><form class="stack" onSubmit=${test}>
    <p class="faint">${any ? W.testAbout : W.testNone}</p>
    <${Field} label=${W.text}><textarea value=${text} onInput=${(event) => set(event.target.value)} placeholder=${W.example}></textarea><//>
    <div><button class="button main" disabled=${busy || !text}>${W.testIt}</button></div></form>
    ${told && html`<div class="stack" role="region" aria-label=${W.found} style=${{ marginTop: "16px" }}>
      ${told.findings.length ? html`<${Notice} tone=${told.blocked_by ? "bad" : "warn"}>${told.blocked_by ? `${W.blocked} ${told.blocked_by}.` : `${count(told.findings.length)} ${W.findings}`}<//><${Marked} ...${told} />` : html`<${Notice} tone="good">${W.nothing}<//>`}
      ${told.findings.length > 0 && html`<${Table} label=${W.found} rows=${told.findings.slice(0, 200)} keyed=${(one, n) => n} columns=${[{ name: W.guard, of: (one) => html`<b>${one.guard}</b>` }, { name: W.kind, of: (one) => one.kind }, { name: W.action, of: (one) => html`<${Badge} tone=${TONES[one.action] ?? "warn"}>${one.action}<//>` }, { name: W.place, num: true, of: (one) => `${count(one.start)} – ${count(one.end)}` }]} />`}
      ${told.sent !== null && told.sent !== told.text && html`<h3>${W.sent}</h3><pre tabindex="0" aria-label=${W.sent}>${told.sent}</pre>`}
      <${Facts} of=${[[W.routed, told.route_to], [W.elsewhere, (told.asked_elsewhere ?? []).join(", ")]]} /></div>`}<//>`;
}

export default function Tools() {
  const asked = useAsk((signal) => get("router", "/admin/guards", signal), []);
  return html`<${Page} title=${T.pages.tools} about=${W.about}><${Asked} of=${asked}>${({ data }) => html`
    <${Card} title=${W.guards} flush><${Table} label=${W.guards} rows=${data} keyed=${(guard) => guard.name} empty=${html`<${Empty} title=${W.none}><p>${W.noneAbout}</p><//>`} columns=${[
      { name: W.guard, of: (guard) => html`<b class="wrap">${guard.name}</b>${guard.description && html`<div class="faint small wrap">${guard.description}</div>`}` },
      { name: W.kind, of: (guard) => guard.kind }, { name: W.action, of: (guard) => html`<${Badge} tone=${TONES[guard.action ?? "block"] ?? "warn"}>${guard.action ?? "block"}<//>${guard.mode === "monitor" ? html` <${Badge}>${W.monitor}<//>` : ""}` },
      { name: W.on, of: (guard) => html`<span class="wrap">${(guard.on ?? ["input"]).join(", ").replaceAll("_", " ")}</span>` }, { name: W.applies, of: (guard) => guard.default === false ? W.named : W.always },
      { name: W.more, of: (guard) => rest(guard) && html`<span class="faint small wrap">${rest(guard)}</span>` },
    ]} /><//>
    <${Try} any=${data.length > 0} />`}<//><//>`;
}
