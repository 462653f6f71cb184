import { html, Asked, Button, Card, Choice, Empty, Field, Page, Stats, Table, count, ms, percent, useAsk, useMemo, useState, usd } from "../ui.js";
import { get, query } from "../api.js";
import { Chart } from "../chart.js";
import { T } from "../strings.js";

const W = T.usage;
const BY = ["model", "provider", "key", "team", "user", "tag", "session", "endpoint"];
const name = (row, by) => String(row[by] ?? "") || "–";
const sec = (value) => value == null ? "–" : ms(value * 1000);

function csv(rows, by) {
  const columns = [by, "requests", "errors", "input_tokens", "output_tokens", "cost_usd", "saved_usd", "p50", "p95", "p99"];
  const cell = (value) => { const text = String(value ?? ""); return /[",\n]|^[=+\-@]/.test(text) ? `"${(/^[=+\-@]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"` : text; };
  const text = [columns.join(","), ...rows.map((row) => columns.map((column) => cell(column === by ? name(row, by) : row[column])).join(","))].join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" })); link.download = `usage-${by}.csv`; link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export default function Usage() {
  const [by, group] = useState("model");
  const [days, since] = useState("7");
  const [shown, choose] = useState("cost_usd");
  const asked = useAsk(async (signal) => {
    const [rows, over] = await Promise.all([get("router", "/admin/usage" + query({ by, days }), signal), get("router", "/admin/usage" + query({ by: Number(days) > 2 ? "day" : "hour", days }), signal)]);
    return { rows: rows.data, total: rows.total, over: [...over.data].sort((a, b) => name(a, "day") < name(b, "day") ? -1 : 1) };
  }, [by, days]);
  const chart = useMemo(() => {
    const over = asked.data?.over ?? [];
    const time = (row) => { const text = name(row, Number(days) > 2 ? "day" : "hour"); return Date.parse(text.length === 13 ? text + ":00:00Z" : text) / 1000; };
    const pick = { cost_usd: [["cost_usd", W.cost], ["saved_usd", W.saved]], requests: [["requests", W.requests], ["errors", W.errors]], tokens: [["input_tokens", W.input], ["output_tokens", W.output]] }[shown];
    return { x: over.map(time), series: pick.map(([key, label]) => ({ name: label, values: over.map((row) => row[key] ?? 0) })) };
  }, [asked.data, shown]);
  const sum = (key) => asked.data?.total[key] ?? 0;
  return html`<${Page} title=${T.pages.usage} about=${W.about} actions=${html`<${Button} disabled=${!asked.data} onClick=${() => csv(asked.data.rows, by)}>${T.export} CSV<//>`}>
    <div class="filters"><${Field} label=${W.by}><${Choice} value=${by} set=${group} options=${BY} /><//><${Field} label=${W.days}><${Choice} value=${days} set=${since} options=${[["1", "1"], ["7", "7"], ["30", "30"], ["90", "90"]]} /><//><${Field} label="Chart"><${Choice} value=${shown} set=${choose} options=${[["cost_usd", W.cost], ["requests", W.requests], ["tokens", "Tokens"]]} /><//></div>
    <${Asked} of=${asked}>${(data) => html`
      <${Stats} items=${[{ label: W.requests, value: count(sum("requests")) }, { label: W.errors, value: sum("requests") ? percent(sum("errors") / sum("requests")) : "–" }, { label: "Tokens", value: count(sum("input_tokens") + sum("output_tokens")) }, { label: W.cost, value: usd(sum("cost_usd")) }, { label: W.saved, value: usd(sum("saved_usd")) }]} />
      ${chart.x.length > 0 && html`<${Card} label="Chart"><${Chart} ...${chart} kind="bars" format=${shown === "cost_usd" ? usd : count} label=${W.by} /><//>`}
      <${Card} flush label=${T.pages.usage}><${Table} label=${T.pages.usage} rows=${data.rows} keyed=${(row) => name(row, by)} empty=${html`<${Empty} title=${T.nothing} />`} columns=${[
        { name: by, sort: (row) => name(row, by), of: (row) => html`<b class="wrap">${name(row, by)}</b>` },
        ...[["requests", W.requests, count], ["errors", W.errors, count], ["input_tokens", W.input, count], ["output_tokens", W.output, count], ["cost_usd", W.cost, usd], ["saved_usd", W.saved, usd], ["p50", W.p50, sec], ["p95", W.p95, sec], ["p99", W.p99, sec]].map(([key, label, say]) => ({ name: label, num: true, sort: (row) => row[key] ?? 0, of: (row) => say(row[key]) })),
      ]} /><//>`}<//><//>`;
}
