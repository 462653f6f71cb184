// The pieces that pages are made of.
import { html, useState, useEffect, useRef, useCallback, useMemo } from "./lib/preact.js";
import { T } from "./strings.js";

export { html, useState, useEffect, useRef, useCallback, useMemo };

// ---- where we are: paths below /console, without a reload ------------------------------------------------------

const moved = new EventTarget();
export const here = () => location.pathname.replace(/^\/console\/?/, "").replace(/\/$/, "");
export const parameters = () => Object.fromEntries(new URLSearchParams(location.search));
export function go(to, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", "/console" + (to ? "/" + to.replace(/^\//, "") : ""));
  moved.dispatchEvent(new Event("moved"));
}
window.addEventListener("popstate", () => moved.dispatchEvent(new Event("moved")));
export function usePlace() {
  const [place, set] = useState(() => ({ at: here(), with: parameters() }));
  useEffect(() => {
    const heard = () => set({ at: here(), with: parameters() });
    moved.addEventListener("moved", heard);
    return () => moved.removeEventListener("moved", heard);
  }, []);
  return place;
}
export function Link({ to, children, ...more }) {
  const follow = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${"/console" + (to ? "/" + to : "")} onClick=${follow} ...${more}>${children}</a>`;
}

// ---- asking ----------------------------------------------------------------------------------------------------

/** `{data, error, loading, again}` of an async function of an AbortSignal, asked anew when `on` changes and every `every` ms. */
export function useAsk(fetcher, on = [], every = 0) {
  const [state, set] = useState({ data: null, error: null, loading: true });
  const [round, bump] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const ask = async () => {
      try {
        const data = await fetcher(stop.signal);
        if (!stop.signal.aborted) set({ data, error: null, loading: false });
      } catch (error) {
        if (!stop.signal.aborted) set((was) => ({ data: was.data, error, loading: false }));
      }
      if (every && !stop.signal.aborted) timer = setTimeout(ask, document.hidden ? every * 5 : every);
    };
    ask();
    return () => { stop.abort(); clearTimeout(timer); };
  }, [...on, round]);
  return { ...state, again: useCallback(() => bump((n) => n + 1), []) };
}

/** A function run by a button: `[run, busy]`; a failure becomes a toast. */
export function useAct(act) {
  const [busy, set] = useState(false);
  const run = async (...args) => {
    set(true);
    try { return await act(...args); } catch (error) { toast(error.message, "bad"); return undefined; } finally { set(false); }
  };
  return [run, busy];
}

// ---- words about numbers ---------------------------------------------------------------------------------------

const number = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const count = (value) => value == null ? "–" : Math.abs(value) >= 100000 ? compact.format(value) : number.format(value);
export const usd = (value) => value == null ? "–" : value === 0 ? "$0" : Math.abs(value) >= 1 ? "$" + value.toFixed(2) : "$" + Number(value.toPrecision(3)).toFixed(Math.min(8, Math.max(2, 2 - Math.floor(Math.log10(Math.abs(value))))));
export const percent = (value, digits = 1) => value == null || Number.isNaN(value) ? "–" : (value * 100).toFixed(digits) + " %";
export const ms = (value) => value == null ? "–" : value >= 60000 ? (value / 60000).toFixed(1) + " min" : value >= 10000 ? (value / 1000).toFixed(1) + " s" : value >= 1000 ? (value / 1000).toFixed(2) + " s" : value >= 10 ? Math.round(value) + " ms" : value.toFixed(1) + " ms";
export const bytes = (value) => value == null ? "–" : value < 1024 ? value + " B" : value < 1048576 ? (value / 1024).toFixed(1) + " kB" : value < 1073741824 ? (value / 1048576).toFixed(1) + " MB" : (value / 1073741824).toFixed(2) + " GB";
// Times are the browser's own; the zone is named once a page (`zone`) and in every full date's title.
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
export const minutesEast = () => -new Date().getTimezoneOffset();
export const date = (seconds) => seconds ? new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "–";
export const moment = (seconds) => seconds ? new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "long" }) : "–";
export const day = (seconds) => new Date(seconds * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
export const clock = (seconds) => seconds ? new Date(seconds * 1000).toLocaleTimeString("en-GB") : "–";
export function ago(seconds) {
  if (!seconds) return "–";
  const past = Date.now() / 1000 - seconds;
  if (past < 0) return "in " + span(-past);
  return past < 5 ? "now" : span(past) + " ago";
}
export const span = (s) => s < 90 ? Math.round(s) + " s" : s < 5400 ? Math.round(s / 60) + " min" : s < 172800 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " days";

// ---- pieces ----------------------------------------------------------------------------------------------------

export function Page({ title, about, actions, children }) {
  useEffect(() => { document.title = `${title} · IntelliRouter`; }, [title]);
  return html`<div class="stack">
    <div class="head"><div><h1>${title}</h1>${about && html`<p>${about}</p>`}</div><div class="row">${actions}</div></div>
    ${children}
  </div>`;
}
export const Card = ({ title, actions, flush, children, label, kind = "" }) => html`<section class=${"card " + kind} aria-label=${label ?? title}>
  ${(title || actions) && html`<header><h2>${title}</h2>${actions && html`<div class="row">${actions}</div>`}</header>`}
  <div class=${"body" + (flush ? " flush" : "")}>${children}</div>
</section>`;
export const Stats = ({ items }) => html`<dl class="stats">${items.map(({ label, value, note, tone }) => html`
  <div class="stat" key=${label}><dt>${label}</dt><dd class=${tone ?? ""}>${value}${note && html`<div class="note">${note}</div>`}</dd></div>`)}</dl>`;
/** How bad a status of HTTP is: a client's mistake is not the installation's. */
export const toneOf = (code) => code < 400 ? "good" : code < 500 ? "warn" : "bad";
export const Badge = ({ tone = "", children, title }) => html`<span class=${"badge " + tone} title=${title}>${children}</span>`;
export const Button = ({ kind = "", busy, children, ...more }) => html`<button type="button" class=${"button " + kind} disabled=${busy || more.disabled} aria-busy=${busy ? "true" : undefined} ...${more}>${children}</button>`;
let fields = 0;
/** A control with its label; a note is told with it. */
export function Field({ label, note, wide, children }) {
  const [id] = useState(() => `field-${++fields}`);
  const control = Array.isArray(children) ? children.find((one) => one?.props) : children;
  control.props = { ...control.props, id, ...(note && { "aria-describedby": `${id}-note` }) };
  return html`<div class=${"field" + (wide ? " wide" : "")}><label for=${id}>${label}</label>${children}${note && html`<small id=${id + "-note"}>${note}</small>`}</div>`;
}
export const Text = ({ value, set, ...more }) => html`<input value=${value ?? ""} onInput=${(event) => set(event.target.value)} ...${more} />`;
export const Choice = ({ value, set, options, ...more }) => html`<select value=${value ?? ""} onChange=${(event) => set(event.target.value)} ...${more}>
  ${options.map((option) => { const [key, name] = Array.isArray(option) ? option : [option, option]; return html`<option key=${key} value=${key} selected=${key === (value ?? "")}>${name}</option>`; })}
</select>`;
export const Check = ({ label, value, set }) => html`<label class="check"><input type="checkbox" checked=${!!value} onChange=${(event) => set(event.target.checked)} /><span>${label}</span></label>`;
export const Tabs = ({ value, set, options, label }) => html`<div class="tabs" role="group" aria-label=${label}>
  ${options.map(([key, name]) => html`<button type="button" key=${key} aria-pressed=${String(key === value)} onClick=${() => set(key)}>${name}</button>`)}</div>`;
/** Words with commands between backticks, as such. */
export const coded = (text) => String(text).split("`").map((part, n) => n % 2 ? html`<code>${part}</code>` : part);
export const Empty = ({ title, children, action }) => html`<div class="empty"><b>${title}</b>${children}${action}</div>`;
export const Notice = ({ tone = "", children, action }) => html`<div class=${"notice " + tone} role=${tone === "bad" ? "alert" : "status"}><div class="grow">${children}</div>${action}</div>`;
export const Failed = ({ error, again }) => html`<${Notice} tone="bad" action=${again && html`<${Button} kind="small" onClick=${again}>${T.again}<//>`}>${coded(error.message)}<//>`;
export function Waiting({ lines = 4 }) {
  const [slow, tell] = useState(false);
  useEffect(() => { const timer = setTimeout(() => tell(true), 5000); return () => clearTimeout(timer); }, []);
  return html`<div class="stack tight" role="status" aria-label=${T.loading}>${Array.from({ length: lines }, (_, n) => html`<div key=${n} class="skeleton" style=${{ width: `${92 - n * 13}%` }}></div>`)}${slow && html`<p class="faint small">${T.slow}</p>`}</div>`;
}

/** Why a page is not shown, and what would show it. */
export const NotPermitted = ({ who, needs }) => html`<${Notice} tone="info"><div class="stack tight"><span>${T.notPermitted} <code>${needs}</code>.</span>${!who.keys && html`<span>${T.setupHint}</span><${Snippet} text="intellirouter console" label=${T.command} />`}</div><//>`;

/** What was asked: waiting, failed, or `children(data)`. Old data stays while a new answer fails. */
export function Asked({ of, children, lines }) {
  if (of.data == null && of.error) return html`<${Failed} error=${of.error} again=${of.again} />`;
  if (of.data == null) return html`<${Waiting} lines=${lines} />`;
  return html`${of.error && html`<${Failed} error=${of.error} again=${of.again} />`}${children(of.data)}`;
}

/** `columns`: {name, of, num?, sort?}. `rows` plain data, `keyed` gives each its key. */
export function Table({ columns, rows, keyed, empty, label, newest }) {
  const [order, set] = useState(null);
  const shown = useMemo(() => {
    if (!order) return rows;
    const by = columns[order.at].sort;
    return [...rows].sort((a, b) => { const x = by(a), y = by(b); return (x < y ? -1 : x > y ? 1 : 0) * (order.down ? -1 : 1); });
  }, [rows, order]);
  if (!rows.length) return empty ?? html`<${Empty} title=${T.nothing} />`;
  const turn = (at, column) => set(order?.at === at && order.down !== !!column.num ? null : { at, down: order?.at === at ? !order.down : !!column.num });
  // On a narrow window rows are drawn as cards (console.css): the roles keep a table what it is, the labels name each cell.
  return html`<div class="table" tabindex="0" role="region" aria-label=${label}><table role="table">
    <thead role="rowgroup"><tr role="row">${columns.map((column, at) => html`<th key=${at} scope="col" role="columnheader" class=${column.num ? "num" : ""} aria-sort=${order?.at === at ? (order.down ? "descending" : "ascending") : undefined}>
      ${column.sort ? html`<button type="button" class="sort" onClick=${() => turn(at, column)}>${column.name}<span aria-hidden="true">${order?.at === at ? (order.down ? " ↓" : " ↑") : ""}</span></button>` : column.name ?? html`<span class="visually-hidden">${T.actions}</span>`}
    </th>`)}</tr></thead>
    <tbody role="rowgroup">${shown.map((row, n) => { const key = keyed(row, n); return html`<tr key=${key} role="row" class=${newest?.has(key) ? "new" : ""}>${columns.map((column, at) => html`<td key=${at} role="cell" data-label=${column.name} class=${column.num ? "num" : column.kind ?? ""}>${column.of(row, n)}</td>`)}</tr>`; })}</tbody>
  </table></div>`;
}

export function Dialog({ title, close, children, actions, kind = "" }) {
  const at = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    at.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${at} class=${kind} aria-label=${title} onCancel=${(event) => { event.preventDefault(); close(); }} onClick=${(event) => event.target === at.current && close()}>
    <header><h2>${title}</h2><${Button} kind="quiet small" aria-label=${T.close} onClick=${close}>✕<//></header>
    <div class="body">${children}</div>
    ${actions && html`<footer>${actions}</footer>`}
  </dialog>`;
}
/** A question before something that cannot be taken back: `const [ask, question] = useConfirm()`. */
export function useConfirm() {
  const [open, set] = useState(null);
  const ask = (title, text, yes) => new Promise((answer) => set({ title, text, yes, answer }));
  const end = (value) => { open.answer(value); set(null); };
  const question = open && html`<${Dialog} title=${open.title} close=${() => end(false)} actions=${html`<${Button} onClick=${() => end(false)}>${T.cancel}<//><${Button} kind="danger" onClick=${() => end(true)}>${open.yes}<//>`}><p>${open.text}</p><//>`;
  return [ask, question];
}

const toasts = new EventTarget();
export const toast = (text, tone = "good") => toasts.dispatchEvent(new CustomEvent("toast", { detail: { text, tone, id: Math.random() } }));
export function Toasts() {
  const [list, set] = useState([]);
  useEffect(() => {
    const heard = ({ detail }) => { set((was) => [...was.slice(-3), detail]); setTimeout(() => set((was) => was.filter((one) => one.id !== detail.id)), detail.tone === "bad" ? 9000 : 4500); };
    toasts.addEventListener("toast", heard);
    return () => toasts.removeEventListener("toast", heard);
  }, []);
  return html`<div class="toasts" aria-live="polite">${list.map((one) => html`<div key=${one.id} class=${"notice " + one.tone}>${coded(one.text)}</div>`)}</div>`;
}

export function Snippet({ text, label }) {
  const copy = async () => { try { await navigator.clipboard.writeText(text); toast(T.copied); } catch { toast(T.notCopied, "warn"); } };
  return html`<div class="snippet"><pre tabindex="0" aria-label=${label}>${text}</pre><${Button} kind="small" onClick=${copy}>${T.copy}<//></div>`;
}
export const Data = ({ value, label }) => html`<pre tabindex="0" aria-label=${label ?? "JSON"}>${typeof value === "string" ? value : JSON.stringify(value, null, 2)}</pre>`;
export const Facts = ({ of }) => html`<dl class="facts">${of.filter(([, value]) => value !== undefined && value !== null && value !== false && value !== "").map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
/** A share of a limit, warm where it is nearly used up; `plain`: a score, where more is not worse. */
export const Bar = ({ share, label, plain }) => html`<div class=${"bar" + (plain ? "" : share >= 1 ? " bad" : share >= .8 ? " warn" : "")} role="img" aria-label=${label ?? percent(share, 0)}><i style=${{ width: `${Math.min(100, Math.max(0, share * 100))}%` }}></i></div>`;
export const status = (word) => ({ healthy: "good", ok: "good", live: "good", closed: "good", ready: "good", succeeded: "good", success: "good", completed: "good", degraded: "warn", waiting: "warn", queued: "info", running: "info", pending: "info", in_progress: "info", "half-open": "warn", half_open: "warn", warning: "warn", expired: "warn", unhealthy: "bad", open: "bad", failed: "bad", error: "bad", revoked: "bad", cancelled: "", timeout: "bad", problem: "bad" }[word] ?? "");
