// Charts over time, drawn by uPlot, which is fetched when the first one is shown.
import { html, clock, day, useEffect, useRef } from "./ui.js";

let loading = null;
function plot() {
  loading ??= new Promise((done, failed) => {
    const style = document.createElement("link");
    style.rel = "stylesheet"; style.href = "/console/lib/uplot.css";
    const script = document.createElement("script");
    script.src = "/console/lib/uplot.js";
    script.onload = () => done(window.uPlot); script.onerror = () => failed(new Error("The chart could not be loaded."));
    document.head.append(style, script);
  });
  return loading;
}
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const hues = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6"];
const FONT = "12px system-ui";
const pen = document.createElement("canvas").getContext("2d");
/** Pixels that the words beside an axis take: `$0.000500` needs more than `80`. */
const roomFor = (words) => { pen.font = FONT; return Math.max(54, 14 + Math.ceil(Math.max(0, ...(words ?? []).map((word) => pen.measureText(word).width)))); };
const hueOf = (one, n) => one.hue ?? hues[n % hues.length];

/** `x` Unix seconds, `series` [{name, values, hue?}], `format` a number to words; `kind` "line", "bars", one before the other where the second
 * is a part of the first, or "beside" where it is not. */
export function Chart({ x, series, format = String, kind = "line", height = 200, label }) {
  const bars = kind !== "line";
  const at = useRef(null);
  useEffect(() => {
    let chart = null, gone = false, watch = null;
    plot().then((uPlot) => {
      if (gone || !at.current) return;
      const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: FONT, size: 54 };
      const daily = x.length < 2 || x[1] - x[0] > 80000;
      const half = (x.length > 1 ? x[1] - x[0] : 86400) / 2;
      const options = {
        width: at.current.clientWidth || 600, height, cursor: { y: false, points: { size: 7 } }, legend: { show: false }, padding: [10, 8, 0, 0],
        scales: { x: bars ? { range: (_, low, high) => [low - half, high + half] } : {}, y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.1 : 1] } },
        axes: [{ ...axis, size: 26, space: 64, ...(daily && { incrs: [1, 2, 7, 14, 28].map((days) => days * 86400) }), grid: { show: false }, values: (_, ticks) => ticks.map((at) => daily || new Date(at * 1000).getHours() === 0 ? day(at) : clock(at).slice(0, 5)) }, { ...axis, size: (_, words) => roomFor(words), values: (_, ticks) => ticks.map(format) }],
        series: [{}, ...series.map((one, n) => ({
          label: one.name, stroke: colour(hueOf(one, n)), width: 2, points: { show: !bars && x.length < 3, size: 5 },
          ...(bars ? { fill: colour(hueOf(one, n)), paths: uPlot.paths.bars(kind === "beside" ? { size: [0.35, 20], align: n ? 1 : -1, radius: 0.15 } : { size: [0.7, 40], radius: 0.15 }), width: 0 } : n === 0 ? { fill: colour(hueOf(one, n)) + "1f" } : {}),
        }))],
      };
      chart = new uPlot(options, [x, ...series.map((one) => one.values)], at.current);
      watch = new ResizeObserver(() => chart.setSize({ width: at.current.clientWidth, height }));
      watch.observe(at.current);
    }).catch(() => { if (at.current) at.current.textContent = label; });
    return () => { gone = true; watch?.disconnect(); chart?.destroy(); };
  }, [x, series, kind, height, document.documentElement.dataset.theme]);
  const words = series.map((one) => `${one.name}: ${format(one.values.at(-1) ?? 0)}`).join(", ");
  return html`<div class="stack tight">
    <div ref=${at} class="chart" role="img" aria-label=${`${label}. ${words}`} style=${{ minHeight: `${height}px` }}></div>
    ${series.length > 1 && html`<div class="legend">${series.map((one, n) => html`<span key=${one.name}><i style=${{ background: `var(${hueOf(one, n)})` }}></i>${one.name}</span>`)}</div>`}
  </div>`;
}
