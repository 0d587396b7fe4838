"""The ways in which the SDK posts: form, async, batch processor, own client, Graph batch, TLS."""

import asyncio
import json
import os
import time
import unittest
from unittest import mock

import requests
from facebook_business.adobjects.adspixel import AdsPixel
from facebook_business.adobjects.serverside.batch_processor import BatchProcessor
from facebook_business.adobjects.serverside.event_request_async import EventRequestAsync
from facebook_business.adobjects.serverside.http_service_interface import HttpServiceInterface
from facebook_business.adobjects.serverside.user_data import UserData

from support import (
    CERTIFICATE,
    GATEWAY_TLS,
    KEY,
    PIXEL,
    arrived,
    batch,
    body,
    check_refused,
    connect,
    event,
    must_not_arrive,
    send,
)


def tearDownModule():
    check_refused()


class OwnClient(HttpServiceInterface):
    """What a shop writes that has an HTTP client of its own."""

    def execute(self, url, method, request_options, headers, params):
        return requests.request(method, url, headers=headers, json=params, timeout=20).json()


class Ways(unittest.TestCase):
    def setUp(self):
        self.api = connect()

    def test_the_generic_way_with_events_as_objects_and_as_texts(self):
        forms = [list, lambda payloads: [json.dumps(one) for one in payloads], json.dumps]
        for form in forms:
            payloads = [event().normalize() for _ in range(2)]
            answer = AdsPixel(PIXEL).create_event(params={"data": form(payloads)})
            self.assertEqual(answer["events_received"], 2)
            for payload in payloads:
                arrived(payload["event_id"])

    def test_raw_values_by_the_generic_way(self):
        payload = event().normalize()
        payload["user_data"] = {"em": "Jane@Example.com", "ph": "+1 650 555 1212"}
        AdsPixel(PIXEL).create_event(params={"data": [payload]})
        wanted = UserData(email="jane@example.com", phone="16505551212").normalize()
        self.assertEqual(body(payload["event_id"])["user_data"], wanted)

    def test_async(self):
        sent = event()
        options = {"test_event_code": "TEST777", "partner_agent": "exampleplatform"}
        answer = asyncio.run(EventRequestAsync(PIXEL, [sent], **options).execute())
        self.assertEqual((answer.events_received, answer.messages), (1, []))
        self.assertEqual(batch(sent.event_id)["options"], options)

    def test_several_at_once(self):
        events = [event() for _ in range(20)]

        async def all_of_them():
            return await asyncio.gather(*(EventRequestAsync(PIXEL, [e]).execute() for e in events))

        self.assertEqual([a.events_received for a in asyncio.run(all_of_them())], [1] * 20)
        for sent in events:
            arrived(sent.event_id)

    def test_async_with_a_refusal(self):
        """The SDK's async form makes no error of an error: it looks for the trace id of a success."""
        stale = event(event_time=int(time.time()) - 8 * 86400)
        with self.assertRaises(KeyError):
            asyncio.run(EventRequestAsync(PIXEL, [stale]).execute())
        must_not_arrive(stale)

    def test_the_batch_processor_with_events(self):
        events = [event() for _ in range(35)]
        to_clone = EventRequestAsync(PIXEL, [], upload_tag="nightly")
        BatchProcessor(batch_size=10, concurrent_requests=2).process_events(to_clone, events)
        for sent in events:
            arrived(sent.event_id)
        self.assertEqual(batch(events[-1].event_id)["options"], {"upload_tag": "nightly"})

    def test_the_batch_processor_with_requests(self):
        events = [event() for _ in range(7)]
        every = [EventRequestAsync(PIXEL, [sent]) for sent in events]
        BatchProcessor(concurrent_requests=3).process_event_requests(every)
        for sent in events:
            arrived(sent.event_id)

    def test_an_http_client_of_the_shop(self):
        sent = event()
        how = {"http_client": OwnClient(), "access_token": KEY, "appsecret": "app-secret-example"}
        answer = send(sent, **how)
        self.assertEqual((answer["events_received"], answer["messages"]), (1, []))
        arrived(sent.event_id)

    def test_an_app_secret_beside_the_key(self):
        """The proof is about the caller's key: it is taken and left out of what goes to Meta."""
        connect(app_id="1", app_secret="app-secret-example")
        sent, later = event(), event()
        self.assertEqual(send(sent).events_received, 1)
        self.assertEqual(asyncio.run(EventRequestAsync(PIXEL, [later]).execute()).events_received, 1)
        for one in (sent, later):
            arrived(one.event_id)

    def test_another_version(self):
        connect(api_version="v22.0")
        sent = event()
        send(sent)
        arrived(sent.event_id)

    def test_a_batch_of_graph(self):
        good, stale = event(), event(event_time=int(time.time()) - 8 * 86400)
        said = []
        bundle = self.api.new_batch()
        for sent in (good, stale):
            AdsPixel(PIXEL).create_event(
                params={"data": [sent.normalize()], "upload_tag": "a b-c"},
                batch=bundle,
                success=lambda answer: said.append(("good", answer.json()["events_received"])),
                failure=lambda answer: said.append(("bad", answer.error().api_error_subcode())),
            )
        self.assertIsNone(bundle.execute())
        self.assertEqual(said, [("good", 1), ("bad", 2804003)])
        self.assertEqual(batch(good.event_id)["options"], {"upload_tag": "a b-c"})
        must_not_arrive(stale)

    def test_a_batch_of_graph_with_all_it_may_hold(self):
        events = [event() for _ in range(50)]
        said = []
        bundle = self.api.new_batch()
        for sent in events:
            AdsPixel(PIXEL).create_event(
                params={"data": [sent.normalize()]},
                batch=bundle,
                success=lambda answer: said.append(answer.status()),
            )
        bundle.execute()
        self.assertEqual(said, [200] * 50)
        for sent in events:
            arrived(sent.event_id)

    def test_tls(self):
        """The SDK has a list of authorities of its own; of a private one the environment tells it."""
        connect(gateway=GATEWAY_TLS)
        with self.assertRaises(requests.exceptions.SSLError):
            send(event())
        sent = event()
        with mock.patch.dict(os.environ, REQUESTS_CA_BUNDLE=CERTIFICATE):
            self.assertEqual(send(sent).events_received, 1)
        arrived(sent.event_id)


if __name__ == "__main__":
    unittest.main()
