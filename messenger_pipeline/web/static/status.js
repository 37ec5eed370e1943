"use strict";
// Whatever comes from Meta or people is put in as text (textContent), never as HTML.

const $ = (id) => document.getElementById(id);
const EVERY = 10000; // milliseconds between two looks at everything; open syncs come as events
const STATUS = { needs_reauthorization: "needs its owner" };
const view = { page: 1, rows: new Map(), shown: new Map(), stream: null, timer: null, typing: null, asked: 0 };

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const number = (value) => value.toLocaleString("en");

function ago(seconds) {
  if (seconds === null) return "never";
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

async function ask(path, options = {}) {
  const answer = await fetch(path, options).catch(() => { throw new Error("The receiver cannot be reached."); });
  if (answer.status === 401 && path !== "/login") showLogin();
  if (answer.status === 204) return { status: 204, body: null };
  const body = await answer.json().catch(() => ({ error: `HTTP ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(body.error), { status: answer.status, body });
  return { status: answer.status, body };
}

function showLogin() {
  stop();
  $("status").hidden = $("log-out").hidden = true;
  $("login").hidden = false;
  document.body.classList.remove("stale");
  $("connection").textContent = "";
  $("key").focus();
}

async function start() {
  try {
    await refresh();
  } catch (error) {
    if (error.status === 401) return;
    stale(error.message);
  }
  $("login").hidden = true;
  $("status").hidden = $("log-out").hidden = false;
  if (!view.stream) watch();
  if (!view.timer) view.timer = setInterval(refreshQuietly, EVERY);
}

function stop() {
  view.stream?.close();
  clearInterval(view.timer);
  view.stream = view.timer = null;
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("login-error").textContent = "";
  try {
    await ask("/login", { method: "POST", body: JSON.stringify({ key: $("key").value }) });
    $("key").value = "";
    await start();
  } catch (error) {
    $("login-error").textContent = error.message;
    $("key").select();
  }
});

$("log-out").addEventListener("click", async () => {
  await ask("/logout", { method: "POST" }).catch(() => null);
  showLogin();
});

function showOverview(told) {
  const seconds = (time) => (time ? (new Date(told.now) - new Date(time)) / 1000 : null);
  const alive = told.dagsterAlive;
  const pages = Object.entries(told.pages).filter(([name]) => name !== "removed");
  const owners = told.pages.needs_reauthorization || 0;
  const figures = [
    ["Pages", number(pages.reduce((sum, [, count]) => sum + count, 0)),
      pages.map(([name, count]) => `${number(count)} ${STATUS[name] || name}`).join(", "), owners ? "warn" : ""],
    ["Open syncs", number(told.openSessions), `${number(told.running)} running, ${number(told.waitingRequests)} asked for`, ""],
    ["Open alerts", number(told.openAlerts), `${number(told.openErrors)} errors`, told.openErrors ? "bad" : told.openAlerts ? "warn" : "good"],
    ["Inbox waiting", number(told.inboxWaiting), told.inboxOldest ? `oldest ${ago(seconds(told.inboxOldest))}` : "", seconds(told.inboxOldest) > 120 ? "bad" : ""],
    ["Deliveries a minute", number(told.deliveriesAMinute), "", ""],
    ["Quarantined", number(told.quarantined), "", told.quarantined ? "warn" : ""],
    ["Dagster", alive === null ? "unknown" : alive ? "alive" : "silent",
      told.dagsterSeenAt ? `heard ${ago(seconds(told.dagsterSeenAt))}` : "", alive === false ? "bad" : alive ? "good" : ""],
  ];
  $("figures").replaceChildren(...figures.map(([name, value, more, kind]) => element("div", {},
    element("dt", {}, name), element("dd", kind ? { class: kind } : {}, value, element("small", {}, more)))));
  $("alerts").hidden = !told.alerts.length;
  $("alert-list").replaceChildren(...told.alerts.map((one) => element("li", { class: one.severity },
    element("strong", {}, `${one.severity}: ${one.kind}`), " ",
    one.summary, " ",
    element("span", { class: "quiet" }, `opened ${ago(seconds(one.openedAt))}`))));
}

function showPages(told) {
  view.rows.clear();
  view.page = told.page;
  for (const page of told.pages) for (const one of page.sessions) keepNewer(one);
  const focused = document.activeElement?.id;
  $("pages").replaceChildren(...told.pages.map(row));
  if (focused && document.activeElement?.id !== focused) $(focused)?.focus();
  $("found").textContent = `${number(told.found)} pages found`;
  $("place").textContent = told.pageCount ? `${number(told.page)} of ${number(told.pageCount)}` : "";
  $("previous").disabled = told.page <= 1;
  $("next").disabled = told.page >= told.pageCount;
}

function row(page) {
  const told = element("p", { class: "told" });
  const before = view.shown.get(page.pageId);
  if (before) told.append(before);
  const sessions = element("div");
  const button = (mode, name) => {
    const made = element("button", { type: "button", id: `${mode}-${page.pageId}`,
      "aria-label": `${name}: ${page.pageName || page.pageId}` }, name);
    made.addEventListener("click", () => requestSync(page, mode));
    return made;
  };
  const made = element("tr", {},
    element("th", { scope: "row" }, page.pageName || "(no name)", element("small", {}, page.pageId)),
    element("td", { class: page.status === "active" ? "" : "warn" }, STATUS[page.status] || page.status,
      element("small", {}, page.statusReason || "")),
    element("td", { "data-name": "Last sync" }, ago(page.lagSeconds), element("small", {}, page.lastSyncedAt ? new Date(page.lastSyncedAt).toLocaleString() : "")),
    element("td", { class: "number", "data-name": "Conversations" }, number(page.conversations) + (page.more ? "+" : "")),
    element("td", { class: "number", "data-name": "Messages" }, number(page.messages) + (page.more ? "+" : ""),
      page.quarantined ? element("small", { class: "warn" }, `${number(page.quarantined)} quarantined`) : null),
    element("td", { class: "sync" }, sessions,
      page.status === "removed" ? null : element("div", { class: "actions", role: "group", "aria-label": `Sync ${page.pageName || page.pageId}` },
        button("incremental", "Sync new"), button("full", "Sync all")), told));
  view.rows.set(page.pageId, { sessions, told, open: new Map(page.sessions.map((one) => [one.sync_session_id, one])) });
  showSessions(page.pageId);
  return made;
}

function showSessions(pageId) {
  const { sessions, open } = view.rows.get(pageId);
  const seen = new Map([...sessions.children].map((one) => [one.dataset.session, one]));
  for (const [id, told] of open) {
    let box = seen.get(id);
    seen.delete(id);
    if (!box) {
      box = element("div", { class: "session", "data-session": id },
        element("strong"), element("progress", { max: 1, "aria-label": "How far the sync is" }), element("span"));
      sessions.append(box);
    }
    const [state, bar, message] = box.children;
    state.textContent = STATUS[told.state] || told.state;
    bar.hidden = told.endedAt !== null || (told.fraction === null && told.state !== "running");
    if (told.fraction === null) bar.removeAttribute("value");
    else bar.value = told.fraction;
    message.textContent = told.message;
    box.classList.toggle("bad", told.success === false);
  }
  for (const gone of seen.values()) gone.remove();
}

async function requestSync(page, mode) {
  tell(page.pageId, "Asking…");
  try {
    const { body } = await ask("/api/conversations/sync", { method: "POST", body: JSON.stringify({ pageId: page.pageId, mode }) });
    tell(page.pageId, `Accepted. ${body.message}.`);
  } catch (error) {
    tell(page.pageId, error.message);
  }
}

function tell(pageId, text) {
  view.shown.set(pageId, text);
  $("heard").textContent = text;
  const shown = view.rows.get(pageId);
  if (shown) shown.told.textContent = text;
}

const newest = new Map();

function keepNewer(told) {
  const known = newest.get(told.sync_session_id);
  if (known && known > told.change) return false;
  if (told.endedAt) newest.delete(told.sync_session_id);
  else newest.set(told.sync_session_id, told.change);
  return true;
}

function watch() {
  view.stream = new EventSource("/api/conversations/events");
  view.stream.onopen = () => {
    $("connection").textContent = "Live";
    refreshQuietly(); // what ended while nothing was heard is not told again
  };
  view.stream.onerror = () => {
    stale("Not connected; trying again…");
    if (view.stream?.readyState === EventSource.CLOSED) {
      stop();
      setTimeout(start, 5000);
    }
  };
  view.stream.onmessage = (event) => {
    const told = JSON.parse(event.data);
    const shown = view.rows.get(told.pageId);
    if (!keepNewer(told) || !shown) return;
    const before = shown.open.get(told.sync_session_id)?.state;
    shown.open.set(told.sync_session_id, told);
    showSessions(told.pageId);
    if (told.state === "running" && before !== "running") {
      if (before === "requested") tell(told.pageId, ""); // what was asked for is seen now
      refreshQuietly();
    }
    if (told.endedAt) {
      tell(told.pageId, `${told.state}: ${told.message}`);
      refreshQuietly();
    }
  };
}

async function refresh() {
  const mine = ++view.asked;
  const asked = new URLSearchParams({ search: $("search").value, status: $("by-status").value, page: view.page });
  const [pages, overview] = await Promise.all([ask(`/api/pages?${asked}`), ask("/api/overview")]);
  if (mine !== view.asked) return; // a later look was asked for meanwhile
  if (!pages.body.found && view.page > 1) { // fewer are found than were
    view.page = 1;
    return refresh();
  }
  view.seen = new Date().toLocaleTimeString();
  showOverview(overview.body);
  showPages(pages.body);
}

const refreshQuietly = () => refresh().then(() => stale(""), (error) => { if (error.status !== 401) stale(error.message); });

// What is shown while nothing can be asked is old, and must not look as if all were well.
function stale(why) {
  document.body.classList.toggle("stale", Boolean(why));
  if (why) $("connection").textContent = `${why} Figures of ${view.seen || "no time yet"}.`;
  else if (view.stream?.readyState === EventSource.OPEN) $("connection").textContent = "Live";
}

function turn(page) {
  view.page = page;
  refreshQuietly();
}

const search = () => turn(1);
$("search").addEventListener("input", () => {
  clearTimeout(view.typing);
  view.typing = setTimeout(search, 250);
});
$("by-status").addEventListener("change", search);
$("filter").addEventListener("submit", (event) => { event.preventDefault(); search(); });
$("previous").addEventListener("click", () => turn(view.page - 1));
$("next").addEventListener("click", () => turn(view.page + 1));

start();
