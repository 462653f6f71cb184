// What the installation does now, and how to send it the first request.
import { html, Asked, Badge, Card, Empty, Failed, Link, Notice, Page, Snippet, Stats, Table, Waiting, ago, count, minutesEast, moment, ms, percent, span, status, toneOf, useAsk, useMemo, usd } from "../ui.js";
import { get, query } from "../api.js";
import { Chart } from "../chart.js";
import { T } from "../strings.js";

const W = T.overview;
const quiet = (promise, none = null) => promise.catch(() => none);

function FirstRun({ who, counted, arrived, offline }) {
  const base = location.origin;
  const key = who.keys ? "$YOUR_KEY" : "unused";
  const curl = `curl ${base}/v1/chat/completions \\\n  -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\\n  -d '{"model": "auto", "messages": [{"role": "user", "content": "Coal is black. Grass is green. What is green?"}]}'`;
  const python = `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${key}")\nprint(client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}]).choices[0].message.content)`;
  return html`<${Card} title=${W.start} actions=${!counted ? null : arrived ? html`<${Badge} tone="good">${W.arrived}<//>` : html`<span role="status"><${Badge} tone="info">${W.waiting}<//></span>`}><div class="stack">
    ${offline && html`<${Notice} tone="warn">${W.offline}<//>`}
    <p class="soft">${counted ? W.startAbout : W.startPlain}</p>
    <div class="grid"><${Snippet} text=${curl} label="curl" /><${Snippet} text=${python} label="Python" /></div>
    <div class="row">${who.may("admin:keys:write") && html`<${Link} class="button" to="keys">${W.makeKey}<//>`}<${Link} class="button" to="playground">${T.pages.playground}<//></div>
  </div><//>`;
}

/** Requests and errors of the last seven days of this browser's calendar, each day a bar. */
function weekOf(rows) {
  if (!rows.length) return { x: [], series: [] };
  const known = new Map(rows.map((row) => [row.day, row])), midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const days = Array.from({ length: 7 }, (_, back) => { const one = new Date(midnight); one.setDate(one.getDate() - 6 + back); return one; });
  const name = (one) => `${one.getFullYear()}-${String(one.getMonth() + 1).padStart(2, "0")}-${String(one.getDate()).padStart(2, "0")}`;
  const of = (key) => days.map((one) => known.get(name(one))?.[key] ?? 0);
  return { x: days.map((one) => one.getTime() / 1000), series: [{ name: T.usage.requests, values: of("requests") }, { name: T.usage.errors, values: of("errors"), hue: "--bad" }] };
}

/** What is not well, each reason once with the roles that tell it. */
function unwell(health) {
  const found = new Map();
  for (const [role, told] of Object.entries(health)) {
    const parts = told.missing ? [["", { status: "unhealthy", reason: W.silent }]] : Object.entries(told.parts).filter(([, part]) => part.status !== "healthy" && !part.reason?.includes("offline"));
    for (const [name, part] of parts) {
      const key = `${name} ${part.status} ${part.reason}`;
      if (!found.has(key)) found.set(key, { name, part, roles: [] });
      found.get(key).roles.push(told.role ?? role);
    }
  }
  return [...found].map(([key, { name, part, roles }]) => html`<${Notice} key=${key} tone=${status(part.status)}><b>${roles.join(", ")}${name && ` · ${name}`}</b> ${part.reason}<//>`);
}

const Roles = ({ health, who }) => html`<${Card} title=${W.roles} flush><${Asked} of=${health} lines=${3}>${(data) => html`<${Table} label=${W.roles} rows=${Object.entries(data)} keyed=${([role]) => role} columns=${[
  { name: W.role, of: ([role, told]) => html`<b>${told.role ?? role}</b>${who.roles[role] === "remote" && html` <span class="faint small">${W.another}</span>`}` },
  { name: W.health, of: ([, told]) => html`<${Badge} tone=${told.draining ? "warn" : status(told.status)}>${told.draining ? "draining" : told.status}<//>` },
  { name: W.up, num: true, of: ([, told]) => told.uptime_seconds ? span(told.uptime_seconds) : "–" },
  { name: W.parts, of: ([, told]) => html`<div class="row">${Object.entries(told.parts ?? {}).map(([name, part]) => html`<${Badge} key=${name} tone=${status(part.status)} title=${part.reason}>${name}<//>`)}</div>` },
]} />`}<//><//>`;

const Providers = ({ targets }) => html`<${Card} title=${W.providers} flush actions=${html`<${Link} class="button small" to="models">${T.all}<//>`}><${Asked} of=${targets} lines=${3}>${({ data }) => html`<${Table} label=${W.providers} rows=${[...data].sort((a, b) => (a.circuit === "closed") - (b.circuit === "closed")).slice(0, 8)} keyed=${(row) => row.id} empty=${html`<${Empty} title=${W.unasked}><p>${W.unaskedAbout}</p><//>`} columns=${[
  { name: W.target, of: (row) => html`<b class="wrap">${row.id}</b>` }, { name: T.models.circuit, of: (row) => html`<${Badge} tone=${status(row.circuit)}>${row.circuit}<//>` },
  { name: T.models.latency, num: true, of: (row) => ms(row.latency_ms) }, { name: T.models.calls, num: true, of: (row) => count(row.calls) },
]} />`}<//><//>`;

const Latest = ({ rows }) => html`<${Card} title=${W.latest} flush actions=${html`<${Link} class="button small" to="requests">${T.all}<//>`}><${Table} label=${W.latest} rows=${rows} keyed=${(row) => row.id} columns=${[
  { name: T.requests.time, of: (row) => html`<${Link} class="nowrap" title=${moment(row.ended)} to=${`requests/${row.id}`}>${ago(row.ended)}<//>` }, { name: T.requests.model, of: (row) => html`<b class="wrap">${row.served_model || row.model || row.endpoint}</b>` },
  { name: T.requests.status, of: (row) => html`<${Badge} tone=${toneOf(row.status)}>${row.status}<//>` }, { name: T.requests.duration, num: true, of: (row) => ms(row.seconds * 1000) }, { name: T.requests.cost, num: true, of: (row) => usd(row.cost_usd) },
]} /><//>`;

export default function Overview({ who }) {
  const health = useAsk(async (signal) => Object.fromEntries(await Promise.all(Object.keys(who.roles).map(async (role) => [role, await quiet(get(role, "/health", signal), { status: "unhealthy", parts: {}, missing: true })]))), [], 5000);
  const counted = who.offers.includes("/admin/usage") && who.may("records:read");
  const use = useAsk(async (signal) => {
    if (!counted) return { total: null, week: null, latest: [] };
    const usage = (by, days) => get("router", "/admin/usage" + query({ by, days, zone: minutesEast() }), signal);
    const [today, week, latest] = await Promise.all([usage("provider", 1), usage("day", 7), get("router", "/admin/requests?limit=6&models_only=1", signal)]);
    return { total: today.total, week, latest: latest.data };
  }, [counted], 5000);
  const targets = useAsk((signal) => who.may("admin:targets:read") ? get("router", "/admin/targets", signal) : { data: [] }, [], 5000);
  const { total, week, latest = [] } = use.data ?? {};
  const weekly = useMemo(() => weekOf(week?.data ?? []), [JSON.stringify(week?.data)]);
  const parts = Object.entries(health.data?.router?.parts ?? {});
  const offline = parts.some(([name, part]) => name === "providers" && part.reason?.includes("offline"));
  const sec = (value) => value == null ? "–" : ms(value * 1000);
  const seven = (value) => week ? `${value} ${W.inWeek}` : null;
  const recordOff = use.error?.status === 404;
  return html`<${Page} title=${T.pages[""]} about=${W.about}>
    ${health.data && unwell(health.data)}
    ${use.error && (recordOff ? html`<${Notice} tone="info">${T.requests.off}<//>` : html`<${Failed} error=${use.error} again=${use.again} />`)}
    ${(use.data || recordOff) && (!week?.total.requests || offline) && html`<${FirstRun} who=${who} counted=${counted} arrived=${latest.length > 0} offline=${offline} />`}
    ${total && html`<${Stats} items=${[
      { label: W.requests, value: count(total.requests), note: seven(count(week.total.requests)) },
      { label: W.errors, value: total.requests ? percent(total.error_rate) : "–", note: seven(week.total.requests ? percent(week.total.error_rate) : "–"), tone: total.error_rate > .05 ? "bad" : "" },
      { label: W.latency, value: sec(total.requests ? total.p50 : null), note: total.requests ? `p95 ${sec(total.p95)}` : null },
      { label: W.ttft, value: sec(total.first_token_p50), note: total.first_token_p95 != null ? `p95 ${sec(total.first_token_p95)}` : null },
      { label: W.tokens, value: count(total.input_tokens + total.output_tokens), note: seven(count(week.total.input_tokens + week.total.output_tokens)) },
      { label: W.cost, value: usd(total.cost_usd), note: seven(usd(week.total.cost_usd)) },
      ...(week.total.saved_usd > 0 ? [{ label: W.saved, value: usd(total.saved_usd), note: seven(usd(week.total.saved_usd)) }] : []),
    ]} />`}
    ${use.loading && html`<${Waiting} lines=${2} />`}
    <div class="grid" style=${{ "--least": "420px" }}>
      ${weekly.x.length > 0 && html`<${Card} title=${W.week}><${Chart} x=${weekly.x} series=${weekly.series} format=${count} kind="bars" label=${W.week} /><//>`}
      <${Roles} health=${health} who=${who} />
      ${who.may("admin:targets:read") && html`<${Providers} targets=${targets} />`}
      ${latest.length > 0 && html`<${Latest} rows=${latest} />`}
    </div>
  <//>`;
}
