// Why a request goes where: as the what-if tells it, and as the record keeps it.
import { html, Badge, Bar, Facts, Table, count, ms, percent, usd } from "./ui.js";
import { T } from "./strings.js";

const W = T.routing;
export const Meter = ({ share, label }) => html`<div class="meter"><${Bar} plain share=${share ?? 0} label=${`${label}: ${percent(share, 0)}`} /><span class="num small">${percent(share, 0)}</span></div>`;

/** The targets of a decision as rows: what it thought of each, the chosen one first. */
export function Selection({ selection }) {
  const rows = selection.targets ?? [];
  const known = (key) => rows.some((row) => row[key] != null);
  return html`<${Table} label=${W.scores} rows=${rows} keyed=${(row) => row.target} columns=${[
    { name: W.target, of: (row, n) => html`<b class="wrap">${row.target}</b>${n === 0 && html` <${Badge} tone="good">${W.chosen}<//>`}` },
    { name: W.success, of: (row) => html`<${Meter} share=${row.success} label=${row.target} />` },
    ...(known("cost_usd") ? [{ name: W.expectedCost, num: true, of: (row) => usd(row.cost_usd) }] : []),
    ...(known("seconds") ? [{ name: W.expectedTime, num: true, of: (row) => row.seconds == null ? "–" : ms(row.seconds * 1000) }] : []),
    ...(known("worth") ? [{ name: W.worth, num: true, of: (row) => row.worth == null ? "–" : row.worth.toFixed(3) }] : []),
    { name: W.outcomes, num: true, of: (row) => count(row.outcomes) },
  ]} />`;
}

/** A decision: who, by which strategy, why, and who was passed over. `past`: somebody else may have answered in the end. */
export function Decision({ told, past = false }) {
  const { selection, order = [], passed_over: over = {} } = told;
  const why = selection?.reason;
  return html`<div class="stack">
    <${Facts} of=${[
      [past ? W.first : W.answers, order[0] && html`<b class="wrap">${order[0]}</b>`], [W.strategy, told.strategy], [W.why, why && (W.reasons[why] ?? why)],
      [W.sure, selection?.confidence != null && percent(selection.confidence, 0)], [W.kind, [...new Set([selection?.kind, selection?.tier])].filter(Boolean).join(", ")],
      [W.then, order.length > 1 && order.slice(1, 12).join(", ") + (order.length > 12 ? ` + ${order.length - 12}` : "")],
    ]} />
    ${selection?.targets?.length > 0 && html`<${Selection} selection=${selection} />`}
    ${Object.keys(over).length > 0 && html`<h3>${W.passed}</h3><${Facts} of=${Object.entries(over).slice(0, 50)} />`}
  </div>`;
}
