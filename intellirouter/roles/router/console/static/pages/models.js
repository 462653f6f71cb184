import { html, Asked, Badge, Button, Card, Check, Choice, Dialog, Empty, Facts, Field, Notice, Page, Table, Text, ago, count, ms, status, toast, useAct, useAsk, useConfirm, useMemo, useState, usd } from "../ui.js";
import { get, post, raw, remove } from "../api.js";
import { T } from "../strings.js";

const W = T.models;
const STRATEGIES = ["", "fallback", "learned", "cost-optimized", "lowest-latency", "least-busy", "round-robin", "weighted", "usage", "consistent-hash", "rules", "split"];

async function everything(admin, signal) {
  const [models, standing, changes] = await Promise.all([
    get("router", "/v1/models", signal),
    admin ? get("router", "/admin/targets", signal) : { data: [] },
    admin ? get("router", "/admin/models", signal) : { models: [], drained: [] },
  ]);
  return { models: models.data, standing: new Map(standing.data.map((row) => [row.id, row])), added: new Set(changes.models.map((model) => model.name)), drained: new Set(changes.drained) };
}

function Add({ close, again }) {
  const [form, set] = useState({ name: "", targets: "", strategy: "" });
  const to = (name) => (value) => set({ ...form, [name]: value });
  const [save, busy] = useAct(async () => {
    const targets = form.targets.split(/\s+/).filter(Boolean);
    await post("router", "/admin/models", { name: form.name, targets, ...(form.strategy && { strategy: form.strategy }) });
    toast(W.added); close(); again();
  });
  return html`<${Dialog} title=${W.add} close=${close} actions=${html`<${Button} onClick=${close}>${T.cancel}<//><${Button} kind="main" busy=${busy} disabled=${!form.name || !form.targets.trim()} onClick=${save}>${T.create}<//>`}>
    <div class="stack">
      <${Field} label=${W.name}><${Text} value=${form.name} set=${to("name")} maxlength="256" autofocus /><//>
      <${Field} label=${W.targets} note=${W.targetsNote}><textarea class="code" value=${form.targets} onInput=${(e) => to("targets")(e.target.value)}></textarea><//>
      <${Field} label=${W.strategy}><${Choice} value=${form.strategy} set=${to("strategy")} options=${STRATEGIES.map((s) => [s, s || "as configured"])} /><//>
    </div><//>`;
}

function Testing({ model, close }) {
  const asked = useAsk(async (signal) => {
    const began = performance.now();
    const response = await raw("router", "/v1/chat/completions", { method: "POST", signal, body: { model, max_tokens: 64, messages: [{ role: "user", content: "Answer with the one word: ready" }] } });
    const body = await response.json();
    return { ok: response.ok, took: performance.now() - began, text: body.choices?.[0]?.message?.content ?? body.error?.message, by: `${response.headers.get("x-intellirouter-provider") ?? ""}/${response.headers.get("x-intellirouter-model") ?? ""}`, tries: response.headers.get("x-intellirouter-attempts"), tokens: body.usage?.total_tokens };
  }, [model]);
  return html`<${Dialog} title=${`${W.test}: ${model}`} close=${close}>
    ${asked.loading ? html`<p class="faint" role="status">${W.testing}</p>` : html`<${Asked} of=${asked}>${(data) => html`<div class="stack">
      <${Notice} tone=${data.ok ? "good" : "bad"}>${data.text}<//>
      <${Facts} of=${[["Answered by", data.ok ? data.by : null], ["Time", ms(data.took)], ["Attempts", data.tries], ["Tokens", data.tokens]]} />
    </div>`}<//>`}<//>`;
}

export default function Models({ who }) {
  const asked = useAsk((signal) => everything(who.admin, signal), [], 5000);
  const [find, search] = useState("");
  const [only, narrow] = useState(false);
  const [shown, show] = useState(200);
  const [adding, add] = useState(false);
  const [testing, test] = useState(null);
  const [sure, question] = useConfirm();
  const [drain] = useAct(async (target, drained) => { await post("router", "/admin/drain", { target, drained }); asked.again(); });
  const [drop] = useAct(async (name) => { if (await sure(`${T.remove} ${name}?`, W.removeSure, T.remove)) { await remove("router", "/admin/models/" + encodeURIComponent(name)); toast(W.removed); asked.again(); } });
  const rows = useMemo(() => (asked.data?.models ?? []).filter((model) => (!find || (model.id + " " + (model.targets ?? []).join(" ") + " " + (model.aliases ?? []).join(" ")).toLowerCase().includes(find.toLowerCase())) && (!only || (model.targets ?? []).some((target) => asked.data.standing.has(target)))), [asked.data, find, only]);
  const target = (id) => {
    const standing = asked.data.standing.get(id), drained = asked.data.drained.has(id) || asked.data.drained.has(id.split("/")[0]);
    return html`<div key=${id} class="row"><code class="wrap">${id}</code>
      ${drained ? html`<${Badge} tone="warn">${W.drained}<//>` : standing && html`<${Badge} tone=${status(standing.circuit)} title=${standing.probe_in_seconds ? `probe in ${standing.probe_in_seconds} s` : ""}>${standing.circuit}<//>`}
      ${standing?.latency_ms != null && html`<span class="faint small">${ms(standing.latency_ms)}</span>`}
      ${standing?.calls > 0 && html`<span class="faint small">${standing.calls} ${W.calls.toLowerCase()}</span>`}
      ${who.admin && html`<${Button} kind="quiet small" onClick=${() => drain(id, !drained)}>${drained ? W.undrain : W.drain}<//>`}</div>`;
  };
  return html`<${Page} title=${T.pages.models} about=${W.about} actions=${who.admin && html`<${Button} kind="main" onClick=${() => add(true)}>${W.add}<//>`}>
    <div class="filters"><${Field} label=${T.search} wide><${Text} value=${find} set=${search} type="search" placeholder="gpt, ollama, vision …" /><//><${Check} label="Only those that were asked" value=${only} set=${narrow} /></div>
    <${Card} flush label=${T.pages.models}><${Asked} of=${asked} lines=${8}>${() => html`
      <${Table} label=${T.pages.models} keyed=${(model) => model.id} rows=${rows.slice(0, shown)} empty=${html`<${Empty} title=${T.nothing} />`} columns=${[
        { name: W.name, sort: (m) => m.id, of: (m) => html`<div class="stack tight"><b class="wrap">${m.id}</b>${m.aliases && html`<span class="faint small wrap">${m.aliases.join(", ")}</span>`}${asked.data.added.has(m.id) && html`<${Badge} tone="info">${W.runtime}<//>`}</div>` },
        { name: W.targets, of: (m) => html`<div class="stack tight">${(m.targets ?? []).map(target)}</div>` },
        { name: W.can, of: (m) => html`<div class="row">${(m.capabilities ?? []).map((can) => html`<${Badge} key=${can}>${can}<//>`)}</div>` },
        { name: W.window, num: true, sort: (m) => m.context_window ?? 0, of: (m) => count(m.context_window) },
        { name: W.price, num: true, sort: (m) => m.pricing?.output ?? 0, of: (m) => m.pricing ? `${usd(m.pricing.input)} / ${usd(m.pricing.output)}` : "–" },
        { of: (m) => html`<div class="row end"><${Button} kind="small" onClick=${() => test(m.id)}>${W.test}<//>${who.admin && asked.data.added.has(m.id) && html`<${Button} kind="small danger" onClick=${() => drop(m.id)}>${T.remove}<//>`}</div>` },
      ]} />${rows.length > shown && html`<div class="empty"><${Button} onClick=${() => show(shown + 500)}>${T.more} (${count(rows.length - shown)})<//></div>`}`}<//><//>
    ${adding && html`<${Add} close=${() => add(false)} again=${asked.again} />`}
    ${testing && html`<${Testing} model=${testing} close=${() => test(null)} />`}
    ${question}
  <//>`;
}
