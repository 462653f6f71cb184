// API keys: make, change, rotate, block, revoke, with their limits, budgets and what was spent.
import { html, Asked, Badge, Bar, Button, Card, Choice, Dialog, Empty, Field, Notice, Page, Snippet, Table, Text, count, date, moment, status, toast, useAct, useAsk, useConfirm, useState, usd } from "../ui.js";
import { get, patch, path, post, remove } from "../api.js";
import { People } from "./people.js";
import { T } from "../strings.js";

const W = T.keys;
const SCOPES = [["inference", "inference"], ["inference chains personas", "inference, chains, personas"], ["admin", W.everything]];
const PERIODS = ["day", "month"];
const words = (text) => text.split(/[\s,]+/).filter(Boolean);
const filled = (key) => ({
  name: key?.name ?? "", scopes: (key?.scopes ?? ["inference"]).join(" "), tenant: key?.tenant ?? "default", team: key?.team ?? "", models: (key?.models ?? []).join(", "),
  rpm: key?.requests_per_minute ?? "", tpm: key?.tokens_per_minute ?? "", day: key?.budgets?.day ?? "", month: key?.budgets?.month ?? "", days: "",
});

/** What the form says, as the API takes it. A change names every field, `null` for what a new key has; what the form does not show stays. */
function body(form, key) {
  const number = (value) => value === "" ? null : Number(value), left = key ? Object.fromEntries(Object.entries(key.budgets ?? {}).filter(([period]) => !PERIODS.includes(period))) : {};
  const budgets = { ...left, ...Object.fromEntries(PERIODS.filter((period) => form[period] !== "").map((period) => [period, Number(form[period])])) };
  const all = { scopes: words(form.scopes), budgets, team: form.team.trim() || null, models: form.models.trim() ? words(form.models) : null, requests_per_minute: number(form.rpm), tokens_per_minute: number(form.tpm), ...(form.days !== "" && { expires: Date.now() / 1000 + Number(form.days) * 86400 }) };
  if (key) return all;
  return { name: form.name.trim(), tenant: form.tenant.trim() || "default", ...Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null)) };
}

function KeyForm({ key_: key, close, again }) {
  const [form, set] = useState(() => filled(key));
  const [secret, tell] = useState(null);
  const to = (name) => (value) => set((was) => ({ ...was, [name]: value }));
  const [save, busy] = useAct(async (event) => {
    event?.preventDefault();
    if (key) { await patch("router", path("admin", "keys", key.id), body(form, key)); toast(W.changed); close(); } else { tell((await post("router", "/admin/keys", body(form))).secret); toast(W.created); }
    again();
  });
  if (secret) return html`<${Secret} name=${form.name} secret=${secret} close=${close} />`;
  const scopes = SCOPES.some(([value]) => value === form.scopes) ? SCOPES : [...SCOPES, [form.scopes, form.scopes.replaceAll(" ", ", ")]];
  const text = (name, label, more = {}, note) => html`<${Field} label=${label} note=${note}><${Text} value=${form[name]} set=${to(name)} maxlength="256" ...${more} /><//>`;
  const number = (name, label, note) => text(name, label, { type: "number", min: "0", step: "any" }, note);
  return html`<${Dialog} title=${key ? `${T.edit}: ${key.name}` : W.create} close=${close} actions=${html`<${Button} onClick=${close}>${T.cancel}<//><${Button} kind="main" busy=${busy} disabled=${!form.name.trim()} onClick=${save}>${key ? T.save : W.create}<//>`}>
    <form class="stack" onSubmit=${save}>
      ${!key && text("name", W.name, { autofocus: true })}
      <div class="grid" style=${{ "--least": "220px" }}>
        <${Field} label=${W.scopes}><${Choice} value=${form.scopes} set=${to("scopes")} options=${scopes} /><//>
        ${!key && text("tenant", W.tenant)}${text("team", W.team)}${text("models", W.models, { maxlength: "4000" }, W.everyModel)}
        ${number("rpm", W.rpm)}${number("tpm", W.tpm)}${number("day", W.perDay)}${number("month", W.perMonth)}${number("days", W.days, key?.expires ? `${W.now} ${date(key.expires)}` : null)}
      </div><input type="submit" class="visually-hidden" tabindex="-1" aria-hidden="true" />
    </form><//>`;
}

const Secret = ({ name, secret, close }) => html`<${Dialog} title=${name} close=${close}><div class="stack"><${Notice} tone="warn">${W.secret}<//><${Snippet} text=${secret} label=${W.secret} /></div><//>`;

const limits = (key) => [key.requests_per_minute != null && `${count(key.requests_per_minute)} ${W.rpmShort}`, key.tokens_per_minute != null && `${count(key.tokens_per_minute)} ${W.tpmShort}`].filter(Boolean).join(", ");
/** Each budget of a key; of today's, how much is used. */
function Budgets({ of: key, spent }) {
  return html`${Object.entries(key.budgets ?? {}).map(([period, limit]) => html`<div key=${period} class="stack tight" style=${{ gap: "2px", minWidth: "90px" }}><span class="small nowrap">${usd(limit)} / ${period}</span>${period === "day" && limit > 0 && html`<${Bar} share=${spent / limit} label=${`${usd(spent)} ${W.usedOf} ${usd(limit)}`} />`}</div>`)}`;
}

export default function Keys({ who }) {
  const asked = useAsk(async (signal) => {
    const [keys, spend] = await Promise.all([get("router", "/admin/keys", signal), who.may("admin:spend:read") ? get("router", "/admin/spend?by=key", signal) : { days: {} }]);
    const today = Object.values(spend.days)[0] ?? [];
    return { keys: keys.data, spent: new Map(today.map((row) => [row.name ?? row.id ?? row.key, row.usd])) };
  }, []);
  const [form, open] = useState(null);
  const [secret, tell] = useState(null);
  const [find, search] = useState("");
  const [sure, question] = useConfirm();
  const may = who.may("admin:keys:write");
  const [rotate] = useAct(async (key) => { if (await sure(`${W.rotate}: ${key.name}`, W.rotateSure, W.rotate)) { tell({ name: key.name, secret: (await post("router", path("admin", "keys", key.id, "rotate"))).secret }); asked.again(); } });
  const [block] = useAct(async (key, what) => { await post("router", path("admin", "keys", key.id, what)); asked.again(); });
  const [revoke] = useAct(async (key) => { if (await sure(`${W.revoke}: ${key.name}`, W.revokeSure, W.revoke)) { await remove("router", path("admin", "keys", key.id)); toast(W.revoked); asked.again(); } });
  const act = (key, label, run, kind = "small") => html`<${Button} kind=${kind} aria-label=${`${label} ${key.name}`} onClick=${run}>${label}<//>`;
  const actions = (key) => may && (key.status === "live" || key.status === "blocked") && html`<div class="row end">${act(key, T.edit, () => open(key))}${act(key, W.rotate, () => rotate(key))}${key.status === "blocked" ? act(key, W.unblock, () => block(key, "unblock")) : act(key, W.block, () => block(key, "block"))}${act(key, W.revoke, () => revoke(key), "small danger")}</div>`;
  const fits = (key) => !find || [key.name, key.tenant, key.team, key.hint].some((word) => word?.toLowerCase().includes(find.toLowerCase()));
  return html`<${Page} title=${T.pages.keys} about=${W.about} actions=${may && html`<${Button} kind="main" onClick=${() => open("new")}>${W.create}<//>`}>
    ${!who.keys && html`<${Notice} tone="warn">${W.off}<//>`}
    ${asked.data?.keys.length > 8 && html`<div class="filters" role="search"><${Field} label=${T.search} wide><${Text} value=${find} set=${search} type="search" /><//></div>`}
    <${Card} flush label=${T.pages.keys}><${Asked} of=${asked}>${(data) => html`<${Table} label=${T.pages.keys} rows=${data.keys.filter(fits).reverse().slice(0, 500)} keyed=${(key) => key.id} empty=${html`<${Empty} title=${find ? W.noneFits : W.none} action=${may && !find && html`<${Button} onClick=${() => open("new")}>${W.first}<//>`}><p>${W.noneAbout}</p><//>`} columns=${[
      { name: W.name, sort: (k) => k.name, of: (k) => html`<b class="wrap">${k.name}</b><div class="faint small mono">…${k.hint}</div>` },
      { name: W.status, sort: (k) => k.status, of: (k) => html`<${Badge} tone=${status(k.status)}>${k.status}<//>` },
      { name: W.tenant, sort: (k) => k.tenant ?? "default", of: (k) => html`<span class="wrap">${k.tenant ?? "default"}${k.team ? ` · ${k.team}` : ""}</span>` },
      { name: W.scopes, of: (k) => html`<span class="wrap">${[...(k.roles ?? []), ...(k.scopes ?? (k.roles?.length ? [] : ["inference"]))].join(", ")}</span>` },
      { name: W.models, of: (k) => html`<span class="wrap">${(k.models ?? []).join(", ") || T.all.toLowerCase()}</span>` },
      { name: W.limits, of: (k) => limits(k) || html`<span class="faint">${T.none}</span>` }, { name: W.budgets, of: (k) => Object.keys(k.budgets ?? {}).length ? html`<${Budgets} of=${k} spent=${data.spent.get(k.name) ?? 0} />` : html`<span class="faint">${T.none}</span>` },
      { name: W.spent, num: true, sort: (k) => data.spent.get(k.name) ?? 0, of: (k) => usd(data.spent.get(k.name) ?? 0) },
      { name: W.expires, of: (k) => k.expires ? html`<span class="nowrap" title=${moment(k.expires)}>${date(k.expires)}</span>` : html`<span class="faint">${W.never}</span>` },
      { of: actions },
    ]} />`}<//><//>
    ${who.offers.includes("/admin/users") && who.may("admin:users:read") && html`<${People} may=${who.may("admin:users:write")} />`}
    ${form && html`<${KeyForm} key_=${form === "new" ? null : form} close=${() => open(null)} again=${asked.again} />`}
    ${secret && html`<${Secret} ...${secret} close=${() => tell(null)} />`}
    ${question}
  <//>`;
}
