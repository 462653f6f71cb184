// The frame: sign-in, navigation, and one page at a time, each fetched when it is first opened.
import { render, html, Component } from "./lib/preact.js";
import { Badge, Button, Failed, Field, Link, NotPermitted, Notice, Page, Text, Toasts, Waiting, coded, go, toast, useAct, useEffect, usePlace, useRef, useState } from "./ui.js";
import { session, setToken } from "./api.js";
import { T } from "./strings.js";

/** What a page asks for: whoever may not is told so, and is not led there. */
const NEEDS = { requests: "records:read", usage: "records:read", routing: "admin:routing:read", playground: "inference:chat", personas: "personas:read", documents: "collections:read", chains: "chains:read", models: "models:read", keys: "admin:keys:read", tools: "admin:guards:read", alerts: "admin:alerts:read", audit: "admin:audit:read" };
/** Pages that are there only where the node has what they show. */
const OFFERED = { tools: ["/admin/guards"], alerts: ["/admin/alerts"], audit: ["/admin/audit"] };
const offered = (who, key) => !OFFERED[key] || OFFERED[key].some((path) => who.offers.includes(path));

const icon = (d) => html`<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${d} /></svg>`;
const PAGES = [
  ["look", [["", "M2 8l6-5 6 5v5.5H2z"], ["requests", "M2 4h12M2 8h12M2 12h8"], ["usage", "M2 14h12M4 12V8M8 12V3M12 12V6"], ["routing", "M2 8h4c3 0 3-4 8-4M6 8c3 0 3 4 8 4"]]],
  ["ask", [["playground", "M3 3h10v7H8l-3 3v-3H3z"], ["personas", "M8 8a2.5 2.5 0 100-5 2.5 2.5 0 000 5zM3 14c0-5 10-5 10 0"], ["documents", "M4 2h5l3 3v9H4zM9 2v3h3"], ["chains", "M4 4h3v3H4zM9 9h3v3H9zM7 5.5h3.5V9"]]],
  ["run", [["models", "M8 2l5 3v6l-5 3-5-3V5zM8 8v6M8 8l5-3M8 8L3 5"], ["keys", "M6 10a3 3 0 110-4l7 0v2h-1.500v2h-2v-2H8"], ["tools", "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4z"], ["system", "M3 3h10v4H3zM3 9h10v4H3zM5 5h.01M5 11h.01"], ["alerts", "M8 2a4 4 0 014 4v3l1.500 2.500h-11L4 9V6a4 4 0 014-4zM7 14h2"], ["audit", "M4 2h8v12H4zM6 5h4M6 8h4M6 11h2"], ["api", "M5 4L2 8l3 4M11 4l3 4-3 4"]]],
];

function theme() {
  const kept = localStorage.getItem("theme");
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  return dark;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);

/** Says that a page could not be drawn, and lets its visitor try again: a page's own fault, or a file that did not come. */
const Broken = ({ error, again }) => html`<div class="stack"><div class="head"><h1>${T.broken}</h1></div><${Failed} error=${error} again=${again} /></div>`;

class Shield extends Component {
  constructor() { super(); this.state = { error: null }; }
  componentDidCatch(error) { console.error(error); this.setState({ error }); }
  componentDidUpdate(was) { if (was.at !== this.props.at && this.state.error) this.setState({ error: null }); }
  render({ children }, { error }) {
    return error ? html`<${Broken} error=${error} again=${() => this.setState({ error: null })} />` : children;
  }
}

const loaded = new Map();
/** A page's module. A browser remembers a file that did not come as one that never will: each new try has an address of its own. */
async function fetchPage(name) {
  for (let time = 0; ; time++) {
    try {
      loaded.set(name, (await import(`./pages/${name || "overview"}.js${time ? `?again=${Date.now()}` : ""}`)).default);
      return;
    } catch (error) {
      if (time >= 3) throw error;
      await new Promise((next) => setTimeout(next, 500 * 2 ** time));
    }
  }
}

function Body({ at, who, place }) {
  const [, bump] = useState(0);
  const [failed, fail] = useState(null);
  const name = at.split("/")[0];
  const known = offered(who, name) && PAGES.some(([, pages]) => pages.some(([key]) => key === name));
  const kept = known && NEEDS[name] && !who.may(NEEDS[name]);
  const load = () => {
    fail(null);
    if (known && !kept && !loaded.has(name)) fetchPage(name).then(() => bump((n) => n + 1), (error) => fail({ name, error }));
  };
  useEffect(load, [name, kept]);
  if (!known) return html`<${Page} title=${T.lost}><p><${Link} class="button main" to="">${T.toOverview}<//></p><//>`;
  if (kept) return html`<${Page} title=${T.pages[name]} about=${T[name || "overview"].about}><${NotPermitted} who=${who} needs=${NEEDS[name]} /><//>`;
  if (failed?.name === name) return html`<${Broken} error=${failed.error} again=${load} />`;
  const Shown = loaded.get(name);
  const parts = at.split("/").slice(1).map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return Shown ? html`<${Shown} who=${who} at=${parts} with=${place.with} />` : html`<${Waiting} />`;
}

/** The ways in that the node has: a provider of identities, a name and a password, a key. */
function SignIn({ done, problem, ways }) {
  const [key, setKey] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [wrong, tell] = useState(null);
  const [busy, work] = useState(false);
  const enter = (body) => async (event) => {
    event.preventDefault();
    work(true);
    try { done(await session("POST", body)); } catch (error) { tell(error.message); } finally { work(false); }
  };
  useEffect(() => { document.title = T.signin.title; }, []);
  const to = encodeURIComponent(location.pathname + location.search);
  const byKey = html`<form class="stack" onSubmit=${enter({ key: key.trim() })}>
    <${Field} label=${T.signin.key} note=${coded(T.signin.keyNote)}><${Text} value=${key} set=${setKey} type="password" autocomplete="off" autofocus=${!ways.password && !ways.providers.length} required maxlength="8000" /><//>
    <button type="submit" class=${"button" + (ways.password || ways.providers.length ? "" : " main")} disabled=${busy || !key}>${T.signIn}</button>
    <p class="small faint">${coded(T.signin.link)}</p></form>`;
  return html`<main class="signin" id="main" tabindex="-1"><section class="card"><div class="body stack">
    <div class="row"><img src="/console/icon.svg" width="32" height="32" alt="" /><h1>${T.signin.title}</h1></div>
    ${(wrong || problem) && html`<${Notice} tone=${wrong ? "bad" : "warn"}>${wrong ?? problem}<//>`}
    ${ways.providers.map((one) => html`<a key=${one.name} class="button main" href=${`/auth/oidc/${one.name}/start?to=${to}`}>${T.signin.at} ${one.title}</a>`)}
    ${ways.password && html`<form class="stack" onSubmit=${enter({ username: name.trim(), password })}>
      <${Field} label=${T.signin.name}><${Text} value=${name} set=${setName} autocomplete="username" autofocus=${!ways.providers.length} required maxlength="128" /><//>
      <${Field} label=${T.signin.password}><${Text} value=${password} set=${setPassword} type="password" autocomplete="current-password" required maxlength="512" /><//>
      <button type="submit" class=${"button" + (ways.providers.length ? "" : " main")} disabled=${busy || !name || !password}>${T.signIn}</button></form>`}
    ${ways.password || ways.providers.length ? html`<details><summary>${T.signin.withKey}</summary>${byKey}</details>` : byKey}
  </div></section></main>`;
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
  }, [place.at]);
  const led = (key) => offered(who, key) && (!who.signed_in || !NEEDS[key] || who.may(NEEDS[key]));
  const flip = () => { localStorage.setItem("theme", dark ? "light" : "dark"); turn(theme()); };
  const now = place.at.split("/")[0];
  const brand = html`<${Link} to="" class="brand"><img src="/console/icon.svg" alt="" />IntelliRouter<//>`;
  return html`<div class="frame">
    <div class="topbar">${brand}<${Button} aria-expanded=${String(open)} aria-controls="side" onClick=${() => set(!open)}>${T.menu}<//></div>
    <aside id="side" class=${"side" + (open ? " open" : "")}>
      ${brand}
      <nav class="nav" aria-label=${T.menu}>${PAGES.map(([group, pages]) => html`<div key=${group}><h3>${T.groups[group]}</h3><ul>
        ${pages.filter(([key]) => led(key)).map(([key, d]) => html`<li key=${key}><${Link} to=${key} aria-current=${key === now ? "page" : undefined}>${icon(d)}${T.pages[key]}<//></li>`)}</ul></div>`)}</nav>
      <div class="who">
        <div><b>${who.key}</b>${who.admin && html` <${Badge} tone="info">admin<//>`}<br />${who.tenant} · ${who.version}</div>
        <div class="row"><${Button} kind="small" onClick=${flip}>${dark ? T.light : T.dark}<//>
        ${who.signed_in && html`<${Button} kind="small" onClick=${out}>${T.signOut}<//>`}</div>
      </div>
    </aside>
    <main id="main" tabindex="-1" ref=${main}><${Shield} at=${place.at}><${Body} at=${place.at} place=${place} who=${who} /><//></main>
  </div>`;
}

/** Nobody answers: said in words, and asked again until somebody does. */
const Away = ({ problem, again }) => html`<main class="signin" id="main" tabindex="-1"><section class="card"><div class="body stack">
  <h1>${T.away}</h1><p class="soft">${coded(T.awayAbout)}</p><${Notice} tone="bad">${coded(problem)}<//><div><${Button} kind="main" onClick=${again}>${T.again}<//></div></div></section></main>`;

function App() {
  const [who, set] = useState(null);
  const [problem, tell] = useState(null);
  const [round, again] = useState(0);
  const now = useRef(null);
  const enter = (told) => {
    setToken(told.token ?? "visitor");
    const held = new Set(told.permissions);
    now.current = { ...told, may: (permission) => held.has(permission) };
    tell(null); set(now.current);
  };
  useEffect(() => {
    let gone = false;
    const start = async () => {
      let refused = null;
      const asked = new URLSearchParams(location.hash.slice(1)), link = asked.get("setup");
      if (asked.get("refused")) {
        history.replaceState(null, "", location.pathname + location.search);
        refused = T.signin.refused[asked.get("refused")] ?? T.signin.refused.denied;
      }
      if (link) {
        history.replaceState(null, "", location.pathname + location.search);
        try { return enter(await session("POST", { link })); } catch (error) { refused = error.message; }
      }
      for (let wait = 500; !gone; wait = Math.min(5000, wait * 2)) {
        try { enter(await session()); if (refused) { tell(refused); toast(refused, "bad"); } return undefined; } catch (error) { if (!gone) tell(error.message); }
        await new Promise((next) => setTimeout(next, wait));
      }
      return undefined;
    };
    start();
    return () => { gone = true; };
  }, [round]);
  useEffect(() => {
    let asking = false;
    /** The node refused something: is it still the same visitor? What the page holds stays where it is so. */
    const doubted = async () => {
      if (asking || !now.current) return;
      asking = true;
      try {
        const was = now.current, told = await session();
        if (told.token !== was.token || told.signed_in !== was.signed_in || told.admin !== was.admin) {
          enter(told);
          if (was.signed_in && !told.signed_in) { tell(T.signin.ended); if (!told.keys) toast(T.signin.endedVisitor, "warn"); }
        }
      } catch { /* it does not answer: the page that asked says so */ } finally { asking = false; }
    };
    window.addEventListener("signed-out", doubted);
    return () => window.removeEventListener("signed-out", doubted);
  }, []);
  const [out] = useAct(async () => {
    const was = now.current;
    set(null);
    await new Promise((next) => setTimeout(next)); // the pages are gone, and with them what they still ask: none of it would be answered
    try {
      const { elsewhere } = await session("DELETE");
      if (elsewhere) return location.assign(elsewhere);
    } catch (error) { set(was); throw error; }
    go("");
    return again((n) => n + 1);
  });
  if (!who) return problem ? html`<${Away} problem=${problem} again=${() => again(round + 1)} />` : html`<p class="starting" role="status">IntelliRouter</p>`;
  const inside = who.signed_in || !who.keys;
  return html`${inside ? html`<${Frame} key=${who.key + who.token} who=${who} out=${out} />` : html`<${SignIn} done=${enter} problem=${problem} ways=${who.ways} />`}<${Toasts} />`;
}

sessionStorage.removeItem("console-tries"); // every file came (start.js)
theme();
const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);
