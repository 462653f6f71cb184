// API keys: make, rotate, revoke, with limits, budgets and what was spent.
import { html, Asked, Badge, Button, Card, Choice, Dialog, Empty, Field, Notice, Page, Snippet, Table, Text, date, status, toast, useAct, useAsk, useConfirm, useState, usd } from "../ui.js";
import { get, path, post, remove } from "../api.js";
import { T } from "../strings.js";

const W = T.keys;
const words = (text) => text.split(/[\s,]+/).filter(Boolean);

function Make({ close, again }) {
  const [form, set] = useState({ name: "", scopes: "inference", tenant: "default", team: "", models: "", rpm: "", tpm: "", day: "", month: "", days: "" });
  const [secret, tell] = useState(null);
  const to = (name) => (value) => set({ ...form, [name]: value });
  const [make, busy] = useAct(async () => {
    const budgets = Object.fromEntries([["day", form.day], ["month", form.month]].filter(([, value]) => value).map(([name, value]) => [name, Number(value)]));
    const body = { name: form.name, scopes: words(form.scopes), tenant: form.tenant || "default", budgets };
    if (form.team) body.team = form.team;
    if (form.models) body.models = words(form.models);
    if (form.rpm) body.requests_per_minute = Number(form.rpm);
    if (form.tpm) body.tokens_per_minute = Number(form.tpm);
    if (form.days) body.expires = Date.now() / 1000 + Number(form.days) * 86400;
    tell((await post("router", "/admin/keys", body)).secret);
    toast(W.created); again();
  });
  if (secret) return html`<${Dialog} title=${form.name} close=${close}><div class="stack"><${Notice} tone="warn">${W.secret}<//><${Snippet} text=${secret} label=${W.secret} /></div><//>`;
  const number = (name, label) => html`<${Field} label=${label}><${Text} value=${form[name]} set=${to(name)} type="number" min="0" step="any" /><//>`;
  return html`<${Dialog} title=${W.create} close=${close} actions=${html`<${Button} onClick=${close}>${T.cancel}<//><${Button} kind="main" busy=${busy} disabled=${!form.name.trim()} onClick=${make}>${W.create}<//>`}>
    <div class="stack">
      <${Field} label=${W.name}><${Text} value=${form.name} set=${to("name")} maxlength="256" autofocus /><//>
      <div class="grid" style=${{ "--least": "220px" }}>
        <${Field} label=${W.scopes}><${Choice} value=${form.scopes} set=${to("scopes")} options=${[["inference", "inference"], ["inference chains personas", "inference, chains, personas"], ["admin", "admin (everything)"]]} /><//>
        <${Field} label=${W.tenant}><${Text} value=${form.tenant} set=${to("tenant")} /><//>
        <${Field} label=${W.team}><${Text} value=${form.team} set=${to("team")} /><//>
        <${Field} label=${W.models} note="empty: every model"><${Text} value=${form.models} set=${to("models")} /><//>
        ${number("rpm", W.rpm)}${number("tpm", W.tpm)}${number("day", "USD a day")}${number("month", "USD a month")}${number("days", W.days)}
      </div>
    </div><//>`;
}

export default function Keys({ who }) {
  const asked = useAsk(async (signal) => {
    if (!who.admin) return null;
    const [keys, spend] = await Promise.all([get("router", "/admin/keys", signal), get("router", "/admin/spend?by=key", signal)]);
    const today = Object.values(spend.days)[0] ?? [];
    return { keys: keys.data, spent: new Map(today.map((row) => [row.name ?? row.id ?? row.key, row.usd])) };
  }, [who.admin]);
  const [making, make] = useState(false);
  const [secret, tell] = useState(null);
  const [sure, question] = useConfirm();
  const [rotate] = useAct(async (key) => { if (await sure(`${W.rotate}: ${key.name}`, W.rotateSure, W.rotate)) { tell({ name: key.name, secret: (await post("router", path("admin", "keys", key.id, "rotate"))).secret }); asked.again(); } });
  const [revoke] = useAct(async (key) => { if (await sure(`${W.revoke}: ${key.name}`, W.revokeSure, W.revoke)) { await remove("router", path("admin", "keys", key.id)); toast(W.revoked); asked.again(); } });
  if (!who.admin) return html`<${Page} title=${T.pages.keys} about=${W.about}><${NotAdmin} who=${who} /><//>`;
  const limits = (key) => [key.requests_per_minute != null && `${key.requests_per_minute} rpm`, key.tokens_per_minute != null && `${key.tokens_per_minute} tpm`].filter(Boolean).join(", ");
  const budgets = (key) => Object.entries(key.budgets ?? {}).map(([period, usdLimit]) => `${usd(usdLimit)} / ${period}`).join(", ");
  return html`<${Page} title=${T.pages.keys} about=${W.about} actions=${html`<${Button} kind="main" onClick=${() => make(true)}>${W.create}<//>`}>
    ${!who.keys && html`<${Notice} tone="warn">${W.off}<//>`}
    <${Card} flush label=${T.pages.keys}><${Asked} of=${asked}>${(data) => html`<${Table} label=${T.pages.keys} rows=${[...data.keys].reverse()} keyed=${(key) => key.id} empty=${html`<${Empty} title=${W.none} action=${html`<${Button} onClick=${() => make(true)}>${W.first}<//>`}><p>${W.noneAbout}</p><//>`} columns=${[
      { name: W.name, sort: (k) => k.name, of: (k) => html`<b class="wrap">${k.name}</b><div class="faint small mono">…${k.hint}</div>` },
      { name: W.status, sort: (k) => k.status, of: (k) => html`<${Badge} tone=${status(k.status)}>${k.status}<//>` },
      { name: W.tenant, sort: (k) => k.tenant ?? "default", of: (k) => html`<span class="wrap">${k.tenant ?? "default"}${k.team ? ` · ${k.team}` : ""}</span>` },
      { name: W.scopes, of: (k) => html`<span class="wrap">${(k.scopes ?? ["inference"]).join(", ")}</span>` },
      { name: W.models, of: (k) => html`<span class="wrap">${(k.models ?? []).join(", ") || T.all.toLowerCase()}</span>` },
      { name: W.limits, of: limits }, { name: W.budgets, of: budgets },
      { name: W.spent, num: true, sort: (k) => data.spent.get(k.name) ?? 0, of: (k) => usd(data.spent.get(k.name) ?? 0) },
      { name: W.expires, of: (k) => html`<span class="nowrap">${date(k.expires)}</span>` },
      { of: (k) => k.status === "live" && html`<div class="row end"><${Button} kind="small" aria-label=${`${W.rotate} ${k.name}`} onClick=${() => rotate(k)}>${W.rotate}<//><${Button} kind="small danger" aria-label=${`${W.revoke} ${k.name}`} onClick=${() => revoke(k)}>${W.revoke}<//></div>` },
    ]} />`}<//><//>
    ${making && html`<${Make} close=${() => make(false)} again=${asked.again} />`}
    ${secret && html`<${Dialog} title=${secret.name} close=${() => tell(null)}><div class="stack"><${Notice} tone="warn">${W.secret}<//><${Snippet} text=${secret.secret} label=${W.secret} /></div><//>`}
    ${question}
  <//>`;
}

export const NotAdmin = ({ who }) => html`<${Notice} tone="info"><div class="stack tight"><span>${T.notAdmin}</span>${!who.keys && html`<span>${T.setupHint}</span><${Snippet} text="intellirouter console" label="Command" />`}</div><//>`;
