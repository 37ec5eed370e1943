"""Records docs/runthrough.md: make runthrough."""

import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import click
import requests
from playwright.sync_api import Page, expect

from tools.runthrough.record import Record
from tools.runthrough.stage import API_KEY, Stage, browser_page, kill_run, running_stage, until

_SLOW = 1.0  # seconds for each answer
_INTRODUCTION = """# A tour, with faults

`make runthrough` recorded this tour and can record it again (it needs Debian's `chromium`).
It starts everything on one machine with simulated pages, presses buttons as a person would,
kills a run, lets a token expire, and shows the results.
Ids, ports and folders differ each time; names stand for them here."""


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("docs"), show_default=True)
@click.option("--conversations", default=1500, show_default=True)
def main(folder: Path, conversations: int) -> None:
    """Record the run-through into FOLDER/runthrough.md and FOLDER/images."""
    with (
        tempfile.TemporaryDirectory(prefix="mp-") as home,
        browser_page() as browser,
        running_stage(Path(home), 3, conversations) as stage,
    ):
        names = {
            stage.receiver: "http://127.0.0.1:8000",
            stage.ui: "http://127.0.0.1:3000",
            str(home): "/tmp/run-through",  # noqa: S108 - a name in a text
        }
        record = Record(folder, names)
        record.add(_INTRODUCTION)
        page_id = stage.pages()[0]["id"]
        _start(stage, record, browser)
        session = _press_sync_twice(stage, record, browser, page_id)
        events = _Events(stage, session)
        _watch(record, browser, events)
        _kill(stage, record, browser, session)
        _ends(stage, record, browser, session, events)
        _expire(stage, record, browser, stage.pages()[1])
        _restore(stage, record, browser, stage.pages()[1])
        record.write("runthrough.md")


class _Events:
    """The events of a session's stream, received in a thread."""

    def __init__(self, stage: Stage, session: str) -> None:
        self.received: list[dict[str, Any]] = []
        self._stage, self._session = stage, session
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        address = f"{self._stage.receiver}/api/conversations/sync/{self._session}/events"
        headers = {"X-API-Key": API_KEY}
        with requests.get(address, headers=headers, stream=True, timeout=600) as answer:
            for line in answer.iter_lines():
                if line.startswith(b"data:"):
                    self.received.append(json.loads(line[5:]))


def _start(stage: Stage, record: Record, browser: Page) -> None:
    record.add(
        "## Start\n\n`messenger-pipeline dev` runs with a key for the status page and an address"
        " for alerts (the script's own server stands in for a chat). The status page is the"
        " receiver's `/`; it asks for the key once."
    )
    browser.goto(stage.receiver)
    browser.get_by_label("API key").fill(API_KEY)
    browser.get_by_role("button", name="Log in").click()
    expect(browser.locator("#pages tr")).to_have_count(3)
    # All pages are due at first: wait until the schedule has synced them.
    until(lambda: _idle(stage), "the first syncs", 600)
    browser.reload()
    expect(browser.locator("#figures")).to_contain_text("alive")
    browser.screenshot(path=record.picture("start", "The status page: three pages, all synced"))


def _idle(stage: Stage) -> bool:
    pages = stage.ask("GET", "/api/pages").json()["pages"]
    return all(page["lastSyncedAt"] and not page["sessions"] for page in pages)


def _press_sync_twice(stage: Stage, record: Record, browser: Page, page_id: str) -> str:
    record.add(
        "## Press Sync twice\n\n*Sync all* requests a full sync. A second press is refused, because"
        " a sync is in progress. (The simulator answers slowly here, so that there is something to"
        " watch.)"
    )
    stage.order("faults", {"name": "stall", "page": page_id, "seconds": _SLOW, "times": 1000})
    row = browser.locator("#pages tr", has_text=page_id)
    row.get_by_role("button", name="Sync all").click()
    expect(row.locator(".outcome")).to_contain_text("Accepted")
    row.get_by_role("button", name="Sync all").click()
    expect(row.locator(".outcome")).to_contain_text("Sync already in progress")
    browser.screenshot(path=record.picture("409", "The second request is refused"))
    record.add("The control API refuses it, too:")
    answer = stage.ask("POST", "/api/conversations/sync", json={"pageId": page_id})
    if answer.status_code != 409:
        raise AssertionError(f"expected 409, not {answer.status_code}: {answer.text}")
    session = str(answer.json()["sync_session_id"])
    record.names[session] = "SESSION"
    record.show(
        "curl -i -X POST http://127.0.0.1:8000/api/conversations/sync"
        f' -H "X-API-Key: $MESSENGER_API_KEY" -d \'{{"pageId": "{page_id}"}}\'',
        f"HTTP/1.1 {answer.status_code} {answer.reason}\n{_shown(answer.json())}",
    )
    return session


def _watch(record: Record, browser: Page, events: _Events) -> None:
    record.add(
        "## Watch it\n\nWithin seconds Dagster starts a run for the request; the page shows its"
        " progress."
    )
    until(lambda: _share(events) > 0.25, "a quarter of the list")
    browser.screenshot(path=record.picture("progress", "The sync in progress"))
    record.add("The same progress as server-sent events (a selection):")
    selection = "\n".join(
        f"id: {one['sync_session_id']}:{one['change']}\ndata: {_shown(_some(one))}\n"
        for one in events.received[:: max(1, len(events.received) // 4)][:4]
    )
    record.show(
        'curl -N -H "X-API-Key: $MESSENGER_API_KEY"'
        " http://127.0.0.1:8000/api/conversations/sync/SESSION/events",
        selection,
    )


def _share(events: _Events) -> float:
    return float(events.received[-1]["fraction"] or 0) if events.received else 0.0


def _kill(stage: Stage, record: Record, browser: Page, session: str) -> None:
    before = stage.ask("GET", f"/api/conversations/sync/{session}").json()
    pid = kill_run(stage, before["runId"])
    record.names |= {before["runId"]: "RUN", str(pid): "PID"}
    record.add("## Kill its run\n\n`kill -9` ends the run's process in the middle of the walk.")
    record.show(f"kill -9 {pid}", f"{before['synced']:,} conversations were read by then.")
    record.show("messenger-pipeline status", _active(stage.run("status")), "text")
    record.add(
        "Its lease expires within a minute. Then another run resumes the session from the killed"
        " run's last commit."
    )

    def continued() -> dict[str, Any] | None:
        now: dict[str, Any] = stage.ask("GET", f"/api/conversations/sync/{session}").json()
        return now if now["runId"] not in (None, before["runId"]) else None

    after = until(continued, "a run that resumes it")
    record.names[after["runId"]] = "NEXT-RUN"
    if after["synced"] < before["synced"]:
        raise AssertionError("the continuation lost commits")
    record.show(
        'curl -H "X-API-Key: $MESSENGER_API_KEY"'
        " http://127.0.0.1:8000/api/conversations/sync/SESSION",
        _shown(_some(after)),
    )
    browser.screenshot(path=record.picture("continued", "Another run resumes it"))


def _ends(stage: Stage, record: Record, browser: Page, session: str, events: _Events) -> None:
    record.add("## It ends\n\nThe last event has the outcome, and ends the stream:")
    events.thread.join(600)
    last = events.received[-1]
    if last["state"] != "completed":
        raise AssertionError(f"the session ended as {last['state']}")
    record.show("… the same stream", f"data: {_shown(_some(last))}", "text")
    browser.screenshot(path=record.picture("completed", "The sync is complete"))
    record.add(
        "In Dagster a tag finds the runs of the session: the killed one failed, the next one"
        " completed it."
    )
    browser.goto(f"{stage.ui}/runs?q%5B0%5D=tag%3Amessenger%2Fsession%3D{session}")
    expect(browser.get_by_text("Success").first).to_be_visible(timeout=60_000)
    browser.wait_for_timeout(1500)
    browser.screenshot(path=record.picture("runs", "The runs of the session in Dagster"))
    browser.goto(stage.receiver)


def _expire(stage: Stage, record: Record, browser: Page, page: dict[str, Any]) -> None:
    record.add(
        "## A token expires\n\nOne page's token expires in the simulator; the next sync fails."
    )
    stage.order(f"pages/{page['id']}/token", {"state": "expired"})
    record.show(
        f"messenger-pipeline sync {page['id']}; echo $?", stage.run("sync", page["id"], code=True)
    )
    sent = until(lambda: _message(stage, page), "the alert")
    record.add("Within half a minute an alert opens, and this message is sent to the chat once:")
    record.show("… to MESSENGER_ALERT_URL", _shown(sent), "json")
    record.show("messenger-pipeline alerts", stage.run("alerts"), "text")
    browser.reload()
    expect(browser.locator("#alert-list")).to_contain_text("page needs reauthorization")
    browser.screenshot(path=record.picture("alert", "The alert on the status page"))


def _message(stage: Stage, page: dict[str, Any], after: int = 0) -> dict[str, Any] | None:
    found = [one for one in stage.received[after:] if page["id"] in json.dumps(one)]
    return found[0] if found else None


def _restore(stage: Stage, record: Record, browser: Page, page: dict[str, Any]) -> None:
    record.add(
        "## Its owner authorizes it again\n\n`pages add` stores the new token: the page is active"
        " at once, and the alert closes."
    )
    before = len(stage.received)
    stage.order(f"pages/{page['id']}/token", {"state": "valid"})
    record.show(
        f"messenger-pipeline pages add {page['id']} --token-file token.txt",
        stage.run("pages", "add", page["id"], given=page["token"]),
    )
    sent = until(lambda: _message(stage, page, before), "the closing message")
    record.show("… to MESSENGER_ALERT_URL", _shown(sent), "json")
    record.show("messenger-pipeline alerts --all", stage.run("alerts", "--all"), "text")
    browser.reload()
    expect(browser.locator("#alerts")).to_be_hidden()
    browser.screenshot(path=record.picture("closed", "No open alerts"))


def _active(status: str) -> str:
    return status.partition("sync_statistics")[0].rstrip()


def _some(state: dict[str, Any]) -> dict[str, Any]:
    names = (
        "sync_session_id", "state", "synced", "eventsCreated", "hasMore", "success", "fraction",
        "secondsLeft", "speed", "message",
    )  # fmt: skip
    return {name: state[name] for name in names if name in state}


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
