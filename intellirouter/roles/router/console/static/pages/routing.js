import { html, Asked, Badge, Bar, Button, Card, Data, Empty, Facts, Field, Notice, Page, Table, Text, ago, count, percent, status, toast, useAct, useAsk, useState, usd, ms } from "../ui.js";
import { get, post, put } from "../api.js";
import { NotAdmin } from "./keys.js";
import { T } from "../strings.js";

const W = T.routing;
const list = (value) => Array.isArray(value) ? value.filter((one) => one && typeof one === "object") : [];
const quiet = (promise) => promise.catch(() => null);

function WhatIf() {
  const [form, set] = useState({ model: "auto", text: "" });
  const [told, tell] = useState(null);
  const [explain, busy] = useAct(async (event) => { event.preventDefault(); tell(await post("router", "/admin/routing/explain", { model: form.model, messages: [{ role: "user", content: form.text }] })); });
  const scores = list(told?.scores ?? told?.targets);
  return html`<${Card} title=${W.whatif}><form class="stack" onSubmit=${explain}>
    <div class="grid" style=${{ "--least": "200px" }}><${Field} label="Model"><${Text} value=${form.model} set=${(model) => set({ ...form, model })} /><//></div>
    <${Field} label=${W.paste}><textarea value=${form.text} onInput=${(e) => set({ ...form, text: e.target.value })}></textarea><//>
    <div><button class="button main" disabled=${busy || !form.text.trim()}>${W.explain}</button></div></form>
    ${told && html`<div class="stack" style=${{ marginTop: "16px" }}>
      <${Facts} of=${[["Answers", (told.order ?? [])[0]], ["Strategy", told.strategy], ["Why", told.reason], ["Class", told.tier ?? told.complexity]]} />
      ${scores.length > 0 && html`<${Table} label=${W.scores} rows=${scores} keyed=${(row) => row.target ?? row.id} columns=${[
        { name: "Target", of: (row) => html`<b class="wrap">${row.target ?? row.id}</b>` },
        ...["quality", "cost_usd", "seconds", "value", "score", "confidence"].filter((key) => scores.some((row) => row[key] != null)).map((key) => ({ name: key.replace("_usd", ""), num: true, of: (row) => row[key] == null ? "–" : key === "cost_usd" ? usd(row[key]) : key === "seconds" ? ms(row[key] * 1000) : key === "quality" || key === "confidence" ? percent(row[key], 0) : row[key].toFixed(3) })),
      ]} />`}
      <details><summary>${W.order}, ${W.passed.toLowerCase()}</summary><${Data} value=${told} /></details></div>`}<//>`;
}

function Switches() {
  const asked = useAsk((signal) => get("router", "/admin/features", signal), [], 5000);
  const [turn] = useAct(async (name, value) => { await put("router", `/admin/features/${name}`, { value }); asked.again(); });
  const [off] = useAct(async () => { await post("router", "/admin/features/off"); asked.again(); });
  return html`<${Card} title=${W.switches} actions=${html`<${Button} kind="small danger" onClick=${off}>${W.allOff}<//>`}><p class="faint small">${W.switchesAbout}</p>
    <${Asked} of=${asked} lines=${3}>${(data) => { const rows = Array.isArray(data.data) ? data.data : Object.entries(data.features ?? data).filter(([, value]) => value === null || typeof value !== "object").map(([name, value]) => ({ name, value })); return html`<${Table} label=${W.switches} rows=${rows} keyed=${(row) => row.name} columns=${[
      { name: "Switch", of: (row) => html`<b>${String(row.name).replaceAll("_", " ")}</b>` },
      { name: T.keys.status, of: (row) => { const value = row.value ?? row.share ?? row.on; return html`<${Badge} tone=${value === false || value === 0 || value === "off" ? "warn" : "good"}>${value === true || value === 1 || value === "on" ? W.on : value === false || value === 0 || value === "off" ? W.off : percent(Number(value), 0)}<//>`; } },
      { of: (row) => html`<div class="row end"><${Button} kind="small" onClick=${() => turn(row.name, "on")}>${W.on}<//><${Button} kind="small" onClick=${() => turn(row.name, "off")}>${W.off}<//></div>` },
    ]} />`; }}<//><//>`;
}

function Learned() {
  const asked = useAsk((signal) => quiet(get("router", "/admin/routing/status", signal)), [], 8000);
  return html`<${Card} title=${W.learned}><${Asked} of=${asked} lines=${3}>${(data) => { const groups = list(data?.groups ?? data?.data); return groups.length ? groups.map((group) => html`<div key=${group.name ?? group.group} class="stack tight"><h3>${group.name ?? group.group} <span class="faint">${count(group.samples ?? group.outcomes ?? 0)} ${W.samples.toLowerCase()}${group.trained ? `, ${ago(group.trained)}` : ""}</span></h3>
    ${list(group.targets).map((target) => html`<div key=${target.target ?? target.id} class="timeline"><span class="wrap">${target.target ?? target.id}</span><${Bar} share=${target.confidence ?? target.quality ?? 0} label=${`${target.target ?? target.id}: ${percent(target.confidence ?? target.quality ?? 0, 0)}`} /><span class="num small">${percent(target.confidence ?? target.quality ?? 0, 0)}</span></div>`)}</div>`) : html`<p class="faint">${W.nothingLearnt}</p>`; }}<//><//>`;
}

export default function Routing({ who }) {
  const offers = (path) => who.offers.includes(path);
  if (!who.admin) return html`<${Page} title=${T.pages.routing} about=${W.about}><${NotAdmin} who=${who} /><//>`;
  return html`<${Page} title=${T.pages.routing} about=${W.about}><div class="split"><div class="stack">${offers("/admin/routing/explain") && html`<${WhatIf} />`}${offers("/admin/routing/status") && html`<${Learned} />`}</div>${offers("/admin/features") && html`<${Switches} />`}</div><//>`;
}
