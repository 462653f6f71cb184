// Personas: versions, changes, a preview with variables, and outcomes.
import { html, Asked, Badge, Button, Card, Dialog, Empty, Facts, Field, Link, Notice, Page, Table, Text, count, date, go, percent, toast, useAct, useAsk, useConfirm, useState } from "../ui.js";
import { get, path, post, put, remove } from "../api.js";
import { T } from "../strings.js";

const W = T.personas;
const START = `name = "NAME"\ntitle = ""\nprompt = """\nYou are a helpful assistant of {{ company }}.\n"""\n\n[variables.company]\nrequired = true\n`;

/** The lines of two texts, kept, added and taken away (longest common run of lines). */
export function difference(before, after) {
  const a = before.split("\n"), b = after.split("\n");
  if (a.length * b.length > 4e6) return [["del", before], ["ins", after]];
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  const lines = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { lines.push(["", a[i]]); i++; j++; }
    else if (j < b.length && (i === a.length || table[i][j + 1] >= table[i + 1][j])) lines.push(["ins", b[j++]]);
    else lines.push(["del", a[i++]]);
  }
  return lines;
}
const Diff = ({ before, after }) => html`<div class="diff">${difference(before, after).map(([kind, line], n) => kind ? (kind === "ins" ? html`<ins key=${n}>+ ${line}\n</ins>` : html`<del key=${n}>- ${line}\n</del>`) : html`<span key=${n}>  ${line}\n</span>`)}</div>`;

function Edit({ name: given, source, format = "toml", version, close, again }) {
  const [name, call] = useState(given ?? "");
  const [text, set] = useState(source ?? START);
  const [save, busy] = useAct(async () => {
    await put("personas", path("v1", "personas", name), { source: given ? text : text.replace('"NAME"', JSON.stringify(name)), format, ...(version && { version }) });
    toast(W.saved); close(); again(); go(`personas/${encodeURIComponent(name)}`);
  });
  return html`<${Dialog} kind="wide" title=${given ? `${T.edit}: ${given}` : W.new} close=${close} actions=${html`<${Button} onClick=${close}>${T.cancel}<//><${Button} kind="main" busy=${busy} disabled=${!name} onClick=${save}>${T.save}<//>`}>
    <div class="stack">${!given && html`<${Field} label=${T.pages.personas}><${Text} value=${name} set=${call} maxlength="64" autofocus /><//>`}
    <${Field} label=${`${W.source} (${format})`}><textarea class="code" rows="22" spellcheck="false" value=${text} onInput=${(e) => set(e.target.value)}></textarea><//></div><//>`;
}

function Preview({ persona }) {
  const [values, set] = useState({});
  const [shown, show] = useState(null);
  const [render, busy] = useAct(async () => show(await post("personas", path("v1", "personas", persona.id, "render"), { variables: Object.fromEntries(Object.entries(values).filter(([, v]) => v !== "")) })));
  return html`<${Card} title=${W.preview} actions=${html`<${Button} kind="small" busy=${busy} onClick=${render}>${W.render}<//>`}><div class="stack">
    ${persona.variables.map((name) => html`<${Field} key=${name} label=${name}><${Text} value=${values[name]} set=${(v) => set({ ...values, [name]: v })} /><//>`)}
    ${shown ? shown.messages.map((message, n) => html`<div key=${n} class=${"said " + message.role}><b>${message.role}</b><div class="wrap" style=${{ whiteSpace: "pre-wrap" }}>${typeof message.content === "string" ? message.content : JSON.stringify(message.content ?? message.parts, null, 2)}</div></div>`) : html`<p class="faint">${W.variables}: ${persona.variables.join(", ") || T.none}</p>`}
  </div><//>`;
}

function One({ name, who }) {
  const asked = useAsk(async (signal) => {
    const [persona, versions] = await Promise.all([get("personas", path("v1", "personas", name), signal), who.may("personas:write") ? get("personas", path("v1", "personas", name, "versions"), signal) : { data: [] }]);
    const outcomes = who.may("admin:personas:read") ? await get("router", path("admin", "personas", name, "outcomes"), signal).catch(() => null) : null;
    return { persona, versions: versions.data, outcomes: outcomes?.data ?? [] };
  }, [name]);
  const [editing, edit] = useState(false);
  const [compared, compare] = useState(null);
  const [sure, question] = useConfirm();
  const [back] = useAct(async (version) => { await post("personas", path("v1", "personas", name, "rollback"), { version }); toast(W.rolled); asked.again(); });
  const [drop] = useAct(async () => { if (await sure(`${T.remove} ${name}?`, W.sure, T.remove)) { await remove("personas", path("v1", "personas", name)); toast(W.gone); go("personas"); } });
  const may = who.may("personas:write");
  return html`<${Page} title=${name} about=${asked.data?.persona.description} actions=${html`<${Link} class="button" to="personas">${T.pages.personas}<//>${may && asked.data && html`<${Button} onClick=${() => edit(true)}>${T.edit}<//>${!asked.data.persona.builtin && html`<${Button} kind="danger" onClick=${drop}>${T.remove}<//>`}`}`}>
    <${Asked} of=${asked}>${({ persona, versions, outcomes }) => html`<div class="split">
      <div class="stack">
        <${Card} title=${`${W.source} · ${W.version} ${persona.version}`} actions=${persona.builtin && html`<${Badge}>${W.builtin}<//>`}><pre tabindex="0">${persona.source}</pre><//>
        ${compared && html`<${Card} title=${`${W.diff}: ${compared.version}`}><${Diff} before=${compared.before} after=${compared.after} /><//>`}
        ${versions.length > 0 && html`<${Card} title=${W.history} flush><${Table} label=${W.history} rows=${[...versions].reverse()} keyed=${(v) => v.version} columns=${[
          { name: W.version, num: true, of: (v) => v.version }, { name: "When", of: (v) => date(v.created ?? v.time ?? v.at) }, { name: W.by, of: (v) => html`<span class="wrap">${v.author ?? ""}</span>` },
          { of: (v) => { const at = versions.findIndex((one) => one.version === v.version); return html`<div class="row end">${v.source != null && html`<${Button} kind="small" onClick=${() => compare({ version: v.version, before: versions[at - 1]?.source ?? "", after: v.source })}>Diff<//>`}${may && v.version !== persona.version && html`<${Button} kind="small" onClick=${() => back(v.version)}>${W.rollback}<//>`}</div>`; } },
        ]} /><//>`}
      </div>
      <div class="stack">${who.may("personas:use") && html`<${Preview} persona=${persona} />`}
        <${Card} title=${W.outcomes} flush=${outcomes.length > 0}>${outcomes.length ? html`<${Table} label=${W.outcomes} rows=${outcomes} keyed=${(row) => row.version} columns=${Object.keys(outcomes[0]).map((key) => ({ name: key, num: key !== "version", of: (row) => typeof row[key] === "number" ? (key.includes("share") ? percent(row[key]) : count(row[key])) : String(row[key] ?? "–") }))} />` : html`<p class="faint">${T.nothing}</p>`}<//>
      </div></div>
      ${editing && html`<${Edit} name=${name} source=${persona.source} format=${persona.format} version=${persona.version} close=${() => edit(false)} again=${asked.again} />`}`}<//>
    ${question}<//>`;
}

function List({ who }) {
  const asked = useAsk((signal) => get("personas", "/v1/personas", signal));
  const [making, make] = useState(false);
  const may = who.may("personas:write");
  return html`<${Page} title=${T.pages.personas} about=${W.about} actions=${may && html`<${Button} kind="main" onClick=${() => make(true)}>${W.new}<//>`}>
    <${Asked} of=${asked}>${(data) => html`
      ${Object.keys(data.problems ?? {}).length > 0 && html`<${Notice} tone="warn"><b>${W.problems}</b><${Facts} of=${Object.entries(data.problems).map(([file, why]) => [file, String(why)])} /><//>`}
      <${Card} flush label=${T.pages.personas}><${Table} label=${T.pages.personas} rows=${data.data} keyed=${(one) => one.id} empty=${html`<${Empty} title=${T.nothing} />`} columns=${[
        { name: "Name", sort: (one) => one.id, of: (one) => html`<${Link} to=${`personas/${encodeURIComponent(one.id)}`}>${one.id}<//><div class="faint small wrap">${one.title}</div>` },
        { name: "About", of: (one) => html`<span class="soft wrap">${one.description}</span>` },
        { name: W.version, num: true, sort: (one) => one.version, of: (one) => one.version },
        { name: W.variables, of: (one) => html`<span class="wrap">${one.variables.join(", ")}</span>` },
        { name: W.tags, of: (one) => html`<div class="row">${one.tags.map((tag) => html`<${Badge} key=${tag}>${tag}<//>`)}${one.builtin && html`<${Badge} tone="info">${W.builtin}<//>`}</div>` },
      ]} /><//>`}<//>
    ${making && html`<${Edit} close=${() => make(false)} again=${asked.again} />`}<//>`;
}

export default function Personas({ who, at }) {
  if (!who.roles.personas) return html`<${Page} title=${T.pages.personas} about=${W.about}><${Empty} title="The PersonaLayer is not part of this installation"><p>Run it on this node (--role All) or name it in [ipc] persona_layer_endpoint.</p><//><//>`;
  return at[0] ? html`<${One} key=${at[0]} name=${at[0]} who=${who} />` : html`<${List} who=${who} />`;
}
