// Chains: definitions drawn, their runs as timelines, what waits for a person, and schedules.
import { html, Asked, Badge, Button, Card, Choice, Data, Dialog, Empty, Facts, Field, Link, Notice, Page, Table, Tabs, Text, ago, date, go, moment, ms, status, toast, useAct, useAsk, useConfirm, useEffect, useState, usd } from "../ui.js";
import { get, path, post, put, query, remove } from "../api.js";
import { draw } from "../draw.js";
import { T } from "../strings.js";

const W = T.chains;
const GOING = new Set(["running", "waiting", "queued"]);
const object = (text) => { const value = text.trim() ? JSON.parse(text) : {}; if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("A JSON object is expected."); return value; };

const BLANK = { boolean: false, number: 0, integer: 0, array: [], object: {} };
/** What a form asks for, to be filled in. */
const blank = (form) => JSON.stringify(Object.fromEntries(Object.entries(form?.properties ?? {}).map(([name, field]) => [name, field?.default ?? field?.enum?.[0] ?? BLANK[field?.type] ?? ""])), null, 2);

function Start({ chain, close }) {
  const first = Object.fromEntries(Object.entries(chain.input ?? {}).map(([name, field]) => [name, field?.default ?? (field?.type === "number" || field?.type === "integer" ? 0 : "")]));
  const [text, set] = useState(JSON.stringify(first, null, 2));
  const [start, busy] = useAct(async () => { const run = await post("chains", path("v1", "chains", chain.id, "runs"), { input: object(text), mode: "background" }); toast(W.started); go(`chains/run/${run.id}`); close(); });
  return html`<${Dialog} title=${`${W.start}: ${chain.id}`} close=${close} actions=${html`<${Button} kind="main" busy=${busy} onClick=${start}>${W.start}<//>`}><${Field} label=${W.input}><textarea class="code" rows="10" spellcheck="false" value=${text} onInput=${(e) => set(e.target.value)}></textarea><//><//>`;
}

const Runs = ({ runs }) => html`<${Table} label=${W.runs} rows=${runs} keyed=${(run) => run.id} empty=${html`<${Empty} title=${W.noRuns}><p>${W.noRunsAbout}</p><//>`} columns=${[
  { name: "Run", of: (run) => html`<${Link} class="mono" to=${`chains/run/${run.id}`}>${run.id.slice(0, 16)}<//>` },
  { name: "Chain", sort: (run) => run.chain, of: (run) => html`<${Link} to=${`chains/${encodeURIComponent(run.chain)}`}>${run.chain}<//> <span class="faint small">v${run.version}</span>` },
  { name: "Status", sort: (run) => run.status, of: (run) => html`<${Badge} tone=${status(run.status)}>${run.status}${run.waiting_for ? `: ${typeof run.waiting_for === "string" ? run.waiting_for : run.waiting_for.name ?? ""}` : ""}<//>` },
  { name: "Started", sort: (run) => run.created_at, of: (run) => html`<span class="nowrap" title=${date(run.created_at)}>${ago(run.created_at)}</span>` },
  { name: "Took", num: true, of: (run) => run.ended_at ? ms((run.ended_at - run.created_at) * 1000) : "–" },
]} />`;

/** Every run, the newest first, page by page: the newest are asked anew, the older stay as they were read. */
function AllRuns({ chain, chains }) {
  const [only, narrow] = useState("");
  const [older, keep] = useState({ rows: [], after: null, more: null });
  const page = (after, signal) => get("chains", "/v1/runs" + query({ chain, status: only, limit: 50, after }), signal);
  const asked = useAsk((signal) => page(undefined, signal), [chain, only], 4000);
  useEffect(() => keep({ rows: [], after: null, more: null }), [chain, only]);
  const [follow, busy] = useAct(async () => { const told = await page(older.after ?? asked.data.after); keep({ rows: [...older.rows, ...told.data], after: told.after, more: told.has_more }); });
  return html`<${Card} title=${W.runs} flush actions=${html`<${Choice} aria-label=${W.status} value=${only} set=${narrow} options=${[["", T.all], ...["running", "waiting", "queued", "succeeded", "failed", "cancelled"].map((one) => [one, one])]} />`}>
    <${Asked} of=${asked} lines=${3}>${(data) => { const known = new Set(data.data.map((run) => run.id)); return html`<${Runs} runs=${[...data.data, ...older.rows.filter((run) => !known.has(run.id))]} chains=${chains} />
      ${(older.more ?? data.has_more) && html`<div class="empty"><${Button} busy=${busy} onClick=${follow}>${T.more}<//></div>`}`; }}<//><//>`;
}

function Run({ id }) {
  const asked = useAsk(async (signal) => { const [run, steps] = await Promise.all([get("chains", path("v1", "runs", id), signal), get("chains", path("v1", "runs", id, "steps"), signal)]); const asks = run.status === "waiting" ? (await get("chains", "/v1/approvals", signal)).data.find((one) => one.run === id) : undefined; return { run, steps: steps.data, asks }; }, [id], 2000);
  const [answer, set] = useState(null);
  const [act] = useAct(async (what, body) => { const run = await post("chains", path("v1", "runs", id, what), body); asked.again(); if (what === "fork") go(`chains/run/${run.id}`); });
  const [signal] = useAct(async (name, given) => { await post("chains", path("v1", "runs", id, "signals", name), object(given)); toast(W.signalled); set(null); asked.again(); });
  return html`<${Page} title=${`Run ${id.slice(0, 20)}`} actions=${html`<${Link} class="button" to="chains">${T.pages.chains}<//>${asked.data && GOING.has(asked.data.run.status) && html`<${Button} kind="danger" onClick=${() => act("cancel")}>${W.cancel}<//>`}${asked.data?.run.status === "cancelled" && html`<${Button} onClick=${() => act("resume")}>${W.resume}<//>`}`}>
    <${Asked} of=${asked}>${({ run, steps, asks }) => {
      const given = answer ?? blank(asks?.form);
      const waits = typeof run.waiting_for === "string" ? run.waiting_for : run.waiting_for?.name;
      const start = run.created_at, end = run.ended_at ?? Date.now() / 1000, whole = Math.max(0.001, end - start);
      const times = steps.some((step) => step.started_at ?? step.started);
      return html`<div class="split"><div class="stack">
        ${waits && html`<${Card} title=${`${W.waiting}: ${waits}`}><div class="stack">${asks?.message && html`<p class="wrap">${asks.message}</p>`}<${Field} label=${W.payload}><textarea class="code" value=${given} onInput=${(e) => set(e.target.value)}></textarea><//><div><${Button} kind="main" onClick=${() => signal(waits, given)}>${W.signal}<//></div></div><//>`}
        <${Card} title=${W.steps}>${steps.length ? html`<div class="timeline">${steps.map((step) => { const from = step.started_at ?? step.started, to = step.ended_at ?? step.ended; const bad = step.outcome?.error ?? step.error; return html`
          <span class="wrap">${step.path ?? step.name}${step.kind ? html` <span class="faint small">${step.kind}</span>` : ""}</span>
          <div class="lane">${times && from ? html`<i class=${bad ? "bad" : "good"} style=${{ left: `${(from - start) / whole * 100}%`, width: `${((to ?? end) - from) / whole * 100}%` }}></i>` : html`<i class=${bad ? "bad" : "good"} style=${{ left: 0, width: "100%" }}></i>`}</div>
          <span class="num small">${from && to ? ms((to - from) * 1000) : ""}</span>`; })}</div>` : html`<p class="faint">${T.nothing}</p>`}<//>
        ${steps.map((step) => html`<details key=${step.number} class="card"><summary style=${{ padding: "10px 16px" }}>${step.number}. ${step.path ?? step.name}</summary><div class="body stack">${step.input !== undefined && html`<h3>Input</h3><${Data} value=${step.input} />`}<h3>${W.output}</h3><${Data} value=${step.outcome ?? step.output ?? null} />${!GOING.has(run.status) && html`<div><${Button} kind="small" onClick=${() => act("fork", { step: step.number })}>${W.fork}<//></div>`}</div></details>`)}
      </div><div class="stack">
        <${Card} title="Run"><${Facts} of=${[["Status", html`<${Badge} tone=${status(run.status)}>${run.status}<//>`], ["Chain", html`<${Link} to=${`chains/${encodeURIComponent(run.chain)}`}>${run.chain}<//> v${run.version}`], ["Started", moment(start)], ["Took", run.ended_at ? ms(whole * 1000) : null], ["Cost", run.cost_usd != null ? usd(run.cost_usd) : null], [T.pages.requests, html`<${Link} to=${`requests/session/${encodeURIComponent(run.id)}`}>${W.itsRequests}<//>`], ["Key", run.key]]} /><//>
        ${run.error && html`<${Card} title=${W.error}><${Notice} tone="bad">${run.error.message}<//><${Data} value=${run.error} /><//>`}
        ${run.output != null && html`<${Card} title=${W.output}><${Data} value=${run.output} /><//>`}
      </div></div>`; }}<//><//>`;
}

function Editor({ name, definition, close, again }) {
  const [called, call] = useState(name ?? "");
  const [text, set] = useState(definition ? JSON.stringify(definition, null, 2) : "chain: {name: hello, version: 1}\ninput: {question: {type: string}}\nsteps:\n  - id: answer\n    llm: {model: auto, prompt: \"{{ input.question }}\"}\noutput: {answer: steps.answer.text}\n");
  const format = definition ? "json" : "yaml";
  const [found, tell] = useState(null);
  const [check, checking] = useAct(async () => tell(await post("chains", "/v1/chains/validate", { source: text, format })));
  const [save, busy] = useAct(async () => { await put("chains", path("v1", "chains", called), { source: text, format }); toast(W.saved); close(); again?.(); go(`chains/${encodeURIComponent(called)}`); });
  return html`<${Dialog} kind="wide" title=${name ?? T.create} close=${close} actions=${html`<${Button} busy=${checking} onClick=${check}>${W.validate}<//><${Button} kind="main" busy=${busy} disabled=${!called} onClick=${save}>${T.save}<//>`}><div class="stack">
    ${!name && html`<${Field} label="Name"><${Text} value=${called} set=${call} maxlength="256" autofocus /><//>`}
    ${found && (found.valid ? html`<${Notice} tone="good">${W.valid}<//>` : html`<${Notice} tone="bad">${found.problems.map((problem, n) => html`<div key=${n}>${problem}</div>`)}<//>`)}
    <${Field} label=${`${W.definition} (${format})`}><textarea class="code" rows="20" spellcheck="false" value=${text} onInput=${(e) => set(e.target.value)}></textarea><//></div><//>`;
}

function One({ name, may }) {
  const asked = useAsk(async (signal) => { return { chain: await get("chains", path("v1", "chains", name), signal) }; }, [name], 6000);
  const [tab, turn] = useState("drawn");
  const [starting, start] = useState(false);
  const [editing, edit] = useState(false);
  const [sure, question] = useConfirm();
  const [drop] = useAct(async () => { if (await sure(`${T.remove} ${name}?`, W.sure, T.remove)) { await remove("chains", path("v1", "chains", name)); go("chains"); } });
  return html`<${Page} title=${name} about=${asked.data?.chain.description} actions=${html`<${Link} class="button" to="chains">${T.pages.chains}<//>${may && html`<${Button} onClick=${() => edit(true)}>${T.edit}<//><${Button} kind="danger" onClick=${drop}>${T.remove}<//>`}<${Button} kind="main" onClick=${() => start(true)}>${W.start}<//>`}>
    <${Asked} of=${asked}>${({ chain }) => html`
      <${Card} title=${W.definition} actions=${html`<${Tabs} label=${W.definition} value=${tab} set=${turn} options=${[["drawn", W.drawn], ["json", "JSON"]]} />`}>${tab === "drawn" ? draw(chain.definition) : html`<${Data} value=${chain.definition} />`}<//>
      <${AllRuns} chain=${name} />
      ${starting && html`<${Start} chain=${chain} close=${() => start(false)} />`}
      ${editing && html`<${Editor} name=${name} definition=${chain.definition} close=${() => edit(false)} again=${asked.again} />`}`}<//>${question}<//>`;
}

function Schedule({ chains, close, again }) {
  const [form, set] = useState({ name: "", chain: chains[0]?.id ?? "", cron: "0 6 * * *", input: "{}" });
  const to = (name) => (value) => set({ ...form, [name]: value });
  const [save, busy] = useAct(async () => { await put("chains", path("v1", "schedules", form.name), { chain: form.chain, cron: form.cron, input: object(form.input) }); close(); again(); });
  return html`<${Dialog} title=${W.newSchedule} close=${close} actions=${html`<${Button} kind="main" busy=${busy} disabled=${!form.name || !form.chain} onClick=${save}>${T.create}<//>`}><div class="stack"><${Field} label="Name"><${Text} value=${form.name} set=${to("name")} autofocus maxlength="256" /><//><${Field} label="Chain"><${Choice} value=${form.chain} set=${to("chain")} options=${chains.map((chain) => chain.id)} /><//><${Field} label=${W.cron}><${Text} value=${form.cron} set=${to("cron")} /><//><${Field} label=${W.input}><textarea class="code" value=${form.input} onInput=${(e) => to("input")(e.target.value)}></textarea><//></div><//>`;
}

function List({ may }) {
  const asked = useAsk(async (signal) => { const [chains, runs, schedules] = await Promise.all([get("chains", "/v1/chains", signal), get("chains", "/v1/runs?status=waiting&limit=20", signal), get("chains", "/v1/schedules", signal)]); return { chains: chains.data, waiting: runs.data, schedules: schedules.data }; }, [], 4000);
  const [starting, start] = useState(null);
  const [adding, add] = useState(false);
  const [planning, plan] = useState(false);
  const [schedule] = useAct(async (name, what) => { if (what === "delete") await remove("chains", path("v1", "schedules", name)); else await post("chains", path("v1", "schedules", name, what)); asked.again(); });
  return html`<${Page} title=${T.pages.chains} about=${W.about} actions=${may && html`<${Button} onClick=${() => plan(true)}>${W.newSchedule}<//><${Button} kind="main" onClick=${() => add(true)}>${T.create}<//>`}>
    <${Asked} of=${asked}>${(data) => { const { waiting } = data; return html`
      ${waiting.length > 0 && html`<${Card} title=${`${W.waiting} (${waiting.length})`} flush><${Runs} runs=${waiting} /><//>`}
      <${Card} title=${W.definitions} flush><${Table} label=${W.definitions} rows=${data.chains} keyed=${(chain) => chain.id} empty=${html`<${Empty} title=${W.none} action=${may && html`<${Button} onClick=${() => add(true)}>${W.writeFirst}<//>`}><p>${W.noneAbout}</p><//>`} columns=${[
        { name: "Name", sort: (chain) => chain.id, of: (chain) => html`<${Link} to=${`chains/${encodeURIComponent(chain.id)}`}>${chain.id}<//><div class="faint small wrap">${chain.description}</div>` },
        { name: "Version", num: true, of: (chain) => chain.version }, { name: "Inputs", of: (chain) => html`<span class="wrap">${Object.keys(chain.input ?? {}).join(", ")}</span>` }, { name: "Changed", sort: (chain) => chain.updated_at, of: (chain) => html`<span class="nowrap">${ago(chain.updated_at)}</span>` },
        { of: (chain) => html`<div class="row end"><${Button} kind="small" aria-label=${`${W.start} ${chain.id}`} onClick=${() => start(chain)}>${W.start}<//></div>` },
      ]} /><//>
      ${data.schedules.length > 0 && html`<${Card} title=${W.schedules} flush><${Table} label=${W.schedules} rows=${data.schedules} keyed=${(one) => one.id} columns=${[
        { name: "Name", of: (one) => html`<b class="wrap">${one.id}</b>` }, { name: "Chain", of: (one) => one.chain }, { name: W.cron, of: (one) => html`<code>${one.cron}</code> <span class="faint small">${one.timezone}</span>` }, { name: W.next, of: (one) => one.paused ? html`<${Badge} tone="warn">paused<//>` : html`<span class="nowrap">${one.next_at ? date(Date.parse(one.next_at) / 1000) : "–"}</span>` },
        { of: (one) => may && html`<div class="row end"><${Button} kind="small" onClick=${() => schedule(one.id, "trigger")}>${W.trigger}<//><${Button} kind="small" onClick=${() => schedule(one.id, one.paused ? "resume" : "pause")}>${one.paused ? W.resume : W.pause}<//><${Button} kind="small danger" onClick=${() => schedule(one.id, "delete")}>${T.remove}<//></div>` },
      ]} /><//>`}
      <${AllRuns} />
      ${planning && html`<${Schedule} chains=${data.chains} close=${() => plan(false)} again=${asked.again} />`}`; }}<//>
    ${starting && html`<${Start} chain=${starting} close=${() => start(null)} />`}${adding && html`<${Editor} close=${() => add(false)} again=${asked.again} />`}<//>`;
}

export default function Chains({ who, at }) {
  if (!who.roles.chains) return html`<${Page} title=${T.pages.chains} about=${W.about}><${Empty} title="The ChainEngine is not part of this installation"><p>Run it on this node (--role All) or name it in [ipc] chain_engine_endpoint.</p><//><//>`;
  const may = who.may("chains:write");
  if (at[0] === "run" && at[1]) return html`<${Run} key=${at[1]} id=${at[1]} />`;
  return at[0] ? html`<${One} key=${at[0]} name=${at[0]} may=${may} />` : html`<${List} may=${may} />`;
}
