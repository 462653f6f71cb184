// What is not as it should be: taken on, kept silent, and what became of it; the channels, tried.
import { html, Asked, Badge, Button, Card, Choice, Dialog, Empty, Field, Notice, Page, Table, Text, ago, count, moment, toast, useAct, useAsk, useState } from "../ui.js";
import { get, path, post, remove } from "../api.js";
import { T } from "../strings.js";

const W = T.alerts;
const TONES = { critical: "bad", warning: "warn" };
const WHATS = { fired: "bad", worse: "bad", better: "warn", recovered: "good", "not told": "bad", acknowledged: "info", silenced: "info", "silence ended": "info" };
const LASTING = [[1800, "30 min"], [7200, "2 h"], [28800, "8 h"], [86400, "1 d"], [604800, "7 d"]];
const at = (seconds) => html`<span class="nowrap" title=${moment(seconds)}>${ago(seconds)}</span>`;
const of = (row) => html`<b class="wrap">${row.title || row.rule}</b>${row.subject && html`<div class="small wrap">${row.subject}</div>`}${row.note && html`<div class="faint small wrap">${row.note}</div>`}`;

/** What is said with an acknowledgement or a silence, and of a silence for how long. */
function Ask({ row, kind, close, again }) {
  const [note, say] = useState("");
  const [seconds, last] = useState("7200");
  const [act, busy] = useAct(async (event) => {
    event?.preventDefault();
    if (kind === "ack") await post("router", path("admin", "alerts", row.id, "acknowledge"), { note });
    else await post("router", "/admin/alerts/silences", { rule: row.rule, subject: row.subject || "*", seconds: Number(seconds), note });
    toast(kind === "ack" ? W.acked : W.silenced);
    close();
    again();
  });
  const word = kind === "ack" ? W.ack : W.silence;
  return html`<${Dialog} title=${`${word}: ${row.title}`} close=${close} actions=${html`<${Button} onClick=${close}>${T.cancel}<//><${Button} kind="main" busy=${busy} onClick=${act}>${word}<//>`}><form class="stack" onSubmit=${act}>
    <p class="faint">${kind === "ack" ? W.ackAbout : W.silenceAbout}</p>
    ${kind === "silence" && html`<${Field} label=${W.lasting}><${Choice} value=${seconds} set=${last} options=${LASTING.map(([value, name]) => [String(value), name])} /><//>`}
    <${Field} label=${W.note}><${Text} value=${note} set=${say} maxlength="300" /><//></form><//>`;
}

function Standing({ row }) {
  if (row.status === "pending") return html`<${Badge} tone="info">${W.pending}<//>`;
  return html`${row.acknowledged ? html`<${Badge} tone="info">${W.takenOn} ${row.acknowledged.by}<//>${row.acknowledged.note && html`<div class="faint small wrap">${row.acknowledged.note}</div>`}` : html`<${Badge} tone=${TONES[row.severity]}>${W.firing}<//>`}${row.silenced_until && html`<div class="faint small">${W.silentUntil} ${moment(row.silenced_until)}</div>`}`;
}

function Channels({ rows, may }) {
  const [told, tell] = useState(null);
  const [test, busy] = useAct(async (channel) => tell((await post("router", "/admin/alerts/test", channel ? { channel } : {})).data));
  return html`<${Card} title=${W.channels} flush actions=${may && rows.length > 0 && html`<${Button} kind="small" busy=${busy} onClick=${() => test()}>${W.test}<//>`}>
    <${Table} label=${W.channels} rows=${rows} keyed=${(row) => row.name} empty=${html`<${Empty} title=${W.noChannel}><p>${W.noChannelAbout}</p><//>`} columns=${[
      { name: W.channel, of: (row) => html`<b>${row.name}</b><div class="faint small">${row.kind}</div>` },
      { name: W.hears, of: (row) => html`<span class="wrap">${row.severity === "critical" ? W.onlyCritical : W.everything}${row.rules.join() === "*" ? "" : ` · ${row.rules.join(", ")}`}</span>` },
      { name: W.waits, num: true, of: (row) => count(row.waiting) }, { name: W.trouble, of: (row) => html`<span class="wrap">${row.error || "–"}</span>` },
    ]} />
    ${told && html`<div class="stack" style=${{ padding: "12px 16px" }}>${told.map((one) => html`<${Notice} key=${one.channel} tone=${one.sent ? "good" : "bad"}><b>${one.channel}</b> ${one.sent ? W.sent : one.error}<//>`)}</div>`}<//>`;
}

const levels = (rule, severity) => rule.levels.filter((level) => level.severity === severity).map((level) => `${rule.below ? "≤" : "≥"} ${level.at}`).join(", ");
const Rules = ({ rows }) => html`<${Card} title=${W.rules} flush><details><summary style=${{ padding: "12px 16px" }}>${count(rows.length)} ${W.judged}</summary><${Table} label=${W.rules} rows=${rows} keyed=${(row) => row.name} columns=${[
  { name: W.rule, of: (row) => html`<b>${row.name}</b><div class="faint small">${row.title}</div>` }, { name: W.warning, of: (row) => levels(row, "warning") || "–" }, { name: W.critical, of: (row) => levels(row, "critical") || "–" },
  { name: W.unit, of: (row) => row.unit || "–" }, { name: W.lasts, of: (row) => row.for_seconds ? `${row.for_seconds} s` : W.atOnce },
]} /></details><//>`;

export default function Alerts({ who }) {
  const asked = useAsk(async (signal) => {
    const [now, past] = await Promise.all([get("router", "/admin/alerts", signal), get("router", "/admin/alerts/history?limit=100", signal)]);
    return { ...now, past: past.data };
  }, [], 6000);
  const [asking, ask] = useState(null);
  const [end] = useAct(async (silence) => { await remove("router", path("admin", "alerts", "silences", silence.id)); toast(W.ended); asked.again(); });
  const may = who.may("admin:alerts:write");
  return html`<${Page} title=${T.pages.alerts} about=${W.about}><${Asked} of=${asked}>${(data) => html`
    ${!data.enabled && html`<${Notice} tone="info"><b>${W.off}</b> ${W.offAbout}<//>`}
    ${(data.enabled || data.data.length > 0) && html`<${Card} title=${W.now} flush><${Table} label=${W.now} rows=${data.data} keyed=${(row) => row.rule + row.subject} empty=${html`<${Empty} title=${W.none}><p>${W.noneAbout}</p><//>`} columns=${[
      { name: W.severity, of: (row) => html`<${Badge} tone=${TONES[row.severity]}>${row.severity}<//>` }, { name: W.what, of }, { name: W.value, num: true, of: (row) => html`<span class="nowrap">${row.figure}</span>` },
      { name: W.since, of: (row) => at(row.fired ?? row.since) }, { name: W.standing, of: (row) => html`<${Standing} row=${row} />` }, { name: W.advice, of: (row) => html`<span class="faint small wrap">${row.advice}</span>` },
      ...(may ? [{ name: "", of: (row) => html`<div class="row">${row.status === "firing" && !row.acknowledged && html`<${Button} kind="small" onClick=${() => ask({ row, kind: "ack" })}>${W.ack}<//>`}${!row.silenced_until && html`<${Button} kind="small" onClick=${() => ask({ row, kind: "silence" })}>${W.silence}<//>`}</div>` }] : []),
    ]} /><//>`}
    ${data.silences.length > 0 && html`<${Card} title=${W.silences} flush><${Table} label=${W.silences} rows=${data.silences} keyed=${(one) => one.id} columns=${[
      { name: W.rule, of: (one) => html`<code>${one.rule}</code>` }, { name: W.subject, of: (one) => html`<span class="wrap">${one.subject}</span>` }, { name: W.until, of: (one) => moment(one.until) }, { name: W.by, of: (one) => html`<span class="wrap">${[one.by, one.note].filter(Boolean).join(": ")}</span>` },
      ...(may ? [{ name: "", of: (one) => html`<${Button} kind="small" onClick=${() => end(one)}>${W.end}<//>` }] : []),
    ]} /><//>`}
    ${data.enabled && html`<${Channels} rows=${data.channels} may=${may} />`}
    ${(data.enabled || data.past.length > 0) && html`<${Card} title=${W.history} flush><${Table} label=${W.history} rows=${data.past} keyed=${(row, n) => row.at + row.what + n} empty=${html`<${Empty} title=${W.nothingYet} />`} columns=${[
      { name: W.when, of: (row) => html`<span class="nowrap">${moment(row.at)}</span>` }, { name: W.happened, of: (row) => html`<${Badge} tone=${WHATS[row.what] ?? ""}>${row.what}<//>` }, { name: W.what, of }, { name: W.severity, of: (row) => row.severity || "–" }, { name: W.by, of: (row) => html`<span class="wrap">${row.by || "–"}</span>` },
    ]} /><//>`}
    ${data.rules.length > 0 && html`<${Rules} rows=${data.rules} />`}`}<//>
    ${asking && html`<${Ask} ...${asking} close=${() => ask(null)} again=${asked.again} />`}<//>`;
}
