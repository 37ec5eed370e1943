"use strict";
// Names and texts of people and of Meta are inserted as text (textContent), never as HTML.

const $ = (id) => document.getElementById(id);
const REFRESH_MS = 10000; // interval of full refreshes; open syncs send events in between
const STATE_TEXT = { needs_reauthorization: "needs re-authorization" };
const view = { page: 1, rows: new Map(), outcomes: new Map(), stream: null, timer: null, typing: null, requests: 0 };

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const number = (value) => value.toLocaleString("en");
// Beyond this the database does not count on.
const upToLimit = (value) => number(value) + (value >= 10000 ? "+" : "");
const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const stateText = (state) => STATE_TEXT[state] || state.replaceAll("_", " ");

function ago(seconds) {
  if (seconds === null) return "never";
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

async function request(path, options = {}) {
  const response = await fetch(path, options).catch(() => { throw new Error("The receiver cannot be reached."); });
  if (response.status === 401 && path !== "/login") showLogin();
  if (response.status === 204) return { status: 204, body: null };
  const body = await response.json().catch(() => ({ error: `HTTP ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(body.error), { status: response.status, body });
  return { status: response.status, body };
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
  if (!view.stream) followSyncs();
  if (!view.timer) view.timer = setInterval(refreshQuietly, REFRESH_MS);
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
    await request("/login", { method: "POST", body: JSON.stringify({ key: $("key").value }) });
    $("key").value = "";
    await start();
  } catch (error) {
    $("login-error").textContent = error.message;
    $("key").select();
  }
});

$("log-out").addEventListener("click", async () => {
  await request("/logout", { method: "POST" }).catch(() => null);
  showLogin();
});

function showOverview(overview) {
  const seconds = (time) => (time ? (new Date(overview.now) - new Date(time)) / 1000 : null);
  const alive = overview.dagsterAlive;
  const pages = Object.entries(overview.pages).filter(([name]) => name !== "removed");
  const owners = overview.pages.needs_reauthorization || 0;
  const figures = [
    ["Pages", number(pages.reduce((sum, [, count]) => sum + count, 0)),
      pages.map(([name, count]) => `${number(count)} ${stateText(name)}`).join(", "), owners ? "warn" : ""],
    ["Open syncs", number(overview.openSessions), `${number(overview.running)} running, ${number(overview.waitingRequests)} requested`, ""],
    ["Open alerts", number(overview.openAlerts), counted(overview.openErrors, "error"), overview.openErrors ? "bad" : overview.openAlerts ? "warn" : "good"],
    ["Deliveries in the inbox", upToLimit(overview.inboxWaiting), overview.inboxOldest ? `oldest ${ago(seconds(overview.inboxOldest))}` : "", seconds(overview.inboxOldest) > 120 ? "bad" : ""],
    ["Deliveries per minute", number(overview.deliveriesAMinute), "", ""],
    ["Quarantined", upToLimit(overview.quarantined), "", overview.quarantined ? "warn" : ""],
    ["Dagster", alive === null ? "unknown" : alive ? "alive" : "no heartbeat",
      overview.dagsterSeenAt ? `last heartbeat ${ago(seconds(overview.dagsterSeenAt))}` : "", alive === false ? "bad" : alive ? "good" : ""],
  ];
  $("figures").replaceChildren(...figures.map(([name, value, more, kind]) => element("div", {},
    element("dt", {}, name), element("dd", kind ? { class: kind } : {}, value, element("small", {}, more)))));
  $("alerts").hidden = !overview.alerts.length;
  $("alert-list").replaceChildren(...overview.alerts.map((one) => element("li", { class: one.severity },
    element("strong", {}, `${one.severity}: ${stateText(one.kind)}`), " ",
    one.summary, " ",
    element("span", { class: "quiet" }, `opened ${ago(seconds(one.openedAt))}`))));
}

function showPages(list) {
  view.rows.clear();
  view.page = list.page;
  for (const page of list.pages) for (const one of page.sessions) isNewer(one);
  const focused = document.activeElement?.id;
  $("pages").replaceChildren(...list.pages.map(row));
  if (focused && document.activeElement?.id !== focused) $(focused)?.focus();
  $("found").textContent = `${counted(list.found, "page")} found`;
  $("place").textContent = list.pageCount ? `${number(list.page)} of ${number(list.pageCount)}` : "";
  $("previous").disabled = list.page <= 1;
  $("next").disabled = list.page >= list.pageCount;
}

function row(page) {
  const outcome = element("p", { class: "outcome" });
  const previous = view.outcomes.get(page.pageId);
  if (previous) outcome.append(previous);
  const sessions = element("div");
  const button = (mode, name) => {
    const node = element("button", { type: "button", id: `${mode}-${page.pageId}`,
      "aria-label": `${name}: ${page.pageName || page.pageId}` }, name);
    node.addEventListener("click", () => requestSync(page, mode));
    return node;
  };
  const tr = element("tr", {},
    element("th", { scope: "row" }, page.pageName || "(no name)", element("small", {}, page.platform === "messenger" ? page.pageId : `${page.pageId}, ${page.platform}`)),
    element("td", { class: page.status === "active" ? "" : "warn" }, stateText(page.status),
      element("small", {}, page.statusReason || "")),
    element("td", { "data-name": "Last sync" }, ago(page.lagSeconds), element("small", {}, page.lastSyncedAt ? new Date(page.lastSyncedAt).toLocaleString() : "")),
    element("td", { class: "number", "data-name": "Conversations" }, number(page.conversations) + (page.more ? "+" : "")),
    element("td", { class: "number", "data-name": "Messages" }, number(page.messages) + (page.more ? "+" : ""),
      page.quarantined ? element("small", { class: "warn" }, `${upToLimit(page.quarantined)} quarantined`) : null),
    element("td", { class: "sync" }, sessions,
      page.status === "removed" ? null : element("div", { class: "actions", role: "group", "aria-label": `Sync ${page.pageName || page.pageId}` },
        button("incremental", "Sync new"), button("full", "Sync all")), outcome));
  view.rows.set(page.pageId, { sessions, outcome, open: new Map(page.sessions.map((one) => [one.sync_session_id, one])) });
  showSessions(page.pageId);
  return tr;
}

function showSessions(pageId) {
  const { sessions, open } = view.rows.get(pageId);
  const boxes = new Map([...sessions.children].map((one) => [one.dataset.session, one]));
  for (const [id, session] of open) {
    let box = boxes.get(id);
    boxes.delete(id);
    if (!box) {
      box = element("div", { class: "session", "data-session": id },
        element("strong"), element("progress", { max: 1, "aria-label": "Progress of the sync" }), element("span"));
      sessions.append(box);
    }
    const [state, bar, message] = box.children;
    state.textContent = stateText(session.state);
    bar.hidden = session.endedAt !== null || (session.fraction === null && session.state !== "running");
    if (session.fraction === null) bar.removeAttribute("value");
    else bar.value = session.fraction;
    message.textContent = session.message;
    box.classList.toggle("bad", session.success === false);
  }
  for (const ended of boxes.values()) ended.remove();
}

async function requestSync(page, mode) {
  showOutcome(page.pageId, "Requesting…");
  try {
    const { body } = await request("/api/conversations/sync", { method: "POST", headers: { Prefer: "respond-async" }, body: JSON.stringify({ pageId: page.pageId, mode }) });
    showOutcome(page.pageId, `Accepted. ${body.message}.`);
  } catch (error) {
    showOutcome(page.pageId, error.message);
  }
}

function showOutcome(pageId, text) {
  view.outcomes.set(pageId, text);
  $("announcement").textContent = text;
  const row = view.rows.get(pageId);
  if (row) row.outcome.textContent = text;
}

const newest = new Map(); // each open session's last change

function isNewer(session) {
  const known = newest.get(session.sync_session_id);
  if (known && known > session.change) return false;
  if (session.endedAt) newest.delete(session.sync_session_id);
  else newest.set(session.sync_session_id, session.change);
  return true;
}

function followSyncs() {
  view.stream = new EventSource("/api/conversations/events");
  view.stream.onopen = () => {
    $("connection").textContent = "Live";
    refreshQuietly(); // syncs that ended while disconnected send no event
  };
  view.stream.onerror = () => {
    stale("Disconnected, reconnecting…");
    if (view.stream?.readyState === EventSource.CLOSED) {
      stop();
      setTimeout(start, 5000);
    }
  };
  view.stream.onmessage = (event) => {
    const session = JSON.parse(event.data);
    const row = view.rows.get(session.pageId);
    if (!isNewer(session) || !row) return;
    const before = row.open.get(session.sync_session_id)?.state;
    row.open.set(session.sync_session_id, session);
    showSessions(session.pageId);
    if (session.state === "running" && before !== "running") {
      if (before === "requested") showOutcome(session.pageId, ""); // the request has become a run
      refreshQuietly();
    }
    if (session.endedAt) {
      showOutcome(session.pageId, `${stateText(session.state)}: ${session.message}`);
      refreshQuietly();
    }
  };
}

async function refresh() {
  const mine = ++view.requests;
  const query = new URLSearchParams({ search: $("search").value, status: $("by-status").value, page: view.page });
  const [pages, overview] = await Promise.all([request(`/api/pages?${query}`), request("/api/overview")]);
  if (mine !== view.requests) return; // a later refresh was started meanwhile
  if (!pages.body.found && view.page > 1) { // fewer pages are found than before
    view.page = 1;
    return refresh();
  }
  view.seen = new Date().toLocaleTimeString();
  showOverview(overview.body);
  showPages(pages.body);
}

const refreshQuietly = () => refresh().then(() => stale(""), (error) => { if (error.status !== 401) stale(error.message); });

// While the receiver cannot be reached the figures are stale, and must be shown as such.
function stale(why) {
  document.body.classList.toggle("stale", Boolean(why));
  if (why) $("connection").textContent = `${why} ${view.seen ? `Figures as of ${view.seen}.` : "No figures yet."}`;
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
