// Every word the console says, in one file.
export const T = {
  loading: "Loading", nothing: "Nothing here yet", again: "Try again", close: "Close", cancel: "Cancel", save: "Save", actions: "Actions",
  copy: "Copy", copied: "Copied.", notCopied: "The browser does not let the page copy: select the text.", remove: "Delete", edit: "Edit", create: "Create", more: "Load more",
  search: "Search", all: "All", none: "none", theme: "Theme", dark: "Dark", light: "Light", menu: "Menu", signOut: "Sign out", signIn: "Sign in", export: "Export",
  notAdmin: "Only a key with the scope “admin” sees this page.",
  setupHint: "This node runs without keys. To administer it here, open the setup link it printed at its start, or run:",
  groups: { look: "Look", ask: "Ask", run: "Run", know: "Know" },
  pages: {
    "": "Overview", requests: "Requests", usage: "Usage", playground: "Playground", models: "Models", routing: "Routing", keys: "Keys and people",
    personas: "Personas", documents: "Documents", chains: "Chains", tools: "Tools and guards", system: "System", api: "API",
  },
  signin: {
    title: "Sign in to IntelliRouter", key: "API key", keyNote: "A key made with `intellirouter keys create NAME --scope admin` sees everything; any other key sees its own tenant.",
    link: "No key yet? On the node, `intellirouter console` prints a link that signs you in once.", wrong: "That key is not known here.",
  },
  overview: {
    about: "What this installation is doing now.", requests: "Requests today", errors: "Errors", latency: "p50 / p95", ttft: "Time to first token", tokens: "Tokens today", cost: "Cost today", saved: "Saved by routing",
    week: "Requests, last 7 days", providers: "Providers", roles: "Roles", health: "Health", start: "Send the first request", startAbout: "Paste this into a terminal. It appears below as soon as it arrives.",
    offline: "No provider is configured: the built-in offline provider answers. Set OPENAI_API_KEY, ANTHROPIC_API_KEY … in the node's environment, or start Ollama, and restart; or add one under [[model_registry.providers]].",
    waiting: "Waiting for a request …", arrived: "The first request has arrived.", nothing: "No request yet", makeKey: "Make a key",
  },
  requests: {
    about: "Every request this installation answered, newest first.", live: "Live", filters: "More filters", every: "Also what asked no model", paused: "Paused", empty: "No request fits", emptyAbout: "Nothing was recorded for these filters. Send a request, or widen the time.",
    time: "Time", endpoint: "Endpoint", model: "Model", provider: "Provider", key: "Key", status: "Status", tokens: "Tokens", cost: "Cost", duration: "Duration", first: "First token", session: "Session",
    one: "Request", timeline: "Timeline", decision: "Decision", content: "Content", noContent: "Content is not kept ([records] content).", attempts: "Attempts", curl: "Copy as curl", replay: "Replay in the playground", feedback: "Was it good?", good: "Good", bad: "Bad", thanks: "Thank you: routing learns from it.",
    off: "The record is switched off on this node ([records] enabled).",
  },
  usage: { about: "What was used, by whom, and what it cost.", by: "By", days: "Days", requests: "Requests", errors: "Errors", input: "Input tokens", output: "Output tokens", cost: "Cost", saved: "Saved", p50: "p50", p95: "p95", p99: "p99", total: "Total", budgets: "Budgets left" },
  playground: {
    about: "Ask any model, persona or chain; up to three side by side.", model: "Model", persona: "Persona", collection: "Collection", system: "System prompt", message: "Message", send: "Send", stop: "Stop", clear: "Clear", addPane: "Compare with another", removePane: "Remove",
    image: "Image", tools: "Tools (JSON)", temperature: "Temperature", maxTokens: "Max tokens", savePersona: "Save as a persona", personaName: "Name of the persona", saved: "The persona is kept.", empty: "Say something to begin.", you: "You", stopped: "Stopped.", options: "Options",
  },
  models: {
    about: "What can be asked, where it goes, and how each target stands.", name: "Model", targets: "Targets", window: "Window", price: "Price in / out per million", can: "Can", circuit: "Circuit", latency: "Latency", calls: "Under way", test: "Test", drain: "Drain", undrain: "Undo drain", drained: "drained", add: "Add a model", strategy: "Strategy", testing: "Asking …", removed: "The model is gone.", added: "The model is there.", targetsNote: "provider/model, one a line, in the order to try", unasked: "not asked yet",
    confidence: "Learned confidence", removeSure: "Requests that name it are refused from now on.", runtime: "added at run time",
  },
  routing: {
    about: "Who would answer, and why.", whatif: "What if", paste: "A request's text", explain: "Who would answer?", order: "Order", passed: "Passed over", scores: "Scores", switches: "Switches", switchesAbout: "Each can be on, off or a share of requests; all nodes follow within a second.", allOff: "Turn everything off", learned: "What was learnt", groups: "Groups", nothingLearnt: "Nothing was learnt yet: outcomes arrive with feedback, validators and errors.", samples: "Outcomes", on: "On", off: "Off",
  },
  keys: {
    about: "API keys with their limits and budgets.", name: "Name", create: "Make a key", secret: "The secret is shown only now.", scopes: "Scopes", tenant: "Tenant", team: "Team", models: "Models", limits: "Limits", budgets: "Budgets (USD)", spent: "Spent today", status: "Status", rotate: "Rotate", revoke: "Revoke", revokeSure: "Whoever uses this key is refused at once.", rotateSure: "A new secret is made; the old one stays good for a day.", created: "The key is made.", revoked: "The key is revoked.", rpm: "Requests a minute", tpm: "Tokens a minute", days: "Ends after days", none: "No key yet", noneAbout: "Keys that stand in the configuration file are not listed here.", off: "Keys are off on this node ([auth] enabled = false): everybody is let in.", hint: "Ends with", expires: "Expires", lastUsed: "Made",
    people: "People", block: "Block", unblock: "Unblock",
  },
  personas: { about: "System prompts as versioned files.", title: "Title", version: "Version", tags: "Tags", variables: "Variables", source: "Source", history: "History", preview: "Preview", render: "Render", rollback: "Bring back", rolled: "The version is back.", saved: "Saved.", new: "New persona", builtin: "ships with the node", outcomes: "Trials and outcomes", diff: "Changes against the version before", by: "by", sure: "It can be brought back from its history.", gone: "The persona is gone.", problems: "Files that do not hold" },
  documents: { about: "Collections of documents and what is found in them.", collection: "Collection", documents: "Documents", chunks: "Chunks", new: "New collection", drop: "Drop files here or choose them", search: "Search", query: "Question", jobs: "Jobs", reindex: "Reindex", verify: "Verify", sure: "Everything in it goes.", dropSure: "Its chunks go too.", scores: "Scores", size: "Size", status: "Status", uploaded: "Taken: it is being read.", model: "Embedding model", passages: "Passages", agrees: "Catalogue and vectors agree.", none: "No collection yet", noneAbout: "Make one and drop files into it: text, Markdown, HTML, JSON, CSV, PDF." },
  chains: { about: "Definitions, runs and what waits for a person.", definitions: "Chains", runs: "Runs", schedules: "Schedules", waiting: "Waiting for you", start: "Start", input: "Input (JSON)", started: "Started.", cancel: "Cancel", resume: "Resume", fork: "Fork from here", signal: "Answer", payload: "Answer (JSON)", signalled: "Handed over.", definition: "Definition", drawn: "Drawn", steps: "Steps", output: "Output", error: "Error", none: "No chain yet", noneAbout: "`intellirouter chain start` or PUT /v1/chains/NAME brings one in; ready ones are under config/chains.", noRuns: "No run yet", next: "Next", trigger: "Run now", pause: "Pause", edit: "Edit the definition", saved: "Saved.", validate: "Check", valid: "It holds.", newSchedule: "New schedule", cron: "Cron", sure: "Runs under way go on." , kind: "Kind" },
  tools: { about: "What models may use, and what is watched.", guards: "Guards", servers: "MCP servers", test: "Try a text", found: "Found", nothing: "Nothing was found in the text.", none: "Not part of this node yet", noneAbout: "Neither MCP servers nor guards are configured on this node." },
  system: { about: "Nodes, health, configuration and what was done to them.", health: "Health", part: "Part", since: "Since", reason: "Reason", config: "Configuration", key: "Key", value: "Value", source: "Source", cache: "Response cache", clear: "Clear", cleared: "The cache is empty.", nodes: "Chain nodes", drain: "Drain this node", undrain: "Take it back", drainSure: "Load balancers send it no more; what comes is still served.", drainedNow: "The node is drained.", backups: "Backups", audit: "Audit", alerts: "Alerts", version: "Version" },
  api: { about: "Every endpoint of this installation, from its own description.", none: "The node gives no description (/openapi.json)." },
  broken: "This page could not be shown.", lost: "There is no such page.", toOverview: "To the overview",
};
