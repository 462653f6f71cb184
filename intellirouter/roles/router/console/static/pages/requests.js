import { html, Asked, Badge, Button, Card, Check, Choice, Data, Empty, Facts, Field, Link, Notice, Page, Stats, Table, Text, bytes, clock, count, date, go, ms, status, toast, useAct, useAsk, useEffect, useRef, useState, usd } from "../ui.js";
import { ask, events, get, path, post, query } from "../api.js";
import { T } from "../strings.js";

const W = T.requests;
const NONE = { model: "", provider: "", key: "", user: "", tag: "", session: "", status: "", text: "", min_latency: "", min_cost: "" };
const tokens = (row) => row.input_tokens == null ? "–" : `${count(row.input_tokens)} → ${count(row.output_tokens ?? 0)}`;

/** New rows as they are written; falls silent where the node has no stream of them. */
function useLive(on, filters, take) {
  useEffect(() => {
    if (!on) return undefined;
    const stop = new AbortController();
    (async () => {
      while (!stop.signal.aborted) {
        try {
          const response = await ask("router", "/admin/requests/stream" + query(filters), { signal: stop.signal, headers: { accept: "text/event-stream" } });
          for await (const { data } of events(response)) take(JSON.parse(data));
        } catch (error) {
          if (error.status && error.status < 500) return;
        }
        await new Promise((next) => setTimeout(next, 3000));
      }
    })();
    return () => stop.abort();
  }, [on, JSON.stringify(filters)]);
}

function List() {
  const [form, fill] = useState(NONE);
  const [filters, apply] = useState({ models_only: 1 });
  const [every, widenTo] = useState(false);
  const [rows, set] = useState(null);
  const [cursor, follow] = useState(null);
  const [error, fail] = useState(null);
  const [live, go_] = useState(true);
  const [wide, widen] = useState(false);
  const fresh = useRef(new Set());
  const load = async (after) => {
    try {
      let page = { data: [], next: after };
      do page = await get("router", "/admin/requests" + query({ ...filters, limit: 50, cursor: page.next })); while (!page.data.length && page.next);
      set((was) => after ? [...(was ?? []), ...page.data] : page.data);
      follow(page.next); fail(null);
    } catch (problem) { fail(problem); set((was) => was ?? []); }
  };
  useEffect(() => { load(); }, [JSON.stringify(filters)]);
  useLive(live, filters, (row) => set((was) => {
    if ((was ?? []).some((one) => one.id === row.id)) return was;
    fresh.current = new Set([...[...fresh.current].slice(-30), row.id]);
    return [row, ...(was ?? [])].slice(0, 500);
  }));
  const to = (name) => (value) => fill({ ...form, [name]: value });
  const search = (event) => { event.preventDefault(); apply({ ...Object.fromEntries(Object.entries(form).filter(([, value]) => value !== "")), ...(every ? {} : { models_only: 1 }) }); };
  const download = (form_) => { window.open(`/console/api/router/admin/requests/export${query({ ...filters, format: form_ })}`); };
  return html`<${Page} title=${T.pages.requests} about=${W.about} actions=${html`<${Check} label=${W.live} value=${live} set=${go_} /><${Button} onClick=${() => download("csv")}>CSV<//><${Button} onClick=${() => download("jsonl")}>JSONL<//>`}>
    <form class="filters" onSubmit=${search}>
      <${Field} label=${T.search} wide><${Text} value=${form.text} set=${to("text")} type="search" placeholder="words of the content" /><//>
      <${Field} label=${W.status}><${Choice} value=${form.status} set=${to("status")} options=${[["", T.all], ["ok", "ok"], ["failed", "failed"], ["4xx", "4xx"], ["5xx", "5xx"]]} /><//>
      <${Button} aria-expanded=${String(wide)} onClick=${() => widen(!wide)}>${W.filters}<//><button class="button">${T.search}</button>
      ${wide && html`<div class="filters grow" style=${{ flexBasis: "100%" }}><${Field} label=${W.model}><${Text} value=${form.model} set=${to("model")} /><//><${Field} label=${W.provider}><${Text} value=${form.provider} set=${to("provider")} /><//>
      <${Field} label=${W.key}><${Text} value=${form.key} set=${to("key")} /><//><${Field} label="User"><${Text} value=${form.user} set=${to("user")} /><//><${Field} label="Tag"><${Text} value=${form.tag} set=${to("tag")} /><//><${Field} label=${W.session}><${Text} value=${form.session} set=${to("session")} /><//>
      <${Field} label="Slower than (s)"><${Text} value=${form.min_latency} set=${to("min_latency")} type="number" min="0" step="any" /><//><${Check} label=${W.every} value=${every} set=${widenTo} /></div>`}
    </form>
    ${error && html`<${Notice} tone=${error.status === 404 ? "info" : "bad"}>${error.status === 404 ? W.off : error.message}<//>`}
    ${rows && html`<${Card} flush label=${T.pages.requests}><${Table} label=${T.pages.requests} rows=${rows} newest=${fresh.current} keyed=${(row) => row.id} empty=${html`<${Empty} title=${W.empty}><p>${W.emptyAbout}</p><//>`} columns=${[
      { name: W.time, of: (row) => html`<${Link} class="nowrap mono" title=${date(row.ended)} to=${`requests/${row.id}`}>${clock(row.ended)}<//>` },
      { name: W.status, of: (row) => html`<${Badge} tone=${row.status < 400 ? "good" : row.status < 500 ? "warn" : "bad"}>${row.status}<//>${row.error && html` <span class="faint small">${row.error}</span>`}` },
      { name: W.endpoint, of: (row) => html`<span class="nowrap">${row.endpoint}${row.stream ? " ⇢" : ""}</span><div class="faint small">${row.role}</div>` },
      { name: W.model, of: (row) => html`<b class="wrap">${row.served_model || row.model || "–"}</b>${row.model && row.served_model && row.model !== row.served_model && html`<div class="faint small wrap">${row.model}</div>`}` },
      { name: W.provider, of: (row) => html`<span class="wrap">${row.provider}</span>${row.cache && html` <${Badge} tone="info">${row.cache}<//>`}` },
      { name: W.key, of: (row) => html`<span class="wrap">${row.key}</span>${row.user && html`<div class="faint small wrap">${row.user}</div>`}` },
      { name: W.tokens, num: true, of: tokens }, { name: W.cost, num: true, of: (row) => usd(row.cost_usd) },
      { name: W.first, num: true, of: (row) => row.first_token == null ? "–" : ms(row.first_token * 1000) }, { name: W.duration, num: true, of: (row) => ms(row.seconds * 1000) },
    ]} /><//>`}
    ${cursor && html`<div class="empty"><${Button} onClick=${() => load(cursor)}>${T.more}<//></div>`}<//>`;
}

function Timeline({ row }) {
  const whole = Math.max(row.seconds * 1000, 0.1);
  const bars = [];
  let at = 0;
  for (const [name, took] of Object.entries(row.steps ?? {})) { bars.push({ name, from: at, took, tone: "" }); at += took; }
  for (const attempt of row.attempts ?? []) { const from = attempt.started_ms ?? (attempt.started != null ? attempt.started * 1000 : at); bars.push({ name: attempt.target, from, took: attempt.ms ?? 0, tone: attempt.outcome === "ok" ? "good" : attempt.outcome === "cancelled" ? "" : "bad", note: attempt.outcome === "ok" ? "" : `${attempt.outcome}${attempt.message ? ": " + attempt.message : ""}` }); if (attempt.started == null && attempt.started_ms == null) at += attempt.ms ?? 0; }
  if (row.first_token != null) bars.push({ name: W.first, from: 0, took: row.first_token * 1000, tone: "info" });
  bars.push({ name: "whole", from: 0, took: whole, tone: "" });
  return html`<div class="timeline">${bars.map((bar, n) => html`<span class="wrap" key=${"n" + n}>${bar.name}${bar.note && html`<div class="bad small wrap">${bar.note}</div>`}</span><div class="lane"><i class=${bar.tone} style=${{ left: `${Math.min(99, bar.from / whole * 100)}%`, width: `${Math.min(100, Math.max(.5, bar.took / whole * 100))}%` }}></i></div><span class="num small">${ms(bar.took)}</span>`)}</div>`;
}

function One({ id }) {
  const asked = useAsk((signal) => get("router", path("admin", "requests", id), signal), [id]);
  const [told, tell] = useState(null);
  const [rate] = useAct(async (row, score) => { await post("router", "/v1/feedback", { request_id: row.request_id, score }); tell(score); toast(W.thanks); });
  const text = (value) => typeof value === "string" ? value : value == null ? null : JSON.stringify(value, null, 2);
  const parsed = (value) => { try { return typeof value === "string" ? JSON.parse(value) : value; } catch { return null; } };
  const copy = async (row) => { const body = text(row.asked) ?? JSON.stringify({ model: row.model, messages: [{ role: "user", content: "…" }] }); await navigator.clipboard.writeText(`curl ${location.origin}${row.path || "/v1/chat/completions"} -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '${body.replaceAll("'", `'\\''`)}'`); toast(T.copied); };
  const replay = (row) => { const body = parsed(row.asked); const last = body?.messages?.filter((m) => m.role === "user").at(-1)?.content; sessionStorage.setItem("replay", JSON.stringify({ model: row.model, message: typeof last === "string" ? last : "", system: body?.messages?.find((m) => m.role === "system")?.content ?? "" })); go("playground"); };
  return html`<${Page} title=${W.one} actions=${html`<${Link} class="button" to="requests">${T.pages.requests}<//>${asked.data && html`<${Button} onClick=${() => copy(asked.data)}>${W.curl}<//><${Button} onClick=${() => replay(asked.data)}>${W.replay}<//>`}`}>
    <${Asked} of=${asked}>${(row) => html`
      <${Stats} items=${[{ label: W.status, value: row.status, note: row.error, tone: row.status < 400 ? "good" : "bad" }, { label: W.duration, value: ms(row.seconds * 1000) }, { label: W.first, value: row.first_token == null ? "–" : ms(row.first_token * 1000) }, { label: W.tokens, value: tokens(row), note: row.cached_tokens ? `${count(row.cached_tokens)} cached` : null }, { label: W.cost, value: usd(row.cost_usd), note: row.saved_usd ? `${usd(row.saved_usd)} saved` : null }]} />
      <div class="split"><div class="stack">
        ${row.message && html`<${Notice} tone="bad">${row.message}<//>`}
        <${Card} title=${W.timeline}><${Timeline} row=${row} /><//>
        ${row.decision && Object.keys(row.decision).length > 0 && html`<${Card} title=${W.decision}><${Data} value=${row.decision} /><//>`}
        <${Card} title=${W.content}>${row.asked == null && row.answered == null ? html`<p class="faint">${W.noContent}</p>` : html`<div class="stack"><h3>Asked</h3><${Data} value=${text(row.asked)} /><h3>Answered</h3><${Data} value=${text(row.answered) ?? ""} /></div>`}<//>
      </div><div class="stack">
        <${Card} title="Who and what"><${Facts} of=${[["Time", date(row.ended)], ["Endpoint", `${row.method ?? ""} ${row.path || row.endpoint}`], ["Role", row.role], ["Asked for", row.model], ["Served by", row.served_model && `${row.provider} · ${row.served_model}`], ["Strategy", row.strategy], ["Cache", row.cache], ["Persona", row.persona], ["Collections", (row.collections ?? []).join(", ")], ["Key", row.key], ["Team", row.team], ["Tenant", row.tenant], ["User", row.user], ["Tags", (row.tags ?? []).join(", ")], [W.session, row.session && html`<${Link} to=${`requests/session/${encodeURIComponent(row.session)}`}>${row.session}<//>`], ["Chain run", row.chain_run && html`<${Link} to=${`chains/run/${encodeURIComponent(row.chain_run)}`}>${row.chain_run}<//>`], ["Client", row.client], ["User agent", row.user_agent], ["Request id", html`<code>${row.request_id}</code>`], ["Trace", row.trace_id && html`<code>${row.trace_id}</code>`], ["Notes", (row.notes ?? []).join(" ")]]} /><//>
        ${row.provider && html`<${Card} title=${W.feedback}><div class="row"><${Button} disabled=${told === 1} onClick=${() => rate(row, 1)}>${W.good}<//><${Button} disabled=${told === 0} onClick=${() => rate(row, 0)}>${W.bad}<//></div>${row.feedback && html`<${Data} value=${row.feedback} />`}<//>`}
        ${row.guards?.length > 0 && html`<${Card} title="Guards"><${Data} value=${row.guards} /><//>`}
      </div></div>`}<//><//>`;
}

function Session({ id }) {
  const asked = useAsk((signal) => get("router", path("admin", "sessions", id), signal), [id]);
  return html`<${Page} title=${W.session} about=${id} actions=${html`<${Link} class="button" to="requests">${T.pages.requests}<//>`}><${Asked} of=${asked}>${(data) => { const rows = data.data; const first = Math.min(...rows.map((row) => row.started)), last = Math.max(...rows.map((row) => row.ended)), whole = Math.max(.001, last - first); return html`
    <${Stats} items=${[{ label: T.pages.requests, value: rows.length }, { label: W.duration, value: ms(whole * 1000) }, { label: W.cost, value: usd(rows.reduce((sum, row) => sum + (row.cost_usd ?? 0), 0)) }, { label: W.tokens, value: count(rows.reduce((sum, row) => sum + (row.input_tokens ?? 0) + (row.output_tokens ?? 0), 0)) }]} />
    <${Card} title=${W.timeline}><div class="timeline">${[...rows].sort((a, b) => a.started - b.started).map((row) => html`<${Link} key=${row.id} class="wrap" to=${`requests/${row.id}`}>${row.served_model || row.endpoint}<//><div class="lane"><i class=${row.status < 400 ? "good" : "bad"} style=${{ left: `${(row.started - first) / whole * 100}%`, width: `${Math.max(.5, row.seconds / whole * 100)}%` }}></i></div><span class="num small">${ms(row.seconds * 1000)}</span>`)}</div><//>`; }}<//><//>`;
}

export default function Requests({ at }) {
  if (at[0] === "session" && at[1]) return html`<${Session} key=${at[1]} id=${at[1]} />`;
  return at[0] ? html`<${One} key=${at[0]} id=${at[0]} />` : html`<${List} />`;
}
