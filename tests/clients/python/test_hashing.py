"""What the SDK hashes arrives as the SDK hashed it; what it does not hash is hashed here."""

import base64
import json
import pathlib
import unittest

from capi_param_builder import PlainDataObject
from facebook_business.adobjects.adspixel import AdsPixel
from facebook_business.adobjects.serverside.gender import Gender
from facebook_business.adobjects.serverside.normalize import Normalize
from facebook_business.adobjects.serverside.user_data import UserData

from support import PIXEL, USER_AGENT, body, connect, event, new_id, send, sha256

VECTORS = pathlib.Path(__file__).parents[2] / "vectors" / "normalize.json"

# How `UserData` calls the fields of the wire that it hashes.
LISTS = {
    "em": "emails",
    "ph": "phones",
    "ge": "genders",
    "db": "dates_of_birth",
    "ln": "last_names",
    "fn": "first_names",
    "ct": "cities",
    "st": "states",
    "zp": "zip_codes",
    "country": "country_codes",
}
SINGLE = ["f5first", "f5last", "fi", "dobd", "dobm", "doby"]

# Rows of normalize.json where this SDK makes another digest than Meta's documents and parameter
# builder ask for, or raises. What it made goes out as it is: nobody can see in a digest what was
# hashed.
DIFFERENT = {
    "takes countries as two letters only": """country-019 country-033 country-037 country-043
        country-045 country-046 country-047 country-067 country-080 country-083 country-086
        country-087 country-098 country-100 country-101 country-102""",
    "keeps birthdays as they are written": """db-006 db-009 db-012 db-021 db-024 db-028 db-030
        db-050 db-058""",
    "keeps spaces and punctuation in names": "fn-019 fn-021 fn-031 fn-043 ln-030 ln-031",
    "leaves words for a gender to its enumeration": """ge-002 ge-006 ge-018 ge-026 ge-028 ge-031
        ge-032 ge-038 ge-047 ge-053 ge-058 ge-061 ge-063""",
    "knows no names of states": "st-006 st-031 st-038 st-048 st-079",
    "raises on what is no phone number": "ph-032 ph-046",
    "knows no appendix": "country-010 ct-042 em-003",
}


def generic(user_data, name="PageView"):
    """Posts the event by the SDK's generic way, which hashes nothing; returns its id."""
    sent = event(name)
    payload = {**sent.normalize(), "user_data": user_data}
    AdsPixel(PIXEL).create_event(params={"data": [payload]})
    return sent.event_id


class Hashing(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        connect()

    def test_every_field_of_user_data(self):
        many = {
            "em": ["Jane@Example.com", "j.doe@example.org"],
            "ph": ["+1 (650) 555-1212", "4915112345678"],
            "ge": [Gender.FEMALE, Gender.MALE],
            "db": ["19970216", "19851213"],
            "ln": ["O'Brien", "van der Berg"],
            "fn": ["Mary Ann", "Valéry"],
            "ct": ["New York", "Zürich"],
            "st": ["CA", "Bayern"],
            "zp": ["94035-1234", "M1 1AE"],
            "country": ["US", "de"],
        }
        single = {
            "f5first": "maryann",
            "f5last": "obrien",
            "fi": "m",
            "dobd": "7",
            "dobm": "02",
            "doby": "1997",
        }
        plain = {
            "client_ip_address": "2001:db8:85a3::8a2e:370:7334",
            "client_user_agent": USER_AGENT,
            "fbc": "fb.1.1554763741205.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB",
            "fbp": "fb.1.1596403881668.1116446470",
            "subscription_id": "sub-1",
            "madid": "38400000-8cf0-11bd-b23e-10b96e40000d",
            "anon_id": "anon-1",
            "ctwa_clid": "ARAkLkA8rmlFeiCktEJQ",
            "page_id": "4000000000000001",
        }
        numbers = {"fb_login_id": "12345678901", "lead_id": "12345678901234567"}
        user_data = UserData(
            external_ids=["Customer 42", "customer-43"],
            **{LISTS[field]: values for field, values in many.items()},
            **single,
            **plain,
            **numbers,
        )
        self.assertIsNone(next((k for k in UserData.param_types if not getattr(user_data, k)), None))
        sent = event("Lead", user_data=user_data)
        send(sent)
        seen = body(sent.event_id)["user_data"]

        wanted = dict(plain)
        for field, values in many.items():
            texts = [value.value if isinstance(value, Gender) else value for value in values]
            wanted[field] = sorted(
                sha256(Normalize.normalize_field_skip_hashing(field, text)) for text in texts
            )
        for field, text in single.items():
            wanted[field] = [sha256(Normalize.normalize_field_skip_hashing(field, text))]
        # these two are integers in Meta's documents, texts in the SDK
        wanted.update({field: int(digits) for field, digits in numbers.items()})
        # the one match key that this SDK sends as it is: hashed here
        wanted["external_id"] = sorted([sha256("customer42"), sha256("customer-43")])
        seen = {k: sorted(v) if isinstance(v, list) else v for k, v in seen.items()}
        self.assertEqual(seen, wanted)

    def test_digests_are_not_hashed_again(self):
        digest = sha256("jane@example.com")
        sent = event(user_data=UserData(email=digest.upper(), external_id=digest))
        send(sent)
        seen = body(sent.event_id)["user_data"]
        self.assertEqual((seen["em"], seen["external_id"]), ([digest], [digest]))

    def test_appendices_are_kept(self):
        """What Meta's parameter builder makes: a digest, a dot, and a tag of 2 or 8 characters."""
        wanted = {}
        fields = ["external_id", *LISTS, *SINGLE]
        for field, tag in zip(fields, ["AQQCAQIB", "AQ", "ABcDEFGh", "Bg"] * len(fields)):
            wanted[field] = [f"{sha256(field)}.{tag}"]
        wanted["client_ip_address"] = "168.212.226.204.ABcDEFGh"
        wanted["fbc"] = "fb.1.1554763741205.AbCdEfGhIjKl.AQQCAQIB"
        wanted["fbp"] = "fb.1.1596403881668.1116446470.AQQCAQIB"
        self.assertEqual(body(generic(wanted))["user_data"], wanted)

        # the ways that the SDK's own class leaves open
        keys = ["external_id", "client_ip_address", "fbc", "fbp"]
        flat = {key: wanted[key] for key in keys}
        flat["external_id"] = wanted["external_id"][0]
        sent = event(user_data=UserData(**flat))
        send(sent)
        self.assertEqual(body(sent.event_id)["user_data"], {key: wanted[key] for key in keys})

    def test_the_parameter_builder_of_the_sdk(self):
        request = PlainDataObject(
            host="shop.example",
            query_params={"fbclid": ["IwAR2F4dbP0l7Mn1IawQQGCINEz7PYXQ"]},
            cookies={},
            referer="https://search.example/",
            x_forwarded_for=None,
            remote_address=None,
            scheme="https",
            request_uri="/thanks?fbclid=IwAR2F4dbP0l7Mn1IawQQGCINEz7PYXQ",
        )
        sent = event(event_source_url=None)
        sent.set_request_context(request)
        built = sent.normalize()
        # version 1, Python
        tag = built["user_data"]["fbc"].split(".")[-1]
        self.assertEqual(base64.urlsafe_b64decode(tag)[:2], b"\x01\x02")
        send(sent)
        seen = body(sent.event_id)
        for key in ("fbc", "fbp"):
            self.assertEqual(seen["user_data"][key], built["user_data"][key])
        self.assertEqual(seen["event_source_url"], built["event_source_url"])

    def test_the_published_vectors(self):
        """The same digest, whoever hashes; and what the SDK made arrives in any case."""
        rows = [
            row
            for row in json.loads(VECTORS.read_text("utf-8"))
            if row["source"] in ("docs-example", "param-builder")
            and row["field"] in LISTS
            and row["sha256"]
            and "context" not in row
        ]
        self.assertGreater(len(rows), 12)
        by_us, by_sdk, different = {}, {}, set()
        for row in rows:
            field, raw = row["field"], row["raw"]
            wanted = row["sha256"] if isinstance(row["sha256"], list) else [row["sha256"]]
            by_us[new_id(row["id"])] = ({field: raw}, wanted)
            values = raw if isinstance(raw, list) else [raw]
            try:
                digests = sorted({Normalize.normalize_field(field, value) for value in values})
            except (TypeError, ValueError):
                different.add(row["id"])
                continue
            by_sdk[new_id(row["id"])] = ({field: digests}, digests)
            if digests != sorted(digest.split(".")[0] for digest in wanted):
                different.add(row["id"])
        self.assertEqual(different, set(" ".join(DIFFERENT.values()).split()))

        payloads = []
        for event_id, (user_data, _) in {**by_us, **by_sdk}.items():
            # some fields alone would identify nobody
            anchored = {"client_ip_address": "168.212.226.204", **user_data}
            payload = event(event_id=event_id).normalize()
            payloads.append({**payload, "user_data": anchored})
        answer = AdsPixel(PIXEL).create_event(params={"data": payloads})
        self.assertEqual(answer["events_received"], len(payloads))
        for event_id, (user_data, wanted) in {**by_us, **by_sdk}.items():
            (field,) = user_data
            self.assertEqual(sorted(body(event_id)["user_data"][field]), sorted(wanted), event_id)


if __name__ == "__main__":
    unittest.main()
