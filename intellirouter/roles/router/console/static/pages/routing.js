// Who would answer and why, what was learnt of whom, and the switches.
import { html, Asked, Badge, Button, Card, Data, Empty, Field, Link, Page, Stats, Table, Text, ago, count, moment, percent, toast, useAct, useAsk, useConfirm, useState, usd } from "../ui.js";
import { get, path, post, put, remove } from "../api.js";
import { Decision, Meter } from "../decision.js";
import { T } from "../strings.js";

const W = T.routing;
const EXAMPLES = ["What is the capital of Portugal?", "Prove that the square root of 2 is irrational.", "Refactor this recursive function into a loop and keep its complexity."];
function WhatIf({ who, given }) {
  const models = useAsk((signal) => who.may("models:read") ? get("router", "/v1/models", signal) : { data: [] });
  const [form, set] = useState({ model: given.model || "auto", text: given.prompt || "" });
  const [told, tell] = useState(null);
  const [explain, busy] = useAct(async (event) => { event?.preventDefault(); tell(await post("router", "/admin/routing/explain", { model: form.model, prompt: form.text })); });
  return html`<${Card} title=${W.whatif}><form class="stack" onSubmit=${explain}>
    <p class="faint">${W.whatifAbout}</p>
    <datalist id="routes">${(models.data?.data ?? []).slice(0, 1000).map(({ id }) => html`<option key=${id} value=${id} />`)}</datalist>
    <${Field} label=${W.model}><${Text} value=${form.model} set=${(model) => set({ ...form, model })} list="routes" required maxlength="256" /><//>
    <${Field} label=${W.paste}><textarea value=${form.text} onInput=${(e) => set({ ...form, text: e.target.value })}></textarea><//>
    ${!form.text && html`<div class="chips" role="group" aria-label=${W.examples}>${EXAMPLES.map((text) => html`<button type="button" key=${text} onClick=${() => set({ ...form, text })}>${text}</button>`)}</div>`}
    <div><button class="button main" disabled=${busy || !form.text.trim() || !form.model}>${W.explain}</button></div></form>
    ${told && html`<div class="stack" role="region" aria-label=${W.told} style=${{ marginTop: "18px" }}><${Decision} told=${told} />
      <details><summary>JSON</summary><div style=${{ marginTop: "8px" }}><${Data} value=${told} label=${W.told} /></div></details></div>`}<//>`;
}

/** A feature and how far it is on. */
function Switch({ row, turn }) {
  const share = row.share ?? 1, off = share === 0;
  const whom = [...(row.keys ?? []), ...(row.teams ?? [])];
  return html`<div class="stack tight" style=${{ padding: "12px 0", borderTop: "1px solid var(--line)" }}>
    <div class="row spread"><b>${W.features[row.feature] ?? row.feature.replaceAll("_", " ")}</b><${Badge} tone=${off ? "warn" : share < 1 ? "info" : "good"}>${off ? W.off : share < 1 ? percent(share, 0) : W.on}<//></div>
    ${whom.length > 0 && html`<span class="faint small wrap">${W.onlyFor} ${whom.join(", ")}</span>`}
    ${turn && html`<div class="row">
      ${off || share < 1 ? html`<${Button} kind="small" aria-label=${`${W.turnOn} ${row.feature}`} onClick=${() => turn(row.feature, { on: true })}>${W.turnOn}<//>` : null}
      ${!off && html`<${Button} kind="small" aria-label=${`${W.turnOff} ${row.feature}`} onClick=${() => turn(row.feature, { on: false })}>${W.turnOff}<//>`}
      ${share !== 0.1 && html`<${Button} kind="small" aria-label=${`${W.tenth} ${row.feature}`} onClick=${() => turn(row.feature, { share: 0.1 })}>${W.tenth}<//>`}
      ${row.from === "command" && html`<${Button} kind="small quiet" aria-label=${`${W.asFile} ${row.feature}`} onClick=${() => turn(row.feature, null)}>${W.asFile}<//>`}
    </div>`}</div>`;
}

function Switches({ who }) {
  const asked = useAsk((signal) => get("router", "/admin/features", signal), [], 5000);
  const may = who.may("admin:features:write");
  const [sure, question] = useConfirm();
  const [turn] = useAct(async (feature, value) => {
    if (feature === "all" && !(await sure(W.allOff, W.allOffSure, W.allOff))) return;
    await (value ? put("router", path("admin", "features", feature), value) : remove("router", path("admin", "features", feature)));
    toast(W.switched); asked.again();
  });
  return html`<${Card} title=${W.switches}><p class="faint small" style=${{ paddingBottom: "12px" }}>${W.switchesAbout}</p>
    <${Asked} of=${asked} lines=${3}>${(data) => html`${data.data.map((row) => html`<${Switch} key=${row.feature} row=${row} turn=${may && turn} />`)}
      ${may && html`<div style=${{ borderTop: "1px solid var(--line)", paddingTop: "12px" }}><${Button} kind="danger" onClick=${() => turn("all", { on: false })}>${W.allOff}<//></div>`}`}<//>${question}<//>`;
}

/** How a target has done lately: a small line over time, oldest first. */
function Trend({ of, label }) {
  if ((of ?? []).length < 2) return html`<span class="faint">–</span>`;
  const width = 96, height = 24, first = of[0].at, span = Math.max(1, of.at(-1).at - first);
  const points = of.map((one) => `${(((one.at - first) / span) * (width - 4) + 2).toFixed(1)},${(height - 3 - one.success * (height - 6)).toFixed(1)}`);
  return html`<svg width=${width} height=${height} role="img" aria-label=${`${label}: ${percent(of[0].success, 0)} → ${percent(of.at(-1).success, 0)}`}><polyline points=${points.join(" ")} fill="none" stroke="var(--s1)" stroke-width="1.5" /></svg>`;
}

function Group({ group }) {
  const kinds = ["easy", "medium", "hard"].filter((kind) => group.targets.some((target) => (target.kinds ?? []).some((one) => one.kind === kind)));
  const trends = group.targets.some((target) => (target.trend ?? []).length > 1);
  const outcomes = group.outcomes ?? group.targets.reduce((sum, target) => sum + target.outcomes, 0);
  return html`<div class="stack tight"><div class="row spread" style=${{ padding: "12px 16px 0" }}><h3 class="wrap">${group.group}</h3><span class="faint small" title=${moment(group.trained)}>${count(outcomes)} ${W.outcomes.toLowerCase()} · ${W.trained} ${ago(group.trained)}${group.exploring ? ` · ${W.exploring}` : ""}</span></div>
    <${Table} label=${`${W.learned}: ${group.group}`} rows=${group.targets} keyed=${(row) => row.target} columns=${[
      { name: W.target, sort: (row) => row.target, of: (row) => html`<b class="wrap">${row.target}</b>` },
      { name: W.success, sort: (row) => row.success, of: (row) => row.outcomes ? html`<${Meter} share=${row.success} label=${row.target} />` : html`<span class="faint">–</span>` },
      { name: "±", num: true, of: (row) => percent(row.uncertainty, 0) },
      ...(group.targets.some((row) => row.confidence != null) ? [{ name: W.confidence, num: true, of: (row) => percent(row.confidence, 0) }] : []),
      ...kinds.map((kind) => ({ name: W.kinds[kind], num: true, of: (row) => { const one = (row.kinds ?? []).find((told) => told.kind === kind); return one ? html`<span title=${`${count(one.outcomes)} ${W.outcomes.toLowerCase()}`}>${percent(one.success, 0)}</span>` : "–"; } })),
      ...(trends ? [{ name: W.trend, of: (row) => html`<${Trend} of=${row.trend} label=${row.target} />` }] : []),
      { name: W.outcomes, num: true, sort: (row) => row.outcomes, of: (row) => count(row.outcomes) },
    ]} /></div>`;
}

function Learnt() {
  const asked = useAsk((signal) => get("router", "/admin/routing", signal), [], 8000);
  return html`<${Asked} of=${asked} lines=${5}>${({ groups, decisions }) => {
    const sum = (key) => decisions.reduce((total, one) => total + one[key], 0), made = sum("count");
    const mean = (key) => decisions.reduce((total, one) => total + one[key] * one.count, 0) / made;
    return html`
      ${made > 0 && html`<${Stats} items=${[{ label: W.decided, value: count(made), note: W.sinceStart }, { label: W.sure, value: percent(mean("confidence"), 0) }, { label: W.regret, value: percent(mean("regret")), note: W.regretNote }, { label: W.saved, value: usd(sum("saved_usd")), note: W.savedNote }]} />`}
      <${Card} title=${W.learned} flush>${groups.length ? groups.map((group) => html`<${Group} key=${group.group} group=${group} />`) : html`<${Empty} title=${W.nothingLearnt} action=${html`<${Link} class="button" to="playground">${W.ask}<//>`}><p>${W.nothingLearntAbout}</p><//>`}<//>
      ${made > 0 && html`<${Card} title=${W.decisions} flush><${Table} label=${W.decisions} rows=${decisions} keyed=${(row) => row.group + row.target + row.reason} columns=${[
        { name: W.group, sort: (row) => row.group, of: (row) => html`<span class="wrap">${row.group}</span>` }, { name: W.target, sort: (row) => row.target, of: (row) => html`<b class="wrap">${row.target}</b>` },
        { name: W.why, sort: (row) => row.reason, of: (row) => W.reasons[row.reason] ?? row.reason }, { name: W.times, num: true, sort: (row) => row.count, of: (row) => count(row.count) },
        { name: W.sure, num: true, sort: (row) => row.confidence, of: (row) => percent(row.confidence, 0) }, { name: W.regret, num: true, sort: (row) => row.regret, of: (row) => percent(row.regret) }, { name: W.saved, num: true, sort: (row) => row.saved_usd, of: (row) => usd(row.saved_usd) },
      ]} /><//>`}`; }}<//>`;
}

export default function Routing({ who, with: given }) {
  const page = (children) => html`<${Page} title=${T.pages.routing} about=${W.about}>${children}<//>`;
  return page(html`<div class="split"><${WhatIf} who=${who} given=${given} />${who.may("admin:features:read") && html`<${Switches} who=${who} />`}</div><${Learnt} />`);
}
