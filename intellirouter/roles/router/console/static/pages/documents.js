// Collections, their documents and jobs, and what a question finds in them.
import { html, Asked, Badge, Bar, Button, Card, Data, Dialog, Empty, Field, Link, NotPermitted, Page, Table, Text, ago, bytes, count, go, status, toast, useAct, useAsk, useConfirm, useState } from "../ui.js";
import { ask, get, path, post, query, remove } from "../api.js";
import { T } from "../strings.js";

const W = T.documents;
const of = (name, ...more) => path("rag", "v1", "collections", name, ...more);

function Create({ close, again }) {
  const [name, set] = useState("");
  const [make, busy] = useAct(async () => { await post("rag", "/rag/v1/collections", { name }); close(); again(); go(`documents/${encodeURIComponent(name)}`); });
  return html`<${Dialog} title=${W.new} close=${close} actions=${html`<${Button} kind="main" busy=${busy} disabled=${!name} onClick=${make}>${T.create}<//>`}><${Field} label=${W.collection}><${Text} value=${name} set=${set} autofocus maxlength="256" /><//><//>`;
}

const Jobs = ({ jobs, collection }) => {
  const shown = jobs.filter((job) => !collection || job.collection === collection).slice(0, 12);
  if (!shown.length) return null;
  return html`<${Card} title=${W.jobs} flush><${Table} label=${W.jobs} rows=${shown} keyed=${(job) => job.id} columns=${[
    { name: "Document", of: (job) => html`<span class="wrap">${job.document}</span>` },
    { name: W.status, of: (job) => html`<${Badge} tone=${status(job.status)}>${job.status}<//>${job.error && html`<div class="bad small wrap">${typeof job.error === "string" ? job.error : job.error.message}</div>`}` },
    { name: "Done", of: (job) => { const whole = job.total, done = job.done; return whole ? html`<${Bar} plain share=${done / whole} label=${`${done} of ${whole}`} />` : ""; } },
    { name: "Asked", of: (job) => html`<span class="nowrap">${ago(job.created)}</span>` },
  ]} /><//>`;
};

function Search({ collection, read }) {
  const [text, set] = useState("");
  const [found, show] = useState(null);
  const [search, busy] = useAct(async (event) => { event?.preventDefault(); show(await post("rag", "/rag/v1/retrieve", { query: text, collections: [collection], top_k: 8, explain: true })); });
  const score = (value) => value == null ? "–" : value.toFixed(3);
  return html`<${Card} title=${W.search}><form class="row" role="search" onSubmit=${search}><div class="grow"><${Text} value=${text} set=${set} aria-label=${W.query} placeholder=${W.query} /></div><button class="button main" disabled=${busy || !text.trim()}>${W.search}</button></form>
    ${found && html`<div class="stack" style=${{ marginTop: "16px" }}>${!found.passages.length && html`<p class="faint" role="status">${W.nothingFound}</p>`}
      ${found.passages.map((passage, n) => html`<div key=${passage.id} class="said"><div class="row spread"><b><button type="button" class="link" onClick=${() => read(passage.document_id)}>${n + 1}. ${passage.title || passage.document_id}</button> <span class="faint">${passage.location}</span></b>
        <span class="faint small nowrap">${score(passage.score)} · ${W.meaning} ${score(passage.dense_score)} · ${W.words} ${score(passage.lexical_score)}${passage.rerank_score != null ? ` · rerank ${score(passage.rerank_score)}` : ""}</span></div>
        <div class="wrap small" style=${{ whiteSpace: "pre-wrap" }}>${passage.text}</div></div>`)}
      ${found.explanation && html`<details><summary>${W.scores}</summary><${Data} value=${found.explanation} /></details>`}</div>`}<//>`;
}

function Chunks({ collection, document, close }) {
  const asked = useAsk((signal) => get("rag", `/rag/v1/collections/${encodeURIComponent(collection)}/documents/${document.split("/").map(encodeURIComponent).join("/")}/chunks?limit=200`, signal), [document]);
  return html`<${Dialog} kind="drawer" title=${document} close=${close}><${Asked} of=${asked}>${(data) => html`<div class="stack">${data.chunks.map((chunk, n) => html`<div key=${n} class="said"><b>${chunk.position ?? n} ${chunk.location ?? ""}</b><div class="wrap small" style=${{ whiteSpace: "pre-wrap" }}>${chunk.text}</div></div>`)}</div>`}<//><//>`;
}

function One({ name, who }) {
  const reads = who.may("documents:read"), writes = who.may("documents:write"), keeps = who.may("collections:write");
  const asked = useAsk(async (signal) => {
    if (!reads) return { documents: [], jobs: [] };
    const [documents, jobs] = await Promise.all([get("rag", of(name, "documents") + "?limit=500", signal), get("rag", "/rag/v1/jobs", signal)]);
    return { ...documents, jobs: jobs.jobs };
  }, [name], 3000);
  const [over, drag] = useState(false);
  const [reading, read] = useState(null);
  const [sure, question] = useConfirm();
  const [upload] = useAct(async (files) => {
    for (const file of files) await ask("rag", of(name, "documents") + query({ name: file.webkitRelativePath || file.name }), { method: "POST", body: file });
    toast(W.uploaded); asked.again();
  });
  const [drop] = useAct(async (document) => { if (await sure(`${T.remove} ${document}?`, W.dropSure, T.remove)) { await ask("rag", `/rag/v1/collections/${encodeURIComponent(name)}/documents/${document.split("/").map(encodeURIComponent).join("/")}`, { method: "DELETE" }); asked.again(); } });
  const [whole] = useAct(async () => { if (await sure(`${T.remove} ${name}?`, W.sure, T.remove)) { await remove("rag", of(name)); go("documents"); } });
  const [reindex] = useAct(async () => { await post("rag", of(name, "reindex")); asked.again(); });
  const [verify] = useAct(async () => { const { missing, stray } = await post("rag", of(name, "verify")); const wrong = (missing.length ?? missing) + (stray.length ?? stray); toast(wrong ? `missing: ${missing.length ?? missing}, stray: ${stray.length ?? stray}` : W.agrees, wrong ? "warn" : "good"); });
  const dropped = (event) => { event.preventDefault(); drag(false); upload([...event.dataTransfer.files]); };
  return html`<${Page} title=${name} actions=${html`<${Link} class="button" to="documents">${T.pages.documents}<//>${keeps && html`<${Button} onClick=${reindex}>${W.reindex}<//><${Button} onClick=${verify}>${W.verify}<//><${Button} kind="danger" onClick=${whole}>${T.remove}<//>`}`}>
    ${writes && html`<label class=${"drop" + (over ? " over" : "")} onDragOver=${(e) => { e.preventDefault(); drag(true); }} onDragLeave=${() => drag(false)} onDrop=${dropped}>${W.drop}<input class="visually-hidden" type="file" multiple onChange=${(e) => upload([...e.target.files])} /></label>`}
    ${who.may("documents:search") && html`<${Search} collection=${name} read=${reads ? read : () => {}} />`}
    ${!reads && html`<${NotPermitted} who=${who} needs="documents:read" />`}
    ${reads && html`<${Asked} of=${asked}>${(data) => html`<${Jobs} jobs=${data.jobs} collection=${name} />
      <${Card} title=${W.documents} flush><${Table} label=${W.documents} rows=${data.documents} keyed=${(d) => d.name} empty=${html`<${Empty} title=${W.noDocuments}><p>${W.noDocumentsAbout}</p><//>`} columns=${[
        { name: "Name", sort: (d) => d.name, of: (d) => html`<button type="button" class="link" onClick=${() => read(d.name)}>${d.name}</button>` },
        { name: W.status, of: (d) => html`<${Badge} tone=${status(d.status)}>${d.status}<//>${d.error && html`<div class="bad small wrap">${d.error}</div>`}` },
        { name: "Changed", sort: (d) => d.updated, of: (d) => html`<span class="nowrap">${ago(d.updated)}</span>` }, { name: W.size, num: true, sort: (d) => d.bytes ?? 0, of: (d) => bytes(d.bytes) },
        { of: (d) => writes && html`<div class="row end"><${Button} kind="small danger" onClick=${() => drop(d.name)}>${T.remove}<//></div>` },
      ]} /><//>`}<//>`}
    ${reading && html`<${Chunks} collection=${name} document=${reading} close=${() => read(null)} />`}${question}<//>`;
}

function List({ who }) {
  const keeps = who.may("collections:write");
  const asked = useAsk(async (signal) => { const [all, jobs] = await Promise.all([get("rag", "/rag/v1/collections", signal), who.may("documents:read") ? get("rag", "/rag/v1/jobs", signal) : { jobs: [] }]); return { ...all, jobs: jobs.jobs }; }, [], 5000);
  const [making, make] = useState(false);
  return html`<${Page} title=${T.pages.documents} about=${W.about} actions=${keeps && html`<${Button} kind="main" onClick=${() => make(true)}>${W.new}<//>`}>
    <${Asked} of=${asked}>${(data) => html`<${Card} flush label=${W.collection}><${Table} label=${T.pages.documents} rows=${data.collections} keyed=${(c) => c.name} empty=${html`<${Empty} title=${W.none} action=${keeps && html`<${Button} onClick=${() => make(true)}>${W.first}<//>`}><p>${W.noneAbout}</p><//>`} columns=${[
      { name: W.collection, sort: (c) => c.name, of: (c) => html`<${Link} to=${`documents/${encodeURIComponent(c.name)}`}>${c.name}<//>` },
      { name: W.model, of: (c) => html`<span class="wrap">${c.model}</span>` },
      { name: W.documents, num: true, sort: (c) => c.documents, of: (c) => count(c.documents) }, { name: W.chunks, num: true, sort: (c) => c.chunks, of: (c) => count(c.chunks) },
    ]} /><//><${Jobs} jobs=${data.jobs} />`}<//>
    ${making && html`<${Create} close=${() => make(false)} again=${asked.again} />`}<//>`;
}

export default function Documents({ who, at }) {
  if (!who.roles.rag) return html`<${Page} title=${T.pages.documents} about=${W.about}><${Empty} title="The RagManager is not part of this installation"><p>Run it on this node (--role All) or name it in [ipc] rag_manager_endpoint.</p><//><//>`;
  return at[0] ? html`<${One} key=${at[0]} name=${at[0]} who=${who} />` : html`<${List} who=${who} />`;
}
