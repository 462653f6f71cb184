// What was used, by whom, and what it cost: a chart over time and a table by whatever one asks for.
import { html, Asked, Button, Card, Choice, Empty, Field, Link, Page, Stats, Table, count, go, minutesEast, ms, percent, useAsk, useMemo, usd, zone } from "../ui.js";
import { get, query } from "../api.js";
import { Chart } from "../chart.js";
import { T } from "../strings.js";

const W = T.usage;
const BY = ["model", "provider", "key", "team", "user", "tag", "session", "endpoint"];
const FILTERS = new Set(["model", "provider", "key", "team", "user", "tag", "session"]); // what the list of requests can be narrowed by
const CHARTS = { cost_usd: [["cost_usd", W.cost], ["saved_usd", W.saved]], requests: [["requests", W.requests], ["errors", W.errors, "--bad"]], tokens: [["input_tokens", W.input], ["output_tokens", W.output]] };
const MOST = 200; // rows that are drawn; the export has all
const name = (row, by) => String(row[by] ?? "");
const sec = (value) => value == null ? "–" : ms(value * 1000);

function csv(rows, by) {
  const columns = [by, "requests", "errors", "input_tokens", "output_tokens", "cost_usd", "saved_usd", "p50", "p95", "p99"];
  const cell = (value) => { const text = String(value ?? ""); return /[",\r\n]|^[=+\-@\t]/.test(text) ? `"${(/^[=+\-@\t]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"` : text; };
  const text = [columns.join(","), ...rows.map((row) => columns.map((column) => cell(row[column])).join(","))].join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" })); link.download = `usage-${by}.csv`; link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Every hour or day of the time that was asked for, those without a request too: `{x, series}` of a chart. */
function overTime(rows, hourly, days, shown) {
  const at = (text) => { const [y, m, d, h = 0] = text.split(/[-T ]/).map(Number); return new Date(y, m - 1, d, h).getTime() / 1000; };
  const known = new Map(rows.map((row) => [at(name(row, hourly ? "hour" : "day").slice(0, 13)), row]));
  const x = [], now = new Date();
  if (hourly) now.setMinutes(0, 0, 0); else now.setHours(0, 0, 0, 0);
  for (let back = hourly ? days * 24 : days; back >= 0; back--) { const one = new Date(now); if (hourly) one.setHours(one.getHours() - back); else one.setDate(one.getDate() - back); x.push(one.getTime() / 1000); }
  return { x, series: CHARTS[shown].map(([key, label, hue]) => ({ name: label, hue, values: x.map((when) => known.get(when)?.[key] ?? 0) })) };
}

/** What is left of the configured budgets, the fullest first. */
function Budgets() {
  const asked = useAsk(async (signal) => {
    const told = await get("router", "/admin/budgets", signal);
    const share = (one) => one.limit ? one.used / one.limit : 1;
    return { ...told, data: told.data.map((one) => ({ ...one, share: share(one) })).sort((one, other) => other.share - one.share) };
  }, []);
  if (asked.data && !asked.data.data.length) return null; // nobody has one
  return html`<${Card} flush title=${W.budgets}><${Asked} of=${asked} lines=${2}>${(data) => html`<${Table} label=${W.budgets} rows=${data.data.slice(0, MOST)} keyed=${(one) => [one.kind, one.name, one.tenant, one.period].join(" ")} columns=${[
    { name: W.whose, sort: (one) => one.name, of: (one) => html`<${Link} class="wrap" to=${"requests" + query({ [one.kind]: one.name })}>${one.name}<//><div class="faint small wrap">${W.names[one.kind]}${one.tenant && ` · ${T.keys.tenant} ${one.tenant}`}</div>` },
    { name: W.period, of: (one) => html`${W.periods[one.period]}${one.resets_in != null && html`<div class="faint small">${W.resets} ${until(one.resets_in)}</div>`}` },
    { name: W.used, sort: (one) => one.share, of: (one) => html`<div class="bar ${one.share >= 1 ? "bad" : one.share >= .8 ? "warn" : ""}" role="meter" aria-label=${`${W.used} ${one.name}`} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.min(100, Math.round(one.share * 100))}><i style=${{ width: `${Math.min(100, one.share * 100)}%` }} /></div><span class="small">${percent(one.share)}</span>` },
    { name: W.left, num: true, sort: (one) => one.limit - one.used, of: (one) => html`${usd(Math.max(0, one.limit - one.used))}<div class="faint small">${W.ofLimit} ${usd(one.limit)}</div>` },
  ]} />${(data.truncated || data.data.length > MOST) && html`<p class="faint small" style=${{ padding: "10px 16px" }}>${W.moreBudgets}</p>`}`}<//><//>`;
}
const until = (seconds) => seconds >= 5400 ? `${Math.round(seconds / 3600)} h` : `${Math.max(1, Math.round(seconds / 60))} min`;

export default function Usage({ who, with: given }) {
  const by = BY.includes(given.by) ? given.by : "model", days = ["1", "7", "30", "90"].includes(given.days) ? given.days : "7", shown = CHARTS[given.chart] ? given.chart : "cost_usd";
  const choose = (key) => (value) => go("usage" + query({ by, days, chart: shown, [key]: value }), { replace: true });
  const hourly = Number(days) <= 2;
  const asked = useAsk(async (signal) => {
    const usage = (what) => get("router", "/admin/usage" + query({ by: what, days, zone: minutesEast() }), signal);
    const [rows, over] = await Promise.all([usage(by), usage(hourly ? "hour" : "day")]);
    return { by, rows: rows.data, total: rows.total, over: over.data, hourly, days: Number(days) };
  }, [by, days]);
  const chart = useMemo(() => asked.data && overTime(asked.data.over, asked.data.hourly, asked.data.days, shown), [asked.data, shown]);
  return html`<${Page} title=${T.pages.usage} about=${W.about} actions=${html`<${Button} disabled=${!asked.data?.rows.length} onClick=${() => csv(asked.data.rows, asked.data.by)}>${T.export} CSV<//>`}>
    <div class="filters"><${Field} label=${W.by}><${Choice} value=${by} set=${choose("by")} options=${BY.map((key) => [key, W.names[key]])} /><//><${Field} label=${W.days}><${Choice} value=${days} set=${choose("days")} options=${[["1", W.day], ["7", `7 ${W.daysWord}`], ["30", `30 ${W.daysWord}`], ["90", `90 ${W.daysWord}`]]} /><//><${Field} label=${W.chart}><${Choice} value=${shown} set=${choose("chart")} options=${[["cost_usd", W.cost], ["requests", W.requests], ["tokens", W.tokens]]} /><//></div>
    <${Asked} of=${asked}>${(data) => { const { total } = data; return total.requests ? html`
      <${Stats} items=${[{ label: W.requests, value: count(total.requests) }, { label: W.errors, value: percent(total.error_rate), note: `${count(total.errors)} ${W.requests.toLowerCase()}`, tone: total.error_rate > .05 ? "bad" : "" }, { label: W.tokens, value: count(total.input_tokens + total.output_tokens), note: `${count(total.input_tokens)} ${W.in}, ${count(total.output_tokens)} ${W.out}` }, { label: W.cost, value: usd(total.cost_usd) }, { label: W.saved, value: usd(total.saved_usd) }, { label: W.latency, value: sec(total.p50), note: `p95 ${sec(total.p95)}` }]} />
      <${Card} title=${`${W.titles[shown]} ${data.hourly ? W.perHour : W.perDay}`}><${Chart} ...${chart} kind=${shown === "requests" ? "bars" : "beside"} format=${shown === "cost_usd" ? usd : count} label=${W.titles[shown]} /><p class="faint small">${T.requests.zone} ${zone}</p><//>
      <${Card} flush title=${`${W.by} ${W.names[data.by].toLowerCase()}`}><${Table} label=${T.pages.usage} rows=${data.rows.slice(0, MOST)} keyed=${(row) => name(row, data.by)} columns=${[
        { name: W.names[data.by], sort: (row) => name(row, data.by), of: (row) => { const one = name(row, data.by); return one && FILTERS.has(data.by) ? html`<${Link} class="wrap" to=${"requests" + query({ [data.by]: one })}>${one}<//>` : html`<span class="wrap ${one ? "" : "faint"}">${one || W.nobody}</span>`; } },
        ...[["requests", W.requests, count], ["errors", W.errors, count], ["input_tokens", W.input, count], ["output_tokens", W.output, count], ["cost_usd", W.cost, usd], ["saved_usd", W.saved, usd], ["p50", W.p50, sec], ["p95", W.p95, sec], ["p99", W.p99, sec]].map(([key, label, say]) => ({ name: label, num: true, sort: (row) => row[key] ?? 0, of: (row) => say(row[key]) })),
      ]} />${data.rows.length > MOST && html`<p class="faint small" style=${{ padding: "10px 16px" }}>${count(data.rows.length - MOST)} ${W.moreInFile}</p>`}<//>` : html`<${Card}><${Empty} title=${W.none} action=${html`<${Link} class="button" to="playground">${T.requests.ask}<//>`}><p>${W.noneAbout}</p><//><//>`; }}<//>${who.may("admin:spend:read") && html`<${Budgets} />`}<//>`;
}
