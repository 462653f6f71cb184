// A chain's definition as boxes: steps from top to bottom, bodies within their step, branches side by side.
import { html } from "./ui.js";

const KNOWN = new Set(["id", "when", "retry", "timeout", "cache", "fallback", "on_error", "do", "name", "description"]);
const kindOf = (step) => Object.keys(step).find((key) => !KNOWN.has(key)) ?? "step";
function about(step, kind) {
  const body = step[kind];
  if (typeof body === "string") return body;
  if (!body || typeof body !== "object") return "";
  return body.model ?? body.collection ?? body.signal ?? body.chain ?? body.name ?? body.url ?? body.over ?? body.until ?? (Array.isArray(body) ? "" : Object.keys(body).join(", "));
}
function Step({ step }) {
  const kind = kindOf(step), body = step[kind];
  const branches = kind === "switch" && Array.isArray(body) ? body.map((one) => [one.when ?? "otherwise", one.do]) : kind === "parallel" ? (Array.isArray(body) ? body.map((one, n) => [one.name ?? `branch ${n + 1}`, one.do ?? one]) : Object.entries(body.branches ?? body)) : [];
  const inner = step.do ?? body?.do;
  return html`<div class="step">
    ${step.when && html`<div class="small faint">when <code>${step.when}</code></div>`}
    <div class="step-head"><b>${step.id}</b> <span class="badge">${kind}</span> <span class="faint small wrap">${about(step, kind)}</span>
      ${step.retry && html`<span class="badge">retry ${step.retry.attempts ?? ""}</span>`}${step.cache && html`<span class="badge">cache</span>`}${step.fallback && html`<span class="badge warn">fallback</span>`}</div>
    ${inner && html`<${Steps} steps=${inner} />`}
    ${branches.length > 0 && html`<div class="grid" style=${{ "--least": "180px" }}>${branches.map(([name, steps], n) => html`<div key=${n} class="branch"><div class="small faint wrap">${typeof name === "string" ? name : JSON.stringify(name)}</div><${Steps} steps=${Array.isArray(steps) ? steps : []} /></div>`)}</div>`}
  </div>`;
}
const Steps = ({ steps }) => html`<div class="steps">${steps.map((step, n) => html`<${Step} key=${step.id ?? n} step=${step} />`)}</div>`;
export const draw = (definition) => html`<${Steps} steps=${definition?.steps ?? []} />`;
