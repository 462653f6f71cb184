// What can be asked, where it goes, how each target stands; test, drain, add.
import { html, Asked, Badge, Button, Card, Check, Choice, Dialog, Empty, Facts, Field, Link, Notice, Page, Table, Text, count, go, ms, status, toast, useAct, useAsk, useConfirm, useMemo, useState, usd } from "../ui.js";
import { get, path, post, query, raw, remove } from "../api.js";
import { T } from "../strings.js";

const W = T.models;
const STRATEGIES = ["", "fallback", "learned", "cost-optimized", "lowest-latency", "least-busy", "round-robin", "weighted", "usage", "consistent-hash", "rules", "split"];
const STEP = 100, FEW = 4; // rows at once; targets of one row before the rest is asked for

async function everything(who, signal) {
  const [models, standing, changes] = await Promise.all([
    get("router", "/v1/models", signal),
    who.may("admin:targets:read") ? get("router", "/admin/targets", signal) : { data: [] },
    who.may("admin:models:read") ? get("router", "/admin/models", signal) : { models: [], drained: [] },
  ]);
  return { models: models.data, standing: new Map(standing.data.map((row) => [row.id, row])), added: new Set(changes.models.map((model) => model.name)), drained: new Set(changes.drained) };
}

function Add({ close, again }) {
  const [form, set] = useState({ name: "", targets: "", strategy: "" });
  const to = (name) => (value) => set((was) => ({ ...was, [name]: value }));
  const [save, busy] = useAct(async (event) => {
    event?.preventDefault();
    const targets = form.targets.split(/\s+/).filter(Boolean);
    await post("router", "/admin/models", { name: form.name.trim(), targets, ...(form.strategy && { strategy: form.strategy }) });
    toast(W.added); close(); again();
  });
  return html`<${Dialog} title=${W.add} close=${close} actions=${html`<${Button} onClick=${close}>${T.cancel}<//><${Button} kind="main" busy=${busy} disabled=${!form.name.trim() || !form.targets.trim()} onClick=${save}>${T.create}<//>`}>
    <form class="stack" onSubmit=${save}>
      <${Field} label=${W.name}><${Text} value=${form.name} set=${to("name")} maxlength="256" autofocus /><//>
      <${Field} label=${W.targets} note=${W.targetsNote}><textarea class="code" value=${form.targets} onInput=${(e) => to("targets")(e.target.value)}></textarea><//>
      <${Field} label=${W.strategy}><${Choice} value=${form.strategy} set=${to("strategy")} options=${STRATEGIES.map((one) => [one, one || W.asConfigured])} /><//>
    </form><//>`;
}

function Testing({ model, close }) {
  const asked = useAsk(async (signal) => {
    const began = performance.now();
    const response = await raw("router", "/v1/chat/completions", { method: "POST", signal, body: { model, max_tokens: 64, messages: [{ role: "user", content: "Answer with the one word: ready" }] } });
    const body = await response.json().catch(() => ({}));
    const heard = (name) => response.headers.get("x-intellirouter-" + name), cost = heard("cost-usd");
    return { ok: response.ok, took: performance.now() - began, text: body.choices?.[0]?.message?.content ?? body.error?.message ?? `${W.answered} ${response.status}.`, by: [heard("provider"), heard("model")].filter(Boolean).join("/"), tries: heard("attempts"), tokens: body.usage?.total_tokens, cost: cost == null ? null : Number(cost) };
  }, [model]);
  return html`<${Dialog} title=${`${W.test}: ${model}`} close=${close} actions=${html`<${Button} disabled=${asked.loading} onClick=${asked.again}>${T.again}<//>`}>
    ${asked.loading ? html`<p class="faint" role="status">${W.testing}</p>` : html`<${Asked} of=${asked}>${(data) => html`<div class="stack">
      <${Notice} tone=${data.ok ? "good" : "bad"}>${data.text || W.silent}<//>
      <${Facts} of=${[[W.by, data.ok ? data.by : null], [W.time, ms(data.took)], [W.attempts, data.tries], [W.tokens, data.tokens], [W.cost, data.cost == null ? null : usd(data.cost)]]} />
    </div>`}<//>`}<//>`;
}

function Targets({ ids, data, who, drain }) {
  const [all, open] = useState(false);
  const shown = all ? ids.slice(0, 500) : ids.slice(0, FEW);
  return html`<div class="stack tight">${shown.map((id) => {
    const standing = data.standing.get(id), drained = data.drained.has(id) || data.drained.has(id.split("/")[0]);
    return html`<div key=${id} class="target"><code class="wrap">${id}</code>
      ${drained ? html`<${Badge} tone="warn">${W.drained}<//>` : standing && html`<${Badge} tone=${status(standing.circuit)} title=${standing.probe_in_seconds ? `${W.probe} ${standing.probe_in_seconds} s` : W.circuit}>${standing.circuit}<//>`}
      ${standing?.latency_ms != null && html`<span class="faint small" title=${W.latency}>${ms(standing.latency_ms)}</span>`}
      ${standing?.calls > 0 && html`<span class="faint small">${count(standing.calls)} ${W.calls.toLowerCase()}</span>`}
      ${who.may("admin:node:write") && html`<${Button} kind="quiet small" aria-label=${`${drained ? W.undrain : W.drain}: ${id}`} onClick=${() => drain(id, !drained)}>${drained ? W.undrain : W.drain}<//>`}</div>`; })}
    ${ids.length > FEW && html`<button type="button" class="link small" aria-expanded=${String(all)} onClick=${() => open(!all)}>${all ? W.fewer : `+ ${count(ids.length - FEW)} ${W.moreTargets}`}</button>`}</div>`;
}

export default function Models({ who, with: given }) {
  const asked = useAsk((signal) => everything(who, signal), [], 5000);
  const [find, search] = useState(given.find ?? "");
  const [only, narrow] = useState(false);
  const [shown, show] = useState(STEP);
  const [adding, add] = useState(false);
  const [testing, test] = useState(null);
  const [sure, question] = useConfirm();
  const [drain] = useAct(async (target, drained) => { await post("router", "/admin/drain", { target, drained }); asked.again(); });
  const [drop] = useAct(async (name) => { if (await sure(`${T.remove} ${name}?`, W.removeSure, T.remove)) { await remove("router", path("admin", "models", name)); toast(W.removed); asked.again(); } });
  const rows = useMemo(() => {
    const wanted = find.toLowerCase();
    return (asked.data?.models ?? []).filter((model) => (!wanted || [model.id, ...(model.targets ?? []), ...(model.aliases ?? []), ...(model.capabilities ?? [])].some((word) => word.toLowerCase().includes(wanted))) && (!only || (model.targets ?? []).some((target) => asked.data.standing.has(target))));
  }, [asked.data, find, only]);
  const seek = (value) => { search(value); show(STEP); go("models" + query({ find: value }), { replace: true }); };
  const none = find || only ? html`<${Empty} title=${W.noneFits} action=${html`<${Button} onClick=${() => { seek(""); narrow(false); }}>${W.showAll}<//>`} />` : html`<${Empty} title=${W.none}><p>${W.noneAbout}</p><//>`;
  return html`<${Page} title=${T.pages.models} about=${W.about} actions=${who.may("admin:models:write") && html`<${Button} kind="main" onClick=${() => add(true)}>${W.add}<//>`}>
    <div class="filters" role="search"><${Field} label=${T.search} wide><${Text} value=${find} set=${seek} type="search" placeholder="gpt, ollama, vision …" /><//>${who.may("admin:targets:read") && html`<${Check} label=${W.onlyAsked} value=${only} set=${narrow} />`}</div>
    <${Card} flush label=${T.pages.models}><${Asked} of=${asked} lines=${8}>${(data) => html`
      <${Table} label=${T.pages.models} keyed=${(model) => model.id} rows=${rows.slice(0, shown)} empty=${none} columns=${[
        { name: W.name, of: (m) => html`<div class="stack tight"><b class="wrap">${m.id}</b>${m.aliases && html`<span class="faint small wrap">${m.aliases.join(", ")}</span>`}${data.added.has(m.id) && html`<div><${Badge} tone="info">${W.runtime}<//></div>`}</div>` },
        { name: W.targets, of: (m) => html`<${Targets} ids=${m.targets ?? []} data=${data} who=${who} drain=${drain} />` },
        ...(rows.some((m) => m.capabilities?.length) ? [{ name: W.can, of: (m) => html`<div class="chips">${(m.capabilities ?? []).map((can) => html`<${Badge} key=${can}>${can}<//>`)}</div>` }] : []),
        ...(rows.some((m) => m.context_window) ? [{ name: W.window, num: true, of: (m) => count(m.context_window) }] : []),
        { name: W.price, num: true, of: (m) => m.pricing ? `${usd(m.pricing.input)} / ${usd(m.pricing.output)}` : "–" },
        { of: (m) => html`<div class="row end">${who.may("inference:chat") && html`<${Button} kind="small" aria-label=${`${W.test} ${m.id}`} onClick=${() => test(m.id)}>${W.test}<//><${Link} class="button small" to=${"playground" + query({ model: m.id })} aria-label=${`${W.ask} ${m.id}`}>${W.ask}<//>`}${who.may("admin:models:write") && data.added.has(m.id) && html`<${Button} kind="small danger" aria-label=${`${T.remove} ${m.id}`} onClick=${() => drop(m.id)}>${T.remove}<//>`}</div>` },
      ]} />${rows.length > 0 && html`<div class="row spread" style=${{ padding: "10px 16px", borderTop: "1px solid var(--line)" }}><span class="faint small" role="status">${count(Math.min(shown, rows.length))} ${W.of} ${count(rows.length)} ${W.models}</span>${rows.length > shown && html`<${Button} kind="small" onClick=${() => show(shown + STEP)}>${T.more}<//>`}</div>`}`}<//><//>
    ${adding && html`<${Add} close=${() => add(false)} again=${asked.again} />`}
    ${testing && html`<${Testing} model=${testing} close=${() => test(null)} />`}
    ${question}
  <//>`;
}
