// The record of requests: the live list, one request as a timeline, and a session as a whole.
import { html, Asked, Badge, Button, Card, Check, Choice, Data, Empty, Facts, Failed, Field, Link, Notice, Page, Stats, Table, Text, Waiting, clock, count, go, moment, ms, toast, toneOf, useAct, useAsk, useEffect, useRef, useState, usd, zone } from "../ui.js";
import { ask, events, get, path, post, query } from "../api.js";
import { Decision } from "../decision.js";
import { T } from "../strings.js";

const W = T.requests;
const FIELDS = ["text", "status", "model", "provider", "key", "user", "tag", "session", "min_latency", "min_cost"];
const RARE = FIELDS.slice(2);
const MOST = 500; // rows that live arrivals may make a list of
const tokens = (row) => row.input_tokens == null ? "–" : `${count(row.input_tokens)} → ${count(row.output_tokens ?? 0)}`;
const first = (row) => row.first_token == null ? "–" : ms(row.first_token * 1000);

const LATE = 5; // seconds that a row may be written after one that ended later
/** From where a stream goes on so that no row is missed between the list and it: the newest row that nothing can still be written before. */
const mark = (rows) => (rows.find((row) => row.ended < rows[0].ended - LATE) ?? rows.at(-1))?.id ?? "1";

const PASSING = new Set([408, 421, 425, 429]); // refusals that do not last: a Router that is drained, too many at once

/** New rows as they are written, after those of `known()`. A page that nobody sees lets go of its stream: a browser has few connections for all its pages. */
function useLive(on, filters, known, take) {
  const [seen, look] = useState(!document.hidden);
  useEffect(() => {
    const turned = () => look(!document.hidden);
    document.addEventListener("visibilitychange", turned);
    return () => document.removeEventListener("visibilitychange", turned);
  }, []);
  useEffect(() => {
    if (!on || !seen) return undefined;
    const stop = new AbortController();
    (async () => {
      for (let time = 0; !stop.signal.aborted; time++) {
        try {
          const response = await ask("router", "/admin/requests/stream" + query(filters), { signal: stop.signal, headers: { accept: "text/event-stream", "last-event-id": mark(known()) } });
          time = 0;
          for await (const { event, data } of events(response)) if (event === "request") take(JSON.parse(data));
        } catch (error) {
          if (stop.signal.aborted || (error.status && error.status < 500 && !PASSING.has(error.status))) return;
        }
        await new Promise((next) => setTimeout(next, Math.min(30000, 2000 * 1.5 ** Math.min(time, 8))));
      }
    })();
    return () => stop.abort();
  }, [on, seen, JSON.stringify(filters)]);
}

const COLUMNS = [
  { name: W.time, of: (row) => html`<${Link} class="nowrap mono" title=${moment(row.ended)} to=${`requests/${row.id}`}>${clock(row.ended)}<//>` },
  { name: W.status, of: (row) => html`<${Badge} tone=${toneOf(row.status)}>${row.status}<//>${row.error && html`<div class="faint small wrap">${row.error}</div>`}` },
  { name: W.endpoint, of: (row) => html`<span class="nowrap">${row.endpoint}${row.stream ? html`<span title=${W.streamed} aria-label=${W.streamed} role="img"> ⇢</span>` : ""}</span><div class="faint small">${row.role}</div>` },
  { name: W.model, of: (row) => html`<b class="wrap name">${row.served_model || row.model || "–"}</b>${row.model && row.served_model && row.model !== row.served_model && html`<div class="faint small wrap">${W.askedAs} ${row.model}</div>`}` },
  { name: W.provider, of: (row) => html`<span class="wrap">${row.provider || "–"}</span>${row.cache && html` <${Badge} tone="info">${row.cache}<//>`}` },
  { name: W.key, of: (row) => html`<span class="wrap">${row.key || "–"}</span>${row.user && html`<div class="faint small wrap">${row.user}</div>`}` },
  { name: W.tokens, num: true, of: tokens }, { name: W.cost, num: true, of: (row) => usd(row.cost_usd) },
  { name: W.first, num: true, of: first }, { name: W.duration, num: true, of: (row) => ms(row.seconds * 1000) },
];

function Filters({ given }) {
  const filled = () => Object.fromEntries(FIELDS.map((name) => [name, given[name] ?? ""]));
  const [form, fill] = useState(filled);
  const [every, widenTo] = useState(given.every === "1");
  const [wide, widen] = useState(RARE.some((name) => given[name]) || every);
  useEffect(() => { fill(filled()); widenTo(given.every === "1"); }, [JSON.stringify(given)]); // the back button
  const to = (name) => (value) => fill((was) => ({ ...was, [name]: value }));
  const apply = (values, all) => go("requests" + query({ ...values, every: all ? 1 : "" }));
  const search = (event) => { event.preventDefault(); apply(form, every); };
  const choose = (name) => (value) => { const next = { ...form, [name]: value }; fill(next); apply(next, every); };
  const text = (name, label, more) => html`<${Field} label=${label}><${Text} value=${form[name]} set=${to(name)} ...${more} /><//>`;
  const clear = () => apply({}, false);
  return html`<form class="filters" role="search" onSubmit=${search}>
    <${Field} label=${T.search} wide><${Text} value=${form.text} set=${to("text")} type="search" placeholder=${W.searchHint} /><//>
    <${Field} label=${W.status}><${Choice} value=${form.status} set=${choose("status")} options=${[["", T.all], ["ok", "ok"], ["failed", "failed"], ["4xx", "4xx"], ["5xx", "5xx"]]} /><//>
    <${Button} aria-expanded=${String(wide)} onClick=${() => widen(!wide)}>${W.filters}<//><button class="button">${T.search}</button>
    ${FIELDS.some((name) => given[name]) || every ? html`<${Button} kind="quiet" onClick=${clear}>${W.clear}<//>` : null}
    ${wide && html`<div class="filters grow" style=${{ flexBasis: "100%" }}>${text("model", W.model)}${text("provider", W.provider)}${text("key", W.key)}${text("user", W.user)}${text("tag", W.tag)}${text("session", W.session)}
      ${text("min_latency", W.slower, { type: "number", min: "0", step: "any" })}${text("min_cost", W.dearer, { type: "number", min: "0", step: "any" })}
      <${Check} label=${W.every} value=${every} set=${(value) => { widenTo(value); apply(form, value); }} /></div>`}
  </form>`;
}

function List({ given }) {
  const filters = { ...Object.fromEntries(FIELDS.filter((name) => given[name]).map((name) => [name, given[name]])), ...(given.every === "1" ? {} : { models_only: 1 }) };
  const asked = JSON.stringify(filters);
  const [state, set] = useState({ of: null, rows: null, cursor: null, error: null });
  const [busy, work] = useState(false);
  const [live, follow] = useState(true);
  const fresh = useRef(new Set());
  const shown = useRef(asked);
  shown.current = asked;
  const load = async (after) => {
    work(true);
    try {
      let page = { data: [], next: after };
      do page = await get("router", "/admin/requests" + query({ ...filters, limit: 50, cursor: page.next })); // a page that took long may be short and still have one after it
      while (!page.data.length && page.next && shown.current === asked);
      if (shown.current === asked) set((was) => ({ of: asked, rows: after ? [...was.rows, ...page.data] : page.data, cursor: page.next, error: null }));
    } catch (error) {
      if (shown.current === asked) set((was) => ({ ...was, rows: was.of === asked ? was.rows : null, of: asked, error }));
    } finally { work(false); }
  };
  useEffect(() => { load(); }, [asked]);
  const rows = state.of === asked ? state.rows : null;
  useLive(live && rows !== null, filters, () => rows ?? [], (row) => set((was) => {
    if (was.rows === null || was.of !== asked || was.rows.some((one) => one.id === row.id)) return was;
    fresh.current = new Set([...[...fresh.current].slice(-30), row.id]);
    const rows = [row, ...was.rows].sort((a, b) => b.ended - a.ended);
    return { ...was, rows: rows.slice(0, Math.max(MOST, was.rows.length)) };
  }));
  const download = (kind) => html`<a class="button" download href=${`/console/api/router/admin/requests/export${query({ ...filters, format: kind })}`}>${T.export} ${kind.toUpperCase()}</a>`;
  const narrowed = Object.keys(filters).some((name) => name !== "models_only");
  return html`<${Page} title=${T.pages.requests} about=${W.about} actions=${html`<${Check} label=${W.live} value=${live} set=${follow} />${download("csv")}${download("jsonl")}`}>
    <${Filters} given=${given} />
    ${state.error && state.of === asked && (state.error.status === 404 ? html`<${Notice} tone="info">${W.off}<//>` : html`<${Failed} error=${state.error} again=${() => load()} />`)}
    ${rows ? html`<${Card} flush label=${T.pages.requests}><${Table} label=${T.pages.requests} rows=${rows} newest=${fresh.current} keyed=${(row) => row.id} columns=${COLUMNS}
      empty=${html`<${Empty} title=${narrowed ? W.empty : W.none} action=${html`<${Link} class="button" to=${narrowed ? "requests" : "playground"}>${narrowed ? W.clear : W.ask}<//>`}><p>${narrowed ? W.emptyAbout : W.noneAbout}</p><//>`} /><//>` : !state.error && html`<${Card}><${Waiting} lines=${6} /><//>`}
    ${rows && html`<div class="row spread"><span class="faint small">${W.zone} ${zone}</span>${state.cursor && html`<${Button} busy=${busy} onClick=${() => load(state.cursor)}>${T.more}<//>`}</div>`}<//>`;
}

/** Lanes of a timeline: [{name, from, took, tone, note?, to?}] in ms of `whole`. */
export const Lanes = ({ bars, whole }) => html`<div class="timeline">${bars.map((bar, n) => html`
  <div class="wrap" key=${"n" + n}>${bar.to ? html`<${Link} to=${bar.to}>${bar.name}<//>` : bar.name}${bar.about && html` <span class="faint small">${bar.about}</span>`}${bar.note && html`<div class="bad small wrap">${bar.note}</div>`}</div>
  <div class="lane" key=${"l" + n}><i class=${bar.tone} style=${{ left: `${Math.min(99, (bar.from / whole) * 100)}%`, width: `${Math.min(100 - Math.min(99, (bar.from / whole) * 100), Math.max(.5, (bar.took / whole) * 100))}%` }}></i></div>
  <span class="num small" key=${"t" + n}>${ms(bar.took)}</span>`)}</div>`;

function Timeline({ row }) {
  const whole = Math.max(row.seconds * 1000, 0.1), bars = [];
  let at = 0;
  for (const [name, took] of Object.entries(row.steps ?? {})) { bars.push({ name: W.stepNames[name] ?? name, from: at, took, tone: "" }); at += took; }
  for (const attempt of row.attempts ?? []) {
    const from = attempt.started_ms ?? (attempt.started != null ? attempt.started * 1000 : at), ok = attempt.outcome === "ok";
    bars.push({ name: attempt.target, from, took: attempt.ms ?? 0, tone: ok ? "good" : attempt.outcome === "cancelled" ? "" : "bad", note: ok ? "" : `${attempt.outcome}${attempt.message ? ": " + attempt.message : ""}` });
    if (attempt.started == null && attempt.started_ms == null) at += attempt.ms ?? 0;
  }
  if (row.first_token != null) bars.push({ name: W.first, from: 0, took: row.first_token * 1000, tone: "info" });
  bars.push({ name: W.whole, from: 0, took: whole, tone: "" });
  return html`<${Lanes} bars=${bars} whole=${whole} />`;
}

const text = (value) => typeof value === "string" ? value : value == null ? null : JSON.stringify(value, null, 2);
const parsed = (value) => { try { return typeof value === "string" ? JSON.parse(value) : value; } catch { return null; } };
const quoted = (value) => `'${value.replaceAll("'", `'\\''`)}'`;

function curl(row) {
  const body = text(row.asked) ?? JSON.stringify({ model: row.model, messages: [{ role: "user", content: "…" }] });
  return `curl ${location.origin}${row.path || "/v1/chat/completions"} -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d ${quoted(body)}`;
}
function replay(row) {
  const messages = parsed(row.asked)?.messages ?? [], said = (role) => { const found = messages.filter((one) => one.role === role).at(-1)?.content; return typeof found === "string" ? found : ""; };
  sessionStorage.setItem("replay", JSON.stringify({ model: row.model, message: said("user"), system: said("system") }));
  go("playground");
}

function Feedback({ row }) {
  const [told, tell] = useState(null);
  const [rate, busy] = useAct(async (score) => { await post("router", "/v1/feedback", { request_id: row.request_id, score }); tell(score); toast(W.thanks); });
  return html`<${Card} title=${W.feedback}><div class="stack tight"><div class="row"><${Button} busy=${busy} aria-pressed=${String(told === 1)} disabled=${told === 1} onClick=${() => rate(1)}>${W.good}<//><${Button} busy=${busy} aria-pressed=${String(told === 0)} disabled=${told === 0} onClick=${() => rate(0)}>${W.bad}<//></div>
    ${row.feedback && html`<${Facts} of=${Object.entries(row.feedback).map(([name, value]) => [name, text(value)])} />`}</div><//>`;
}

const session = (row) => row.session && html`<${Link} class="wrap" to=${`requests/session/${encodeURIComponent(row.session)}`}>${row.session}<//>`;
const about = (row) => [
  [W.time, moment(row.ended)], [W.endpoint, html`<code>${row.method ?? ""} ${row.path || row.endpoint}</code>`], ["Role", row.role], ["Node", row.node], ["Asked for", row.model],
  ["Served by", row.served_model && `${row.provider} · ${row.served_model}`], ["Strategy", row.strategy], ["Cache", row.cache], ["Persona", row.persona], ["Collections", (row.collections ?? []).join(", ")],
  [W.key, row.key], ["Team", row.team], ["Tenant", row.tenant], [W.user, row.user], ["Tags", (row.tags ?? []).join(", ")], [W.session, session(row)],
  ["Chain run", row.chain_run && html`<${Link} to=${`chains/run/${encodeURIComponent(row.chain_run)}`}>${row.chain_run}<//>`],
  ["Client", row.client], ["User agent", row.user_agent], ["Request id", html`<code>${row.request_id}</code>`], ["Trace", row.trace_id && html`<code>${row.trace_id}</code>`], ["Notes", (row.notes ?? []).join(" ")],
];

function One({ id }) {
  const asked = useAsk((signal) => get("router", path("admin", "requests", id), signal), [id]);
  const [copy] = useAct(async (row) => { try { await navigator.clipboard.writeText(curl(row)); } catch { throw new Error(T.notCopied); } toast(T.copied); });
  return html`<${Page} title=${W.one} about=${id} actions=${html`<${Link} class="button" to="requests">${W.back}<//>${asked.data && html`<${Button} onClick=${() => copy(asked.data)}>${W.curl}<//><${Button} onClick=${() => replay(asked.data)}>${W.replay}<//>`}`}>
    <${Asked} of=${asked}>${(row) => html`
      <${Stats} items=${[{ label: W.status, value: row.status, note: row.error, tone: toneOf(row.status) }, { label: W.duration, value: ms(row.seconds * 1000) }, { label: W.first, value: first(row) }, { label: W.tokens, value: tokens(row), note: row.cached_tokens ? `${count(row.cached_tokens)} cached` : null }, { label: W.cost, value: usd(row.cost_usd), note: row.saved_usd > 0 ? `${usd(row.saved_usd)} saved` : null }]} />
      ${row.message && html`<${Notice} tone="bad">${row.message}<//>`}
      <div class="split"><div class="stack">
        <${Card} title=${W.timeline}><${Timeline} row=${row} /><//>
        ${row.parts?.length > 0 && html`<${Card} title=${W.parts} flush><${Table} label=${W.parts} rows=${row.parts} keyed=${(part) => part.id} columns=${COLUMNS.filter((_, n) => [0, 1, 2, 3, 7, 9].includes(n))} /><//>`}
        ${row.decision && Object.keys(row.decision).length > 0 && html`<${Card} title=${W.decision}><${Decision} told=${row.decision} past /><//>`}
        ${row.guards?.length > 0 && html`<${Card} title=${W.guards} flush><${Table} label=${W.guards} rows=${row.guards} keyed=${(one, n) => n} columns=${[{ name: W.guard, of: (one) => html`<b class="wrap">${one.guard ?? one.name ?? ""}</b>` }, { name: W.action, of: (one) => html`<${Badge} tone=${one.action === "block" ? "bad" : "info"}>${one.action}<//>` }, { name: W.place, of: (one) => String(one.place ?? "") }, { name: W.found, of: (one) => html`<span class="wrap">${text(one.kinds) ?? ""}</span>` }]} /><//>`}
        <${Card} title=${W.content}>${row.asked == null && row.answered == null ? html`<p class="faint">${W.noContent}</p>` : html`<div class="stack"><h3>${W.askedText}</h3><${Data} value=${text(row.asked) ?? ""} label=${W.askedText} /><h3>${W.answeredText}</h3><${Data} value=${text(row.answered) ?? ""} label=${W.answeredText} /></div>`}<//>
      </div><div class="stack">
        <${Card} title=${W.facts}><${Facts} of=${about(row)} /><//>
        ${row.provider && html`<${Feedback} row=${row} />`}
      </div></div>`}<//><//>`;
}

function Session({ id }) {
  const asked = useAsk((signal) => get("router", path("admin", "sessions", id), signal), [id], 5000);
  return html`<${Page} title=${W.session} about=${id} actions=${html`<${Link} class="button" to="requests">${W.back}<//>`}><${Asked} of=${asked}>${(data) => {
    const rows = [...data.data].sort((a, b) => a.started - b.started), began = Math.min(...rows.map((row) => row.started)), whole = Math.max(1, (Math.max(...rows.map((row) => row.ended)) - began) * 1000);
    return html`
    ${data.truncated && html`<${Notice} tone="info">${W.truncated}<//>`}
    <${Stats} items=${[{ label: T.pages.requests, value: count(data.requests) }, { label: W.failed, value: count(data.errors), tone: data.errors ? "bad" : "" }, { label: W.duration, value: ms(whole) }, { label: W.tokens, value: `${count(data.input_tokens)} → ${count(data.output_tokens)}` }, { label: W.cost, value: usd(data.cost_usd) }]} />
    <${Card} title=${W.timeline}><${Lanes} whole=${whole} bars=${rows.slice(0, 300).map((row) => ({ name: row.served_model || row.endpoint, about: row.role, to: `requests/${row.id}`, from: (row.started - began) * 1000, took: row.seconds * 1000, tone: row.status < 400 ? "good" : "bad", note: row.error }))} /><//>
    <${Card} title=${W.parts} flush><${Table} label=${W.parts} rows=${rows} keyed=${(row) => row.id} columns=${COLUMNS} /><//>`; }}<//><//>`;
}

export default function Requests({ at, with: given }) {
  if (at[0] === "session" && at[1]) return html`<${Session} key=${at[1]} id=${at[1]} />`;
  return at[0] ? html`<${One} key=${at[0]} id=${at[0]} />` : html`<${List} given=${given} />`;
}
