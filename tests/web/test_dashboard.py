"""The dashboard and the alert rules in deploy/ query metrics that a receiver exports."""

import json
import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # no dependency on its types

from messenger_pipeline.db.pool import Database
from messenger_pipeline.project import PROJECT
from messenger_pipeline.webhook.drain import drain_batch
from tests.walking import Connect, Simulate, walk, walk_until_switched_off
from tests.web.conftest import serve_receiver
from tests.web.scraping import scrape
from tests.webhook.bodies import body, text

DASHBOARD = json.loads((PROJECT / "deploy/grafana/messenger-pipeline.json").read_text())
RULES = yaml.safe_load((PROJECT / "deploy/prometheus/alerts.yml").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus adds when it scrapes."""

_SERIES = re.compile(r"\b(messenger_\w+|process_\w+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*[=!]~?\s*"')


def expressions() -> list[str]:
    queried = [target["expr"] for panel in PANELS for target in panel["targets"]]
    rules = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    return queried + rules


@pytest.fixture
def exported(
    url: str, database: Database, simulate: Simulate, connect: Connect
) -> dict[str, set[str]]:
    """Each metric's label names, after a sync with errors, webhooks and an alert."""
    simulated = simulate(conversations=20)
    simulated.fault("code_2", times=1)
    page = simulated.page.id
    engine = connect(simulated)
    walk(engine, page, mode="full")
    with serve_receiver(url) as receiver:
        receiver.post(body(text(1, "m1", "a", page=page), page=page))
        drain_batch(database)
        simulated.admin("POST", f"pages/{page}/token", {"state": "expired"})
        walk_until_switched_off(engine, page)
        database.call("update_alerts")
        database.call("record_heartbeat", name="dagster")
        samples = scrape(receiver).samples
    found: dict[str, set[str]] = {"up": set()}
    for name, labels in samples:
        found.setdefault(name, set()).update(label for label, _ in labels)
    return found


def test_every_expression_queries_exported_series(exported: dict[str, set[str]]) -> None:
    queried = set()
    for expression in expressions():
        found = _SERIES.findall(expression)
        assert found, expression
        for name, matchers in found:
            assert name in exported, f"{name} in {expression}"
            labels = set(_MATCHER.findall(matchers))
            assert labels <= exported[name] | OF_PROMETHEUS, expression
        known = set().union(*(exported[name] for name, _ in found)) | OF_PROMETHEUS
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        assert {one.strip() for group in grouped for one in group.split(",")} <= known, expression
        queried |= {name for name, _ in found}
    ours = {name for name in exported if re.fullmatch(r"messenger_\w+(?<!_created)", name)}
    unseen = {re.sub(r"_(bucket|count|sum)$", "", name) for name in ours - queried}
    assert unseen <= {re.sub(r"_(bucket|count|sum)$", "", name) for name in queried}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_has_a_description_unit_and_thresholds(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    for target in panel["targets"]:
        assert target["datasource"] == {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
        shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
        by = {one.strip() for group in grouped for one in group.split(",")}
        assert shown <= by | ({"instance"} if not by else set())


def test_the_dashboard_can_be_imported_with_any_prometheus() -> None:
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert variables["DS_PROMETHEUS"]["type"] == "datasource"
    assert DASHBOARD["id"] is None
    assert DASHBOARD["schemaVersion"] >= 39
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Overview", "Webhooks", "Syncs", "Meta's API", "Alerts"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_no_two_panels_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
