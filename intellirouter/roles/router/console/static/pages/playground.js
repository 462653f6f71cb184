// Ask any model, persona or collection, up to three side by side, with what each answer cost.
import { html, Badge, Button, Card, Choice, Dialog, Empty, Failed, Field, Notice, Page, Text, count, ms, toast, useAct, useAsk, useEffect, useRef, useState, usd } from "../ui.js";
import { ask, events, get, path, put } from "../api.js";
import { prose } from "../prose.js";
import { T } from "../strings.js";

const W = T.playground;
let panes = 0;
const pane = (model = "auto") => ({ id: ++panes, model, turns: [], facts: null, busy: false, error: null });

/** One answer, streamed; `tell` hears the text so far. Gives text, tool calls and what the node says of the answer. */
async function answer(body, signal, tell) {
  const began = performance.now();
  const response = await ask("router", "/v1/chat/completions", { method: "POST", body, signal, headers: { "x-intellirouter-explain": "1" } });
  let text = "", thought = "", first = null, usage = null, finish = null, calls = [], cost = null;
  const remark = (text) => { const told = /^x-intellirouter-cost-usd: ([\d.e-]+)$/.exec(text); if (told) cost = Number(told[1]); };
  for await (const { data } of events(response, remark)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    const choice = chunk.choices?.[0], delta = choice?.delta ?? {};
    if (delta.content || delta.tool_calls) first ??= performance.now() - began;
    text += delta.content ?? ""; thought += delta.reasoning_content ?? "";
    for (const call of delta.tool_calls ?? []) {
      const known = (calls[call.index ?? 0] ??= { name: "", arguments: "" });
      known.name += call.function?.name ?? ""; known.arguments += call.function?.arguments ?? "";
    }
    finish = choice?.finish_reason ?? finish; usage = chunk.usage ?? usage;
    tell({ text, thought, calls });
  }
  const heard = (name) => response.headers.get("x-intellirouter-" + name);
  let decision = null;
  try { decision = JSON.parse(heard("decision")); } catch { /* an answer from the cache has none */ }
  return { text, thought, calls, facts: { by: [heard("provider"), heard("model")].filter(Boolean).join(" · "), attempts: heard("attempts"), notes: heard("notes"), cost, strategy: decision?.strategy, decision, usage, finish, first, took: performance.now() - began } };
}

function Turn({ turn }) {
  return html`<div class=${"said " + turn.role}><b>${turn.role === "user" ? W.you : W.assistant}</b>
    ${turn.image && html`<div><img src=${turn.image} alt=${W.image} style=${{ maxWidth: "220px", borderRadius: "6px" }} /></div>`}
    ${turn.thought && html`<details><summary>Reasoning</summary><p class="small soft wrap" style=${{ whiteSpace: "pre-wrap" }}>${turn.thought}</p></details>`}
    ${turn.role === "assistant" ? prose(turn.text) : html`<div class="wrap" style=${{ whiteSpace: "pre-wrap" }}>${turn.text}</div>`}
    ${(turn.calls ?? []).map((call, n) => html`<pre key=${n}>${call.name}(${call.arguments})</pre>`)}
  </div>`;
}

function Said({ facts }) {
  const [open, set] = useState(false);
  return html`<div class="row small faint">
    <${Badge} tone="info">${facts.by || "?"}<//>
    ${facts.usage && html`<span>${count(facts.usage.prompt_tokens)} → ${count(facts.usage.completion_tokens)} tokens</span>`}
    ${facts.cost != null && html`<span>${usd(facts.cost)}</span>`}
    ${facts.first != null && html`<span>first ${ms(facts.first)}</span>`}<span>${ms(facts.took)}</span>
    ${Number(facts.attempts) > 1 && html`<${Badge} tone="warn">${facts.attempts} attempts<//>`}
    ${facts.finish && facts.finish !== "stop" && html`<${Badge} tone="warn">${facts.finish}<//>`}
    ${facts.decision && html`<button type="button" class="link small" onClick=${() => set(true)}>Decision</button>`}
    ${facts.notes && html`<span title=${facts.notes}>noted</span>`}
    ${open && html`<${Dialog} title="Decision" close=${() => set(false)}><pre tabindex="0">${JSON.stringify(facts.decision, null, 2)}</pre><//>`}
  </div>`;
}

async function choices(who, signal) {
  const quiet = (promise) => promise.catch(() => null);
  const [models, personas, collections, chains] = await Promise.all([
    get("router", "/v1/models", signal),
    who.roles.personas ? quiet(get("personas", "/v1/personas", signal)) : null,
    who.roles.rag ? quiet(get("rag", "/rag/v1/collections", signal)) : null,
    who.roles.chains ? quiet(get("chains", "/v1/chains", signal)) : null,
  ]);
  return { models: [...new Set([...models.data.map((model) => model.id), ...(chains?.data ?? []).map((one) => `chain/${one.id}`)])], personas: (personas?.data ?? []).map((one) => one.id), collections: (collections?.collections ?? []).map((one) => one.name) };
}

function SavePersona({ form, close }) {
  const [name, set] = useState("");
  const [save, busy] = useAct(async () => {
    const source = `name = ${JSON.stringify(name)}\nprompt = ${JSON.stringify(form.system)}\n`;
    await put("personas", path("v1", "personas", name), { source, format: "toml" });
    toast(W.saved); close();
  });
  return html`<${Dialog} title=${W.savePersona} close=${close} actions=${html`<${Button} kind="main" busy=${busy} disabled=${!name || !form.system} onClick=${save}>${T.save}<//>`}><${Field} label=${W.personaName}><${Text} value=${name} set=${set} autofocus maxlength="64" /><//><//>`;
}

export default function Playground({ who, with: given }) {
  const asked = useAsk((signal) => choices(who, signal));
  const [list, set] = useState(() => [pane(given.model || "auto")]);
  const [form, fill] = useState({ system: "", persona: "", collection: "", message: given.message ?? "", image: null, tools: "", temperature: "", max: "" });
  const [saving, save] = useState(false);
  const stop = useRef(null);
  const end = useRef(null);
  const to = (name) => (value) => fill((was) => ({ ...was, [name]: value }));
  const change = (id, more) => set((was) => was.map((one) => one.id === id ? { ...one, ...(typeof more === "function" ? more(one) : more) } : one));
  const busy = list.some((one) => one.busy);
  useEffect(() => { const kept = sessionStorage.getItem("replay"); if (kept) { sessionStorage.removeItem("replay"); const told = JSON.parse(kept); fill((was) => ({ ...was, ...told })); if (told.model) change(list[0].id, { model: told.model }); } }, []);

  const send = (event) => {
    event?.preventDefault();
    if (busy || !form.message.trim()) return;
    let tools;
    try { tools = form.tools.trim() ? JSON.parse(form.tools) : undefined; } catch (error) { toast(`${W.tools}: ${error.message}`, "bad"); return; }
    stop.current = new AbortController();
    const turn = { role: "user", text: form.message, image: form.image };
    for (const one of list) {
      const turns = [...one.turns, turn];
      change(one.id, { turns: [...turns, { role: "assistant", text: "" }], busy: true, error: null, facts: null });
      const messages = turns.map((said) => ({ role: said.role, content: said.image ? [{ type: "text", text: said.text }, { type: "image_url", image_url: { url: said.image } }] : said.text }));
      if (form.system) messages.unshift({ role: "system", content: form.system });
      const body = { model: one.model, messages, stream: true, stream_options: { include_usage: true }, ...(tools && { tools }), ...(form.temperature !== "" && { temperature: Number(form.temperature) }), ...(form.max && { max_tokens: Number(form.max) }), ...(form.persona && { persona: form.persona }), ...(form.collection && { rag: { collections: [form.collection] } }) };
      const tell = (said) => change(one.id, { turns: [...turns, { role: "assistant", ...said }] });
      answer(body, stop.current.signal, tell).then(
        (said) => change(one.id, { turns: [...turns, { role: "assistant", ...said }], facts: said.facts, busy: false }),
        (error) => change(one.id, (was) => ({ busy: false, error: error.name === "AbortError" ? W.stopped : error.message, turns: was.turns.at(-1)?.text ? was.turns : was.turns.slice(0, -1) })),
      );
    }
    fill((was) => ({ ...was, message: "", image: null }));
    requestAnimationFrame(() => end.current?.scrollIntoView({ block: "nearest" }));
  };
  const picture = async (event) => {
    const file = event.target.files[0];
    if (!file) return;
    if (file.size > 8e6) { toast("A picture of at most 8 MB.", "warn"); return; }
    const reader = new FileReader();
    reader.onload = () => to("image")(reader.result);
    reader.readAsDataURL(file);
  };
  return html`<${Page} title=${T.pages.playground} about=${W.about} actions=${html`
    ${list.length < 3 && html`<${Button} onClick=${() => set([...list, pane(list.at(-1).model)])}>${W.addPane}<//>`}
    <${Button} onClick=${() => set(list.map((one) => pane(one.model)))}>${W.clear}<//>`}>
    ${asked.error && html`<${Failed} error=${asked.error} again=${asked.again} />`}
    <datalist id="models">${(asked.data?.models ?? []).map((id) => html`<option key=${id} value=${id} />`)}</datalist>
    <div class="grid" style=${{ "--least": list.length > 1 ? "280px" : "100%" }}>${list.map((one) => html`<${Card} key=${one.id} kind="pane" label=${one.model} title=${html`<input aria-label=${W.model} list="models" value=${one.model} onInput=${(e) => change(one.id, { model: e.target.value })} />`} actions=${list.length > 1 && html`<${Button} kind="quiet small" aria-label=${W.removePane} onClick=${() => set(list.filter((other) => other !== one))}>✕<//>`}>
      <div class="chat" aria-live="polite" aria-busy=${String(one.busy)}>
        ${!one.turns.length && html`<${Empty} title=${W.empty}><p>${W.emptyAbout}</p><//>`}
        ${one.turns.map((turn, n) => html`<${Turn} key=${n} turn=${turn} />`)}
        ${one.error && html`<${Notice} tone="bad">${one.error}<//>`}
        ${one.facts && html`<${Said} facts=${one.facts} />`}
      </div><//>`)}</div>
    <${Card}><form class="stack" onSubmit=${send}>
      <${Field} label=${W.message}><textarea value=${form.message} onInput=${(e) => to("message")(e.target.value)} onKeyDown=${(e) => { if (e.key === "Enter" && (e.metaKey || e.ctrlKey)) send(e); }} placeholder="Ctrl + Enter sends"></textarea><//>
      ${!form.message && !list.some((one) => one.turns.length) && html`<div class="chips" role="group" aria-label=${W.examples}>${W.exampleTexts.map((text) => html`<button type="button" key=${text} onClick=${() => to("message")(text)}>${text}</button>`)}</div>`}
      <div class="row spread top"><details class="grow"><summary>${W.options}</summary><div class="stack" style=${{ paddingTop: "12px" }}>
        <${Field} label=${W.system}><textarea value=${form.system} onInput=${(e) => to("system")(e.target.value)}></textarea><//>
        <div class="grid" style=${{ "--least": "170px" }}>
          <${Field} label=${W.persona}><${Choice} value=${form.persona} set=${to("persona")} options=${[["", T.none], ...(asked.data?.personas ?? []).map((id) => [id, id])]} /><//>
          <${Field} label=${W.collection}><${Choice} value=${form.collection} set=${to("collection")} options=${[["", T.none], ...(asked.data?.collections ?? []).map((id) => [id, id])]} /><//>
          <${Field} label=${W.temperature}><${Text} value=${form.temperature} set=${to("temperature")} type="number" min="0" max="2" step="0.1" /><//>
          <${Field} label=${W.maxTokens}><${Text} value=${form.max} set=${to("max")} type="number" min="1" /><//>
          <${Field} label=${W.image}><input type="file" accept="image/*" onChange=${picture} /><//>
        </div>
        <${Field} label=${W.tools}><textarea class="code" value=${form.tools} onInput=${(e) => to("tools")(e.target.value)} placeholder='[{"type": "function", "function": {"name": "…", "parameters": {…}}}]'></textarea><//>
        ${who.roles.personas && html`<div><${Button} kind="small" disabled=${!form.system} onClick=${() => save(true)}>${W.savePersona}<//></div>`}
      </div></details>
      ${busy ? html`<${Button} onClick=${() => stop.current.abort()}>${W.stop}<//>` : html`<button type="submit" class="button main" disabled=${!form.message.trim()}>${W.send}</button>`}</div>
    </form><//>
    <div ref=${end}></div>
    ${saving && html`<${SavePersona} form=${form} close=${() => save(false)} />`}
  <//>`;
}
