"""Every kind of event that the SDK can build arrives as it was built."""

import time
import unittest

from facebook_business.adobjects.adspixel import AdsPixel
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.app_data import AppData
from facebook_business.adobjects.serverside.attribution_data import AttributionData
from facebook_business.adobjects.serverside.attribution_setting import AttributionSetting
from facebook_business.adobjects.serverside.content import Content
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.delivery_category import DeliveryCategory
from facebook_business.adobjects.serverside.extended_device_info import ExtendedDeviceInfo
from facebook_business.adobjects.serverside.messaging_channel import MessagingChannel
from facebook_business.adobjects.serverside.original_event_data import OriginalEventData
from facebook_business.adobjects.serverside.user_data import UserData

from support import PIXEL, arrived, batch, body, connect, event, new_id, send, someone

STANDARD = """AddPaymentInfo AddToCart AddToWishlist CompleteRegistration Contact CustomizeProduct
    Donate FindLocation InitiateCheckout Lead PageView Purchase Schedule Search StartTrial
    SubmitApplication Subscribe ViewContent""".split()

DEVICE = ExtendedDeviceInfo(
    ext_info_version="a2",
    app_package_name="com.example.shop",
    short_version="7.1",
    long_version="7.1.3",
    os_version="15",
    device_model_name="Pixel 9",
    locale="en_US",
    timezone_abbreviation="PST",
    carrier="Example Mobile",
    screen_width=1080,
    screen_height=2424,
    screen_density="2.6",
    cpu_core_count=8,
    total_disk_space_gb=128,
    free_disk_space_gb=54,
    device_time_zone="America/Los_Angeles",
)


class Events(unittest.TestCase):
    def setUp(self):
        connect()

    def test_one_event(self):
        sent = event("ViewContent")
        answer = send(sent)
        self.assertEqual(answer.events_received, 1)
        self.assertTrue(answer.fbtrace_id)
        self.assertEqual(body(sent.event_id)["event_name"], "ViewContent")

    def test_every_standard_event_and_a_custom_one(self):
        money = CustomData(value=1.5, currency="eur")
        events = [event(name, custom_data=money) for name in [*STANDARD, "MembershipRenewed"]]
        self.assertEqual(send(*events).events_received, len(events))
        for sent in events:
            self.assertEqual(body(sent.event_id)["event_name"], sent.event_name)

    def test_every_action_source(self):
        now = int(time.time())
        more = {
            ActionSource.APP: {"app_data": AppData(advertiser_tracking_enabled=True, extinfo=DEVICE)},
            ActionSource.PHYSICAL_STORE: {"event_time": now - 30 * 86400},
        }
        for source in ActionSource:
            if source == ActionSource.BUSINESS_MESSAGING:
                # its own test: the SDK's class has no place for what Meta asks for
                continue
            with self.subTest(source=source.value):
                sent = event("Lead", action_source=source, **more.get(source, {}))
                self.assertEqual(send(sent).events_received, 1)
                self.assertEqual(body(sent.event_id)["action_source"], source.value)

    def test_business_messaging(self):
        """`UserData` knows no whatsapp_business_account_id, so this goes the SDK's other way."""
        user_data = UserData(ctwa_clid="ARAkLkA8rmlFeiCktEJQ").normalize()
        user_data["whatsapp_business_account_id"] = "102290129340398"
        sent = event(
            "LeadSubmitted",
            event_source_url=None,
            action_source=ActionSource.BUSINESS_MESSAGING,
            messaging_channel=MessagingChannel.WHATSAPP,
        )
        payload = {**sent.normalize(), "user_data": user_data}
        answer = AdsPixel(PIXEL).create_event(params={"data": [payload]})
        self.assertEqual(answer["events_received"], 1)
        seen = body(sent.event_id)
        self.assertEqual(seen["messaging_channel"], "whatsapp")
        self.assertEqual(seen["user_data"], user_data)

    def test_app_data(self):
        app_data = AppData(
            application_tracking_enabled=False,
            advertiser_tracking_enabled=True,
            campaign_ids="cid=1",
            consider_views=True,
            extinfo=DEVICE,
            include_dwell_data=True,
            include_video_data=False,
            install_referrer="utm_source=example",
            installer_package="com.android.vending",
            receipt_data="receipt",
            url_schemes="example-shop",
            windows_attribution_id="w1",
        )
        self.assertIsNone(next((k for k in AppData.param_types if getattr(app_data, k) is None), None))
        sent = event("Lead", action_source=ActionSource.APP, app_data=app_data)
        send(sent)
        seen = body(sent.event_id)["app_data"]
        wanted = app_data.normalize()
        # Meta's documents have 0 and 1, and texts in every place
        wanted.update(application_tracking_enabled=0, advertiser_tracking_enabled=1)
        wanted["extinfo"] = [str(place) for place in wanted["extinfo"]]
        self.assertEqual(seen, wanted)

    def test_a_device_of_which_little_is_known(self):
        device = ExtendedDeviceInfo(ext_info_version="i2", os_version="18.1")
        sent = event(
            "Lead",
            action_source=ActionSource.APP,
            app_data=AppData(advertiser_tracking_enabled=False, extinfo=device),
        )
        send(sent)
        places = body(sent.event_id)["app_data"]["extinfo"]
        self.assertEqual(places, ["i2", "", "", "", "18.1"] + [""] * 11)

    def test_custom_data(self):
        contents = [
            Content(
                product_id=f"sku-{category.value}",
                quantity=2,
                item_price=10.5,
                title="Mug",
                description="A mug",
                brand="Example",
                category="kitchen",
                delivery_category=category,
            )
            for category in DeliveryCategory
        ]
        custom_data = CustomData(
            value=142.52,
            net_revenue=42.5,
            currency="USD",
            content_name="Mugs",
            content_category="kitchen",
            content_ids=["sku-1", "sku-2"],
            contents=contents,
            content_type="product",
            order_id="order-1001",
            predicted_ltv=500.25,
            num_items=6,
            status="registered",
            search_string="blue mug",
            delivery_category=DeliveryCategory.CURBSIDE,
            item_number="item-7",
            custom_properties={"gift": True, "shelf": {"row": 3}, "tags": ["a", "b"]},
        )
        self.assertIsNone(next((k for k in CustomData.param_types if not getattr(custom_data, k)), None))
        sent = event("Purchase", custom_data=custom_data)
        send(sent)
        # this SDK has currencies in small letters; Meta's list has capitals
        self.assertEqual(body(sent.event_id)["custom_data"], {**custom_data.normalize(), "currency": "USD"})

    def test_the_other_members_of_an_event(self):
        now = int(time.time())
        sent = event(
            "Purchase",
            custom_data=CustomData(value=0.0, currency="usd"),
            opt_out=True,
            referrer_url="https://search.example/",
            advanced_measurement_table="table-1",
            original_event_data=OriginalEventData("Lead", now - 60, "order-1", "lead-1"),
            attribution_data=AttributionData(
                scope="click",
                visit_time=now - 600,
                ad_id="1",
                adset_id="2",
                campaign_id="3",
                attribution_share=0.5,
                attr_window=7,
                attribution_value=5.5,
                attribution_source="example",
                touchpoint_type="click",
                touchpoint_ts=now - 700,
                auditing_token="a",
                linkage_key="l",
                touchpoint_id="t",
                attribution_setting=AttributionSetting(12, 24),
                total_credit=1.0,
                partner_client_id="p",
            ),
        )
        send(sent)
        seen, wanted = body(sent.event_id), sent.normalize()
        for member in (
            "opt_out",
            "referrer_url",
            "advanced_measurement_table",
            "original_event_data",
            "attribution_data",
            "event_time",
            "event_source_url",
        ):
            self.assertEqual(seen[member], wanted[member], member)
        self.assertEqual(seen["custom_data"], {"value": 0, "currency": "USD"})

    def test_limited_data_use(self):
        prefix = "data_processing_options"
        members = [prefix, f"{prefix}_country", f"{prefix}_state"]
        for values in [(["LDU"], 1, 1000), (["LDU"], 0, 0), ([],), ()]:
            with self.subTest(values=values):
                wanted = dict(zip(members, values))
                sent = event(**wanted)
                send(sent)
                seen = body(sent.event_id)
                self.assertEqual({key: seen[key] for key in members if key in seen}, wanted)

    def test_request_options(self):
        options = {
            "test_event_code": "TEST12345",
            "partner_agent": "exampleplatform",
            "upload_tag": "shop 2026-11",
            "upload_id": "1001",
            "upload_source": "crm",
            "namespace_id": "123456789",
        }
        sent = event()
        send(sent, **options)
        self.assertEqual(batch(sent.event_id)["options"], options)
        sent = event()
        send(sent)
        self.assertEqual(batch(sent.event_id)["options"], {})

    def test_as_many_events_as_meta_takes(self):
        events = [event(event_id=new_id(str(n)), user_data=someone()) for n in range(1000)]
        self.assertEqual(send(*events).events_received, 1000)
        for sent in (events[0], events[499], events[999]):
            arrived(sent.event_id)

    def test_text_of_any_script(self):
        name = 'Größe & Farbe: 100% «blau» + 東京 😀 = a&b;c=d\n"x"\\'
        sent = event("Search", custom_data=CustomData(search_string=name, content_name="%41+%26"))
        send(sent)
        seen = body(sent.event_id)["custom_data"]
        self.assertEqual((seen["search_string"], seen["content_name"]), (name, "%41+%26"))


if __name__ == "__main__":
    unittest.main()
