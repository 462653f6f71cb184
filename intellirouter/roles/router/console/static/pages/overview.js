import { html, Asked, Badge, Button, Card, Link, Notice, Page, Snippet, Stats, Table, ago, count, ms, percent, status, useAsk, useMemo, usd } from "../ui.js";
import { get, query } from "../api.js";
import { Chart } from "../chart.js";
import { T } from "../strings.js";

const W = T.overview;
const quiet = (promise, none = null) => promise.catch(() => none);

function FirstRun({ who, arrived, offline }) {
  const base = location.origin;
  const key = who.keys ? "$YOUR_KEY" : "unused";
  const curl = `curl ${base}/v1/chat/completions \\\n  -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\\n  -d '{"model": "auto", "messages": [{"role": "user", "content": "Coal is black. Grass is green. What is green?"}]}'`;
  const python = `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${key}")\nprint(client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}]).choices[0].message.content)`;
  return html`<${Card} title=${W.start} actions=${arrived ? html`<${Badge} tone="good">${W.arrived}<//>` : html`<${Badge} tone="info">${W.waiting}<//>`}><div class="stack">
    ${offline && html`<${Notice} tone="warn">${W.offline}<//>`}
    <p class="soft">${W.startAbout}</p>
    <div class="grid"><${Snippet} text=${curl} label="curl" /><${Snippet} text=${python} label="Python" /></div>
    <div class="row">${who.admin && html`<${Link} class="button" to="keys">${W.makeKey}<//>`}<${Link} class="button" to="playground">${T.pages.playground}<//></div>
  </div><//>`;
}

export default function Overview({ who }) {
  const health = useAsk(async (signal) => Object.fromEntries(await Promise.all(Object.keys(who.roles).map(async (role) => [role, await quiet(get(role, "/health", signal), { status: "unhealthy", parts: {}, missing: true })]))), [], 5000);
  const use = useAsk(async (signal) => {
    const counted = who.admin && who.offers.includes("/admin/usage");
    const usage = counted ? (by, days) => quiet(get("router", "/admin/usage" + query({ by, days }), signal)) : () => null;
    const [today, week, latest] = await Promise.all([usage("provider", 1), usage("day", 7), counted ? quiet(get("router", "/admin/requests?limit=6&models_only=1", signal)) : null]);
    return { total: today?.total ?? null, week: week?.data ?? [], latest: latest?.data ?? [] };
  }, [who.admin], 5000);
  const targets = useAsk((signal) => who.admin ? get("router", "/admin/targets", signal) : { data: [] }, [who.admin], 5000);
  const total = use.data?.total;
  const weekly = useMemo(() => {
    const rows = [...(use.data?.week ?? [])].sort((a, b) => a.day < b.day ? -1 : 1);
    if (!rows.length) return { x: [], series: [] };
    const known = new Map(rows.map((row) => [row.day, row]));
    const days = Array.from({ length: 7 }, (_, back) => new Date(Date.now() - (6 - back) * 86400000).toISOString().slice(0, 10));
    const of = (key) => days.map((day) => known.get(day)?.[key] ?? 0);
    return { x: days.map((day) => Date.parse(day) / 1000), series: [{ name: T.usage.requests, values: of("requests") }, { name: T.usage.errors, values: of("errors") }] };
  }, [use.data]);
  const parts = Object.entries(health.data?.router?.parts ?? {});
  const offline = parts.some(([name, part]) => name === "providers" && part.reason?.includes("offline"));
  const sec = (value) => value == null ? "–" : ms(value * 1000);
  return html`<${Page} title=${T.pages[""]} about=${W.about}>
    ${health.data && Object.entries(health.data).flatMap(([role, told]) => told.missing ? [html`<${Notice} key=${role} tone="bad">${role}: does not answer.<//>`] : Object.entries(told.parts).filter(([, part]) => part.status !== "healthy" && !part.reason?.includes("offline")).map(([name, part]) => html`<${Notice} key=${role + name} tone=${status(part.status)}><b>${role} · ${name}</b> ${part.reason}<//>`))}
    ${use.data && (!total?.requests || offline) && html`<${FirstRun} who=${who} arrived=${use.data.latest.length > 0} offline=${offline} />`}
    ${total && html`<${Stats} items=${[
      { label: W.requests, value: count(total.requests) },
      { label: W.errors, value: total.requests ? percent(total.error_rate) : "–", tone: total.error_rate > .05 ? "bad" : "" },
      { label: W.latency, value: total.requests ? `${sec(total.p50)} / ${sec(total.p95)}` : "–" },
      { label: W.ttft, value: sec(total.first_token_p50) },
      { label: W.tokens, value: count(total.input_tokens + total.output_tokens) },
      { label: W.cost, value: usd(total.cost_usd), note: total.saved_usd > 0 ? `${usd(total.saved_usd)} ${W.saved.toLowerCase()}` : null },
    ]} />`}
    <div class="grid" style=${{ "--least": "420px" }}>
      ${weekly.x.length > 0 && html`<${Card} title=${W.week}><${Chart} x=${weekly.x} series=${weekly.series} format=${count} kind="bars" label=${W.week} /><//>`}
      <${Card} title=${W.roles} flush><${Asked} of=${health} lines=${3}>${(data) => html`<${Table} label=${W.roles} rows=${Object.entries(data)} keyed=${([role]) => role} columns=${[
        { name: "Role", of: ([role, told]) => html`<b>${told.role ?? role}</b> <span class="faint small">${who.roles[role] === "remote" ? "another node" : ""}</span>` },
        { name: W.health, of: ([, told]) => html`<${Badge} tone=${status(told.status)}>${told.draining ? "draining" : told.status}<//>` },
        { name: "Up", of: ([, told]) => html`<span class="nowrap">${told.uptime_seconds ? ago(Date.now() / 1000 - told.uptime_seconds).replace(" ago", "") : ""}</span>` },
        { name: "Parts", of: ([, told]) => html`<div class="row">${Object.entries(told.parts ?? {}).map(([name, part]) => html`<${Badge} key=${name} tone=${status(part.status)} title=${part.reason}>${name}<//>`)}</div>` },
      ]} />`}<//><//>
      ${who.admin && html`<${Card} title=${W.providers} flush><${Asked} of=${targets} lines=${3}>${(data) => data.data.length ? html`<${Table} label=${W.providers} rows=${data.data.slice(0, 12)} keyed=${(row) => row.id} columns=${[
        { name: "Target", of: (row) => html`<span class="wrap">${row.id}</span>` }, { name: T.models.circuit, of: (row) => html`<${Badge} tone=${status(row.circuit)}>${row.circuit}<//>` },
        { name: T.models.latency, num: true, of: (row) => ms(row.latency_ms) }, { name: T.models.calls, num: true, of: (row) => row.calls },
      ]} />` : html`<div class="empty">${T.models.unasked}</div>`}<//><//>`}
      ${use.data?.latest.length > 0 && html`<${Card} title=${T.pages.requests} flush actions=${html`<${Link} class="button small" to="requests">${T.all}<//>`}><${Table} label=${T.pages.requests} rows=${use.data.latest} keyed=${(row) => row.id} columns=${[
        { name: T.requests.time, of: (row) => html`<span class="nowrap">${ago(row.ended)}</span>` }, { name: T.requests.model, of: (row) => html`<${Link} class="wrap" to=${`requests/${row.id}`}>${row.served_model || row.model || row.endpoint}<//>` },
        { name: T.requests.status, of: (row) => html`<${Badge} tone=${row.status < 400 ? "good" : "bad"}>${row.status}<//>` }, { name: T.requests.duration, num: true, of: (row) => ms(row.seconds * 1000) }, { name: T.requests.cost, num: true, of: (row) => usd(row.cost_usd) },
      ]} /><//>`}
    </div>
  <//>`;
}
