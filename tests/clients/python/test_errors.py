"""Every refusal is the SDK's own error, with what a caller written for Graph looks at."""

import time
import unittest

from facebook_business.adobjects.adspixel import AdsPixel
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.app_data import AppData
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.extended_device_info import ExtendedDeviceInfo
from facebook_business.adobjects.serverside.messaging_channel import MessagingChannel
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.exceptions import FacebookRequestError

from support import (
    LIMITED_KEY,
    OTHER_PIXEL,
    PIXEL,
    STRICT_KEY,
    USER_AGENT,
    arrived,
    body,
    check_refused,
    connect,
    event,
    must_not_arrive,
    new_id,
    send,
    someone,
)

DAY = 86400


def tearDownModule():
    check_refused()


class Errors(unittest.TestCase):
    def setUp(self):
        connect()

    def refused(self, *events, **more):
        with self.assertRaises(FacebookRequestError) as caught:
            send(*events, **more)
        must_not_arrive(*events)
        return caught.exception

    def assert_error(self, error, status, code, subcode=None, transient=False):
        seen = (
            error.http_status(),
            error.api_error_code(),
            error.api_error_subcode(),
            error.api_transient_error(),
        )
        self.assertEqual(seen, (status, code, subcode, transient), error.api_error_message())
        self.assertEqual(error.api_error_type(), "OAuthException")
        self.assertTrue(error.api_error_message())
        self.assertTrue(error.body()["error"]["fbtrace_id"])

    def test_a_key_that_no_source_has(self):
        connect("EAAB-not-a-key-of-this-gateway")
        error = self.refused(event())
        self.assert_error(error, 401, 190)
        self.assertNotIn("EAAB-not", str(error.body()))

    def test_a_pixel_that_is_not_configured(self):
        self.assert_error(self.refused(event(), pixel="9999999999999999"), 400, 100, 33)

    def test_a_pixel_that_is_not_of_the_source(self):
        self.assert_error(self.refused(event(), pixel=OTHER_PIXEL), 403, 200)

    def test_events_that_meta_would_refuse(self):
        device = ExtendedDeviceInfo(ext_info_version="a2", os_version="")
        app_data = AppData(advertiser_tracking_enabled=True, extinfo=device)
        money = CustomData(currency="eur")
        cases = {
            "stale": (2804003, {"event_time": int(time.time()) - 8 * DAY}),
            "nobody": (2804050, {"user_data": UserData(client_user_agent=USER_AGENT)}),
            "no value": (2804009, {"name": "Purchase", "custom_data": money}),
            "no system": (2804043, {"action_source": ActionSource.APP, "app_data": app_data}),
            "no such message": (
                2804066,
                {
                    "name": "Lead",
                    "action_source": ActionSource.BUSINESS_MESSAGING,
                    "messaging_channel": MessagingChannel.WHATSAPP,
                    "user_data": UserData(ctwa_clid="ARAkLkA8rmlFeiCktEJQ"),
                },
            ),
            "no such time": (None, {"event_time": int(time.time()) + DAY}),
        }
        for what, (subcode, more) in cases.items():
            with self.subTest(what):
                error = self.refused(event(**more))
                self.assert_error(error, 400, 100, subcode)
                (fault,) = error.body()["errors"]
                self.assertEqual(fault["index"], 0)
                self.assertTrue(fault["path"] and fault["rule"])

    def test_a_request_option_that_could_be_an_address(self):
        error = self.refused(event(), upload_tag="jane@example.com")
        self.assert_error(error, 400, 100)
        self.assertNotIn("jane", str(error.body()))

    def test_more_events_than_meta_takes(self):
        events = [event(event_id=new_id(str(n))) for n in range(1001)]
        self.assert_error(self.refused(*events), 400, 100)

    def test_a_limit_is_transient_and_says_when_to_come_back(self):
        connect(LIMITED_KEY)
        events = [event(event_id=new_id(str(n))) for n in range(1000)]
        self.assertEqual(send(*events).events_received, 1000)
        # the sandbox keeps the last 1,000 bodies: those of the next tests must come after these
        for one in events[::100] + events[-1:]:
            arrived(one.event_id)
        error = self.refused(*(event() for _ in range(100)))
        self.assert_error(error, 429, 4, transient=True)
        self.assertGreater(int(error.http_headers()["Retry-After"]), 0)

    def test_the_good_events_of_a_request_are_taken(self):
        good, stale = event(), event(event_time=int(time.time()) - 8 * DAY)
        answer = send(stale, good)
        self.assertEqual(answer.events_received, 1)
        self.assertTrue(any("data[0].event_time" in text for text in answer.messages))
        self.assertEqual(body(good.event_id)["event_name"], "PageView")
        must_not_arrive(stale)

    def test_a_strict_source_refuses_all_as_meta_does(self):
        connect(STRICT_KEY)
        good, stale = event(), event(event_time=int(time.time()) - 8 * DAY)
        self.assert_error(self.refused(good, stale), 400, 100, 2804003)
        alone = event()
        self.assertEqual(send(alone).events_received, 1)
        body(alone.event_id)

    def test_what_is_changed_is_said(self):
        sent = event(user_data=someone(client_ip_address="10.0.0.1"))
        answer = send(sent)
        self.assertEqual(answer.events_received, 1)
        self.assertTrue(any("client_ip_address" in text for text in answer.messages))
        self.assertNotIn("client_ip_address", body(sent.event_id)["user_data"])

    def test_another_edge_is_not_ours(self):
        for call in (lambda: AdsPixel(PIXEL).api_get(fields=["name"]), lambda: AdsPixel(PIXEL).get_stats()):
            with self.assertRaises(FacebookRequestError) as caught:
                call()
            self.assertEqual(caught.exception.http_status(), 404)
            self.assertEqual(caught.exception.api_error_code(), 2500)


if __name__ == "__main__":
    unittest.main()
