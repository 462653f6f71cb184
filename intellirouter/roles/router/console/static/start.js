// Stands before the application: where one of its files did not come, the page is loaded again, and at last says so.
const tries = Number(sessionStorage.getItem("console-tries") ?? 0);
window.addEventListener("error", (event) => {
  if (!(event.target instanceof HTMLScriptElement) || !document.querySelector(".starting")) return;
  if (tries < 3) {
    sessionStorage.setItem("console-tries", String(tries + 1));
    setTimeout(() => location.reload(), 1000 * 2 ** tries);
  } else {
    sessionStorage.removeItem("console-tries");
    document.querySelector(".starting").textContent = "The console could not be loaded from the node. Load this page again.";
  }
}, true);
