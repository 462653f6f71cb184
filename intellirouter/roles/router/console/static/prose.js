// Markdown of a model's answer as HTML that can do nothing: parsed by marked, cleaned by DOMPurify.
import { html, useEffect, useState } from "./ui.js";

let tools = null, loading = null;
function load() {
  loading ??= Promise.all([
    import("./lib/marked.js"),
    new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = "/console/lib/purify.js"; script.onload = () => done(window.DOMPurify); script.onerror = failed;
      document.head.append(script);
    }),
  ]).then(([{ marked }, purify]) => {
    // markup within an answer is shown as it was written, and a picture by its words: nothing is fetched for a model
    const escaped = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
    marked.use({ renderer: { html: (token) => escaped(typeof token === "string" ? token : token.text), image: (token, _, alt) => escaped(typeof token === "string" ? alt : token.text) } });
    tools = { marked, purify };
  });
  return loading;
}
const SAFE = { USE_PROFILES: { html: true }, FORBID_TAGS: ["style", "form", "input", "button", "iframe", "img", "video", "audio", "svg", "math"], FORBID_ATTR: ["style", "class", "id"] };

function Prose({ text }) {
  const [ready, set] = useState(tools !== null);
  useEffect(() => { if (!ready) load().then(() => set(true), () => {}); }, []);
  if (!ready || text.length > 200000) return html`<div class="wrap" style=${{ whiteSpace: "pre-wrap" }}>${text}</div>`;
  const clean = tools.purify.sanitize(tools.marked.parse(text, { async: false }), SAFE);
  return html`<div class="prose" dangerouslySetInnerHTML=${{ __html: clean }}></div>`;
}
export const prose = (text) => text ? html`<${Prose} text=${text} />` : null;
