// The frame: sign-in, navigation, and one page at a time, each fetched when it is first opened.
import { render, html, Component } from "./lib/preact.js";
import { Badge, Button, Empty, Field, Link, Notice, Snippet, Text, Toasts, Waiting, go, here, useAct, useEffect, usePlace, useRef, useState } from "./ui.js";
import { session, setToken } from "./api.js";
import { T } from "./strings.js";

const icon = (d) => html`<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${d} /></svg>`;
const PAGES = [
  ["look", [["", "M2 8l6-5 6 5v5.5H2z"], ["requests", "M2 4h12M2 8h12M2 12h8"], ["usage", "M2 14h12M4 12V8M8 12V3M12 12V6"], ["routing", "M2 8h4c3 0 3-4 8-4M6 8c3 0 3 4 8 4"]]],
  ["ask", [["playground", "M3 3h10v7H8l-3 3v-3H3z"], ["personas", "M8 8a2.5 2.5 0 100-5 2.5 2.5 0 000 5zM3 14c0-5 10-5 10 0"], ["documents", "M4 2h5l3 3v9H4zM9 2v3h3"], ["chains", "M4 4h3v3H4zM9 9h3v3H9zM7 5.5h3.5V9"]]],
  ["run", [["models", "M8 2l5 3v6l-5 3-5-3V5zM8 8v6M8 8l5-3M8 8L3 5"], ["keys", "M6 10a3 3 0 110-4l7 0v2h-1.500v2h-2v-2H8"], ["tools", "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4z"], ["system", "M3 3h10v4H3zM3 9h10v4H3zM5 5h.01M5 11h.01"], ["api", "M5 4L2 8l3 4M11 4l3 4-3 4"]]],
];

function theme() {
  const kept = localStorage.getItem("theme");
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  return dark;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);

class Shield extends Component {
  constructor() { super(); this.state = { error: null }; }
  componentDidCatch(error) { this.setState({ error }); }
  componentDidUpdate(was) { if (was.at !== this.props.at && this.state.error) this.setState({ error: null }); }
  render({ children }, { error }) {
    return error ? html`<h1>${T.broken}</h1><${Notice} tone="bad">${error.message}<//>` : children;
  }
}

const loaded = new Map();
function Body({ at, who, place }) {
  const [, bump] = useState(0);
  const [failed, fail] = useState(null);
  const name = at.split("/")[0];
  const known = PAGES.some(([, pages]) => pages.some(([key]) => key === name));
  useEffect(() => {
    if (!known || loaded.has(name)) return;
    fail(null);
    import(`./pages/${name || "overview"}.js`).then((module) => { loaded.set(name, module.default); bump((n) => n + 1); }, fail);
  }, [name]);
  if (!known) return html`<${Empty} title=${T.lost}><${Link} to="">${T.toOverview}<//><//>`;
  if (failed) return html`<${Notice} tone="bad">${T.broken} ${failed.message}<//>`;
  const Shown = loaded.get(name);
  return Shown ? html`<${Shown} who=${who} at=${at.split("/").slice(1).map(decodeURIComponent)} with=${place.with} />` : html`<${Waiting} />`;
}

function SignIn({ done, problem }) {
  const [key, set] = useState("");
  const [wrong, tell] = useState(problem);
  const [busy, work] = useState(false);
  const enter = async (event) => {
    event.preventDefault();
    work(true);
    try { done(await session("POST", { key })); } catch (error) { tell(error.message); } finally { work(false); }
  };
  useEffect(() => { document.title = T.signin.title; }, []);
  return html`<main class="signin" id="main" tabindex="-1"><section class="card"><div class="body"><form class="stack" onSubmit=${enter}>
    <div class="row"><img src="/console/icon.svg" width="32" height="32" alt="" /><h1>${T.signin.title}</h1></div>
    ${wrong && html`<${Notice} tone="bad">${wrong}<//>`}
    <${Field} label=${T.signin.key} note=${T.signin.keyNote}><${Text} value=${key} set=${set} type="password" autocomplete="current-password" autofocus required maxlength="500" /><//>
    <button type="submit" class="button main" disabled=${busy || !key}>${T.signIn}</button>
    <p class="small faint">${T.signin.link}</p>
  </form></div></section></main>`;
}

function Frame({ who, out }) {
  const place = usePlace();
  const [open, set] = useState(false);
  const [dark, turn] = useState(theme);
  const main = useRef(null);
  const first = useRef(true);
  useEffect(() => {
    set(false);
    if (!first.current) main.current.focus({ preventScroll: true });
    first.current = false;
    scrollTo(0, 0);
  }, [place.at.split("/")[0]]);
  const flip = () => { localStorage.setItem("theme", dark ? "light" : "dark"); turn(theme()); };
  const now = place.at.split("/")[0];
  const brand = html`<${Link} to="" class="brand"><img src="/console/icon.svg" alt="" />IntelliRouter<//>`;
  return html`<div class="frame">
    <div class="topbar">${brand}<${Button} aria-expanded=${String(open)} aria-controls="side" onClick=${() => set(!open)}>${T.menu}<//></div>
    <aside id="side" class=${"side" + (open ? " open" : "")}>
      ${brand}
      <nav class="nav" aria-label=${T.menu}>${PAGES.map(([group, pages]) => html`<div key=${group}><h3>${T.groups[group]}</h3><ul>
        ${pages.map(([key, d]) => html`<li key=${key}><${Link} to=${key} aria-current=${key === now ? "page" : undefined}>${icon(d)}${T.pages[key]}<//></li>`)}</ul></div>`)}</nav>
      <div class="who">
        <div><b>${who.key}</b>${who.admin && html` <${Badge} tone="info">admin<//>`}<br />${who.tenant} · ${who.version}</div>
        <div class="row"><${Button} kind="small" onClick=${flip}>${dark ? T.light : T.dark}<//>
        ${who.signed_in && html`<${Button} kind="small" onClick=${out}>${T.signOut}<//>`}</div>
      </div>
    </aside>
    <main id="main" tabindex="-1" ref=${main}><${Shield} at=${place.at}><${Body} at=${place.at} place=${place} who=${who} /><//></main>
  </div>`;
}

function App() {
  const [who, set] = useState(null);
  const [problem, tell] = useState(null);
  const enter = (told) => { setToken(told.token ?? "visitor"); tell(null); set(told); };
  useEffect(() => {
    const start = async () => {
      const link = new URLSearchParams(location.hash.slice(1)).get("setup");
      if (link) {
        history.replaceState(null, "", "/console");
        try { return enter(await session("POST", { link })); } catch (error) { tell(error.message); }
      }
      for (let wait = 500; ; wait *= 2) {
        try { return enter(await session()); } catch (error) { tell(error.message); if (wait > 8000) throw error; }
        await new Promise((next) => setTimeout(next, wait));
      }
    };
    start().catch((error) => tell(error.message));
    const gone = () => session().then(enter, () => {});
    window.addEventListener("signed-out", gone);
    return () => window.removeEventListener("signed-out", gone);
  }, []);
  const [out] = useAct(async () => { enter(await session("DELETE")); enter(await session()); go(""); });
  if (!who) return problem ? html`<main class="signin"><${Notice} tone="bad">${problem}<//></main>` : html`<p class="starting">IntelliRouter</p>`;
  const inside = who.signed_in || !who.keys;
  return html`${inside ? html`<${Frame} who=${who} out=${out} />` : html`<${SignIn} done=${enter} problem=${problem} />`}<${Toasts} />`;
}

theme();
const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);
