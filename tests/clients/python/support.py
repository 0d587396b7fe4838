"""What the suite works with: the gateway and the sandbox that tests/clients/run.sh has started.

`connect` is all that a user changes: the host. Everything else is the SDK as it was installed.
"""

import hashlib
import json
import os
import time
import urllib.parse
import urllib.request
import uuid

from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

GATEWAY = os.environ["CLIENTS_GATEWAY"]
GATEWAY_TLS = os.environ["CLIENTS_GATEWAY_TLS"]
CERTIFICATE = os.environ["CLIENTS_CERTIFICATE"]
SANDBOX = os.environ["CLIENTS_SANDBOX"]
PIXEL = os.environ["CLIENTS_PIXEL"]
OTHER_PIXEL = os.environ["CLIENTS_OTHER_PIXEL"]
KEY = os.environ["CLIENTS_KEY"]
STRICT_KEY = os.environ["CLIENTS_STRICT_KEY"]
LIMITED_KEY = os.environ["CLIENTS_LIMITED_KEY"]

# seconds that an event may take from the answer to the sandbox
ARRIVAL = 15

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def connect(key=KEY, gateway=GATEWAY, **more):
    """Leads the SDK to the gateway."""
    FacebookSession.GRAPH = gateway
    return FacebookAdsApi.init(access_token=key, crash_log=False, **more)


def new_id(what="event"):
    return f"python-{what}-{uuid.uuid4()}"


def someone(**more):
    return UserData(email="Jane@Example.com", client_user_agent=USER_AGENT, **more)


def event(name="PageView", **more):
    """An event that nothing is wrong with; `more` says what it has beside or instead."""
    fields = {
        "event_name": name,
        "event_time": int(time.time()),
        "event_id": new_id(name),
        "event_source_url": "https://shop.example/page",
        "action_source": ActionSource.WEBSITE,
        "user_data": someone(),
    }
    fields.update(more)
    return Event(**fields)


def send(*events, pixel=PIXEL, **options):
    return EventRequest(pixel_id=pixel, events=list(events), **options).execute()


def sandbox(path, **query):
    url = f"{SANDBOX}/sandbox/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=ARRIVAL) as answer:
        return json.load(answer)


def arrived(event_id):
    """The row of the sandbox's ledger, once the event is there; it is there exactly once."""
    until = time.monotonic() + ARRIVAL
    while True:
        rows = sandbox("ledger", event_id=event_id)["events"]
        if rows:
            assert [row["times"] for row in rows] == [1], rows
            return rows[0]
        if time.monotonic() > until:
            raise AssertionError(f"{event_id} has not arrived")
        time.sleep(0.02)


def body(event_id):
    """The event as it arrived."""
    return arrived(event_id)["body"]


# ids of events that were refused
_refused = []


def must_not_arrive(*events):
    _refused.extend(sent.event_id for sent in events)


def check_refused():
    """None of them has arrived, once all else had the time to."""
    late = [event_id for event_id in _refused if sandbox("ledger", event_id=event_id)["events"]]
    assert not late, late


def batch(event_id):
    """The request that brought the event."""
    (number,) = arrived(event_id)["batches"]
    rows = sandbox("batches", limit=100000)["batches"]
    return next(row for row in rows if row["number"] == number)


def sha256(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
