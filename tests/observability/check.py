"""Holds rules, dashboard and runbooks to what a running gateway exports, and to each other.

Arguments: the address of a Prometheus that has the rules loaded and scrapes the gateway, the gateway's
metrics page, and the program. Prints `ok - …` or `not ok - …` for each check.
"""

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

PROMETHEUS, METRICS, PROGRAM = sys.argv[1:4]
DEPLOY = Path("deploy")

# metrics that no panel shows, and why
NOT_SHOWN = {
    "process_threads": "fixed by the number of cores",
    "process_virtual_memory_bytes": "says nothing about memory in use",
}
# what stands in the dashboard for Grafana to fill in
VARIABLES = {"$__rate_interval": "1m", "$pixel": ".*"}
ROWS = ["Traffic", "Delivery", "Lanes and holds", "Tokens", "Journal and disk", "Dead letters", "Limits", "Receipts"]
SEVERITIES = {"critical", "warning", "info"}
PARTS = ["*Means:*", "*At risk:*", "*Look at:*", "*Do:*"]
# what must be raised in the scene, and nothing else: what needs no time or comes to little
RAISED = {"CapigateTokenInvalid", "CapigateTokenEndsIn30Days", "CapigateDataAccessEnds"}
NOT_OURS = {"job", "instance", "le", "__name__"}

WORDS = {"and", "or", "unless", "bool", "offset", "start", "end", "inf", "nan"}
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[0-9][0-9a-zA-Z.]*|[a-zA-Z_:][a-zA-Z0-9_:]*|\S')


class Failed(Exception):
    pass


def get(path, **query):
    """Prometheus' answer; a query that it does not take is a failure with its words."""
    url = f"{PROMETHEUS}{path}?{urllib.parse.urlencode(query, doseq=True)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            said = json.load(answer)
    except urllib.error.HTTPError as error:
        said = json.load(error)
    if said["status"] != "success":
        raise Failed(f"{said['error']}: {query}")
    return said["data"]


def selectors(expr):
    """Each selector of an expression, with the names of its matchers, and the labels it groups by."""
    tokens, found, grouped = TOKEN.findall(expr), [], set()
    at = 0
    while at < len(tokens):
        token = tokens[at]
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        at += 1
        if not re.match(r"[a-zA-Z_:]", token) or token.lower() in WORDS:
            continue
        if token in LISTS and after == "(":
            end = tokens.index(")", at)
            grouped |= {label for label in tokens[at + 1 : end] if label != ","}
            at = end + 1
        elif after == "{":
            end = tokens.index("}", at)
            inside = tokens[at + 1 : end]
            labels = {label for n, label in enumerate(inside) if n == 0 or inside[n - 1] == ","}
            found.append((token, "".join([token, *tokens[at : end + 1]]), labels))
            at = end + 1
        elif after not in ("(", "by", "without") and token not in LISTS:
            found.append((token, token, set()))
    return found, grouped


def series(selector, seen={}):
    """The series that a selector finds."""
    if selector not in seen:
        # Prometheus has scraped a while, but a series may be new
        seen[selector] = get("/api/v1/series", **{"match[]": selector, "start": time.time() - 600, "end": time.time() + 10})
    return seen[selector]


def evaluate(expr):
    """It parses, and every metric, label and value in it is one that is exported."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    left = re.search(r"\$\{?\w+", expr)
    if left:
        raise Failed(f"{left[0]} is no variable of the dashboard: {expr}")
    get("/api/v1/query", query=expr)
    found, grouped = selectors(expr)
    if not found:
        raise Failed(f"it asks for no metric: {expr}")
    known = set()
    for metric, selector, labels in found:
        of_metric = set().union(*(one.keys() for one in series(metric)))
        if not of_metric:
            raise Failed(f"{metric} is not exported: {expr}")
        if labels - of_metric:
            raise Failed(f"{metric} has no label {', '.join(labels - of_metric)}: {expr}")
        # absent() asks for what must not be there
        if not series(selector):
            raise Failed(f"nothing that is exported fits {selector}: {expr}")
        known |= of_metric
    if grouped - known:
        raise Failed(f"it groups by {', '.join(grouped - known)}, which none of its metrics has: {expr}")
    return {metric for metric, _, _ in found}


def exported():
    with urllib.request.urlopen(METRICS, timeout=10) as page:
        return re.findall(r"^# TYPE (\S+)", page.read().decode(), re.M)


def family(metric, families):
    """A histogram's parts count as the histogram."""
    base = re.sub(r"_(bucket|sum|count)$", "", metric)
    return metric if metric in families else base


def paragraphs():
    """The runbooks by their names."""
    parts = re.split(r"^## (\w+)\n", (DEPLOY / "RUNBOOKS.md").read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def commands(text):
    """The program's commands that stand between backquotes, with their options."""
    for span in re.findall(r"`(capigate [^`]+)`", " ".join(text.split())):
        words = span.split()[1:]
        verbs = []
        for word in words:
            if not re.fullmatch(r"[a-z][a-z-]*", word) or len(verbs) == 2:
                break
            verbs.append(word)
        yield span, verbs, [word for word in words if word.startswith("--")]


def is_command(span, verbs, options, helps={}):
    key = tuple(verbs)
    if key not in helps:
        run = subprocess.run([PROGRAM, *verbs, "--help"], capture_output=True, text=True, check=False, timeout=20)
        helps[key] = run.stdout if run.returncode == 0 else None
    if helps[key] is None:
        raise Failed(f"there is no such command: {span}")
    for option in options:
        if not re.search(rf"{option}\b", helps[key]):
            raise Failed(f"it has no {option}: {span}")


def keys_exist(text, reference):
    """Names of configuration keys, such as `journal.max_bytes`, are keys."""
    sections = set(re.findall(r"^\[(\w+)\]", reference, re.M))
    for section, key in re.findall(r"`(\w+)\.(\w+)`", text):
        if section in sections:
            body = re.split(rf"^\[{section}\]$", reference, flags=re.M)[1]
            body = re.split(r"^#?\[", body, flags=re.M)[0]
            if not re.search(rf"^#?{key} =", body, re.M):
                raise Failed(f"there is no key {section}.{key}")


class Report:
    def __init__(self):
        self.failed = 0

    def check(self, name, work, *args):
        try:
            work(*args)
            print(f"ok - {name}")
        except (Failed, KeyError, ValueError) as error:
            self.failed += 1
            print(f"not ok - {name}\n    {type(error).__name__}: {error}" if not isinstance(error, Failed) else f"not ok - {name}\n    {error}")


def want(holds, what):
    if not holds:
        raise Failed(what)


def check_rule(rule, runbooks):
    used = evaluate(rule["query"])
    notes, name = rule["annotations"], rule["name"]
    want(rule["labels"].get("severity") in SEVERITIES, "no severity")
    want(notes.get("summary") and notes.get("description"), "no summary or description")
    want(notes.get("runbook_url") == f"RUNBOOKS.md#{name.lower()}", "runbook_url is not that of its paragraph")
    want(name in runbooks, "no runbook")
    # what is written into the sentences is there
    labels = set().union(*(one.keys() for metric in used for one in series(metric)))
    for label in re.findall(r"\$labels\.(\w+)", " ".join(notes.values())):
        want(label in labels, f"no label {label}")
    for command in commands(notes["description"]):
        # the pixel of an alert is filled in
        is_command(*command)


def check_runbook(text, reference):
    at = [" ".join(text.split()).find(part) for part in PARTS]
    want(-1 not in at and at == sorted(at), f"it does not have {', '.join(PARTS)}, in this order")
    for command in commands(text):
        is_command(*command)
    keys_exist(text, reference)


def check_links(runbooks):
    text = (DEPLOY / "RUNBOOKS.md").read_text()
    anchors = {name.lower() for name in runbooks}
    links = set(re.findall(r"\]\(#(\w+)\)", text))
    want(links <= anchors, f"they lead nowhere: {links - anchors}")
    want(anchors <= links, f"the list at the top lacks {anchors - links}")


def check_panel(panel):
    title = panel["title"]
    want(panel.get("description"), "no description")
    want(panel["fieldConfig"]["defaults"].get("unit"), "no unit")
    want(panel["datasource"]["uid"] == "${datasource}", "a fixed datasource")
    want(panel["targets"], "no query")
    for target in panel["targets"]:
        evaluate(target["expr"])
    for command in commands(panel["description"]):
        is_command(*command)
    return title


def check_shape(board):
    variables = {one["name"]: one for one in board["templating"]["list"]}
    want(set(variables) == {"datasource", "pixel"}, "its variables are not datasource and pixel")
    query = re.fullmatch(r"label_values\((\w+), (\w+)\)", variables["pixel"]["query"]["query"])
    want(query and query[2] in set().union(*(one.keys() for one in series(query[1]))), "the pixels are not found")
    ids = [panel["id"] for panel in board["panels"]]
    want(len(ids) == len(set(ids)), "two panels have one id")
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    want(set(ROWS) <= set(rows), f"no row {set(ROWS) - set(rows)}")
    taken = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                want(other == panel["title"], f"{other} lies over {panel['title']}")
        want(place["x"] + place["w"] <= 24, f"{panel['title']} is too wide")
    for note in board["annotations"]["list"]:
        if "expr" in note:
            evaluate(note["expr"])


def check_all_shown(board, families):
    shown = set()
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            shown |= {family(metric, families) for metric, _, _ in selectors(target["expr"])[0]}
    missing = set(families) - shown - set(NOT_SHOWN)
    want(not missing, f"no panel shows {', '.join(sorted(missing))}")
    gone = set(NOT_SHOWN) - set(families)
    want(not gone, f"the list of those that are not shown has {gone}, which are not exported")


def check_raised():
    until = time.time() + 20
    while True:
        alerts = get("/api/v1/alerts")["alerts"]
        firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
        if firing >= RAISED or time.time() > until:
            break
        time.sleep(0.5)
    want(firing == RAISED, f"{sorted(firing)} fire")
    pending = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "pending"}
    want("CapigateLaneHeld" in pending, "no lane is held, as far as the rules know")
    for alert in alerts:
        said = " ".join(alert["annotations"].values())
        want("<no value>" not in said and "error" not in said.lower().split(":")[0], f"a template fails: {said}")


def main():
    report = Report()
    groups = get("/api/v1/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    runbooks = paragraphs()
    board = json.loads((DEPLOY / "grafana.json").read_text())
    families = exported()
    reference = subprocess.run([PROGRAM, "config", "reference"], capture_output=True, text=True, check=True).stdout

    report.check("the dashboard has its rows and variables, and no panel lies over another", check_shape, board)
    for rule in rules:
        report.check(f"the rule {rule['name']}", check_rule, rule, runbooks)
    for panel in board["panels"]:
        if panel["type"] != "row":
            report.check(f"the panel {panel['title']}", check_panel, panel)
    for name, text in runbooks.items():
        report.check(f"the runbook {name}", check_runbook, text, reference)
    names = {rule["name"] for rule in rules}
    report.check("every runbook has an alert", lambda: want(set(runbooks) == names, f"{set(runbooks) ^ names}"))
    report.check("the links between runbooks", check_links, runbooks)
    report.check("every metric is shown", check_all_shown, board, families)
    report.check("the scene raises what it should", check_raised)
    for group in groups:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                report.check(f"the rule {rule['name']} evaluates", want, False, rule.get("lastError"))
    return 1 if report.failed else 0


sys.exit(main())
