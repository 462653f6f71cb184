// Settings that are changed while the nodes run: what they are now, who changed them, and the way back.
import { html, Asked, Button, Card, Data, Dialog, Empty, Failed, Field, Notice, Table, Text, count, moment, toast, useAct, useAsk, useConfirm, useState } from "../ui.js";
import { get, json, post } from "../api.js";
import { T } from "../strings.js";

const W = T.settings;
const text = (value) => value === undefined || value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value);
const Changes = ({ of }) => html`<${Table} label=${W.changes} rows=${Object.entries(of ?? {})} keyed=${([key]) => key} empty=${html`<p class="faint">${W.noChange}</p>`} columns=${[
  { name: W.key, of: ([key]) => html`<code class="wrap">${key}</code>` }, { name: W.before, of: ([, [before]]) => html`<code class="wrap">${text(before)}</code>` }, { name: W.after, of: ([, [, after]]) => html`<code class="wrap">${text(after)}</code>` },
]} />`;

/** A change is checked before it is made: what would become of it is shown, and every problem. */
function Change({ version, close, again }) {
  const [form, set] = useState({ settings: '{"limits": {}}', note: "" });
  const [checked, tell] = useState(null);
  const [problem, fail] = useState(null);
  const to = (name) => (value) => { set((was) => ({ ...was, [name]: value })); tell(null); };
  const send = async (dry_run) => json("router", "/admin/settings", { method: "PATCH", body: { settings: JSON.parse(form.settings), note: form.note, version, dry_run } });
  const [check, checking] = useAct(async () => { try { fail(null); tell(await send(true)); } catch (error) { tell(null); fail(error); } });
  const [save, saving] = useAct(async () => { await send(false); toast(W.saved); close(); again(); });
  return html`<${Dialog} kind="wide" title=${W.change} close=${close} actions=${html`<${Button} busy=${checking} onClick=${check}>${W.check}<//><${Button} kind="main" busy=${saving} disabled=${!checked} onClick=${save}>${T.save}<//>`}><div class="stack">
    <${Field} label=${W.merged} note=${W.mergedNote}><textarea class="code" rows="10" spellcheck="false" value=${form.settings} onInput=${(event) => to("settings")(event.target.value)}></textarea><//>
    <${Field} label=${W.note}><${Text} value=${form.note} set=${to("note")} maxlength="500" /><//>
    ${problem && html`<${Notice} tone="bad">${problem.message.split("\n").map((line, n) => html`<div key=${n}>${line}</div>`)}<//>`}
    ${checked && html`<h3>${W.would}</h3><${Changes} of=${checked.changes} />`}</div><//>`;
}

export function Settings({ who }) {
  const asked = useAsk(async (signal) => { const [now, history] = await Promise.all([get("router", "/admin/settings", signal), get("router", "/admin/settings/history", signal)]); return { now, history: history.data }; }, []);
  const [changing, change] = useState(false);
  const [opened, open] = useState(null);
  const [sure, question] = useConfirm();
  const may = who.may("admin:settings:write");
  const [back] = useAct(async (version) => { if (await sure(`${W.back} ${version}?`, W.backSure, W.back)) { await post("router", "/admin/settings/rollback", { version }); toast(W.saved); asked.again(); } });
  return html`<${Card} title=${W.title} flush actions=${may && asked.data && html`<${Button} kind="small" onClick=${() => change(true)}>${W.change}<//>`}>
    ${asked.error && !asked.data ? html`<${Failed} error=${asked.error} again=${asked.again} />` : html`<${Asked} of=${asked} lines=${3}>${({ now, history }) => html`
      ${now.failing && html`<${Notice} tone="bad">${now.failing}<//>`}
      <${Table} label=${W.inForce} rows=${now.in_force ?? []} keyed=${(row) => row.key} empty=${html`<${Empty} title=${W.none}><p>${W.noneAbout}</p><//>`} columns=${[
        { name: W.key, of: (row) => html`<code class="wrap">${row.key}</code>` }, { name: W.file, of: (row) => html`<code class="wrap">${text(row.file)}</code>` }, { name: W.now, of: (row) => html`<code class="wrap">${text(row.now)}</code>` },
      ]} />
      ${history.length > 0 && html`<${Table} label=${W.history} rows=${history} keyed=${(row) => row.version} columns=${[
        { name: W.version, num: true, of: (row) => count(row.version) }, { name: W.when, of: (row) => html`<button type="button" class="link nowrap" onClick=${() => open(row)}>${moment(row.at)}</button>` },
        { name: W.who, of: (row) => html`<span class="wrap">${row.who}</span>` }, { name: W.note, of: (row) => html`<span class="wrap">${row.note}</span>` }, { name: W.changed, num: true, of: (row) => count(Object.keys(row.changes ?? {}).length) },
        { of: (row) => may && row.version !== now.version && html`<div class="row end"><${Button} kind="small" aria-label=${`${W.back} ${row.version}`} onClick=${() => back(row.version)}>${W.back}<//></div>` },
      ]} />`}
      ${changing && html`<${Change} version=${now.version} close=${() => change(false)} again=${asked.again} />`}`}<//>`}
    ${opened && html`<${Dialog} kind="wide" title=${`${W.version} ${opened.version}`} close=${() => open(null)}><div class="stack"><${Changes} of=${opened.changes} /><details><summary>JSON</summary><${Data} value=${opened} /></details></div><//>`}${question}<//>`;
}
