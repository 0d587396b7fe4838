// What the SDK hashes arrives as the SDK hashed it; what it does not hash is hashed here.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  KEY, PIXEL, USER_AGENT, body, connect, event, newId, sdk, send, sha256,
} from './support.mjs';

const HASHED = ['em', 'ph', 'ge', 'db', 'ln', 'fn', 'ct', 'st', 'zp', 'country'];
const SINGLE = ['f5first', 'f5last', 'fi', 'dobd', 'dobm', 'doby'];

// Rows of normalize.json where this SDK makes another digest than Meta's documents and parameter
// builder ask for, none, or throws. What it made goes out as it is: nobody can see in a digest what
// was hashed.
const DIFFERENT = {
  'takes countries as two letters only': `country-019 country-033 country-037 country-043
    country-045 country-046 country-047 country-067 country-080 country-083 country-086 country-087
    country-098 country-100 country-101 country-102`,
  'keeps birthdays as they are written': `db-006 db-009 db-012 db-021 db-024 db-028 db-030 db-050
    db-058`,
  'keeps spaces and punctuation in names': 'fn-019 fn-021 fn-031 fn-043 ln-030 ln-031',
  'knows few words for a gender': `ge-002 ge-006 ge-026 ge-028 ge-031 ge-032 ge-038 ge-047 ge-053
    ge-058 ge-063`,
  'knows no names of states': 'st-006 st-031 st-038 st-048 st-079',
  'throws on what is no phone number': 'ph-032 ph-046',
  'knows no appendix': 'country-010 ct-042 em-003',
};

const sorted = (list) => [...list].sort();

/** Posts payloads by the SDK's generic way, which hashes nothing. */
function generic(data) {
  sdk.FacebookAdsApi.init(KEY, 'en_US', false);
  return new sdk.AdsPixel(PIXEL).createEvent([], { data });
}

connect();

test('every field of user_data', async () => {
  const plain = {
    client_ip_address: '2001:db8:85a3::8a2e:370:7334',
    client_user_agent: USER_AGENT,
    fbc: 'fb.1.1554763741205.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB',
    fbp: 'fb.1.1596403881668.1116446470',
    subscription_id: 'sub-1',
    madid: '38400000-8cf0-11bd-b23e-10b96e40000d',
    anon_id: 'anon-1',
    ctwa_clid: 'ARAkLkA8rmlFeiCktEJQ',
    page_id: '4000000000000001',
  };
  // what each is in the SDK's normal form
  const hashed = {
    em: ['jane@example.com', 'j.doe@example.org'],
    ph: ['16505551212', '4915112345678'],
    ge: ['f', 'm'],
    db: ['19970216', '19851213'],
    ln: ["o'brien", 'van der berg'],
    fn: ['mary ann', 'valéry'],
    ct: ['newyork', 'zürich'],
    st: ['ca', 'bayern'],
    zp: ['94035', 'm11ae'],
    country: ['us', 'de'],
    f5first: ['marya'],
    f5last: ['obrie'],
    fi: ['m'],
    dobd: ['07'],
    dobm: ['02'],
    doby: ['1997'],
  };
  const user = new sdk.UserData()
    .setEmails(['Jane@Example.com', 'j.doe@example.org'])
    .setPhones(['+1 (650) 555-1212', '4915112345678'])
    .setGenders(['Female', 'm'])
    .setDatesOfBirth(['19970216', '19851213'])
    .setLastNames(["O'Brien", 'van der Berg'])
    .setFirstNames(['Mary Ann', 'Valéry'])
    .setCities(['New York', 'Zürich'])
    .setStates(['CA', 'Bayern'])
    .setZips(['94035-1234', 'M1 1AE'])
    .setCountries(['US', 'de'])
    .setExternalIds(['Customer 42', 'customer-43'])
    .setClientIpAddress(plain.client_ip_address)
    .setClientUserAgent(plain.client_user_agent)
    .setFbc(plain.fbc)
    .setFbp(plain.fbp)
    .setSubscriptionId(plain.subscription_id)
    .setFbLoginId('12345678901')
    .setLeadId('12345678901234567')
    .setF5First('maryann')
    .setF5Last('obrien')
    .setFi('m')
    .setDobd('7')
    .setDobm('02')
    .setDoby('1997')
    .setMadid(plain.madid)
    .setAnonId(plain.anon_id)
    .setAppUserId('app-user-1')
    .setCtwaClid(plain.ctwa_clid)
    .setPageId(plain.page_id);
  const sent = event('Lead').setUserData(user);
  await send(sent);
  const seen = (await body(sent.event_id)).user_data;

  const wanted = { ...plain };
  for (const [field, texts] of Object.entries(hashed)) wanted[field] = sorted(texts.map(sha256));
  // integers in Meta's documents, texts in the SDK; this one is more than a double can hold
  assert.equal(String(seen.fb_login_id), '12345678901');
  delete seen.fb_login_id;
  assert.equal(typeof seen.lead_id, 'number');
  delete seen.lead_id;
  // the one match key that this SDK sends as it is: hashed here
  wanted.external_id = sorted([sha256('customer42'), sha256('customer-43')]);
  wanted.app_user_id = sha256('app-user-1');
  for (const [key, value] of Object.entries(seen)) {
    if (Array.isArray(value)) seen[key] = sorted(value);
  }
  assert.deepEqual(seen, wanted);
});

test('digests are not hashed again', async () => {
  const digest = sha256('jane@example.com');
  const user = new sdk.UserData().setEmail(digest.toUpperCase()).setExternalId(digest);
  const sent = event().setUserData(user);
  await send(sent);
  const seen = (await body(sent.event_id)).user_data;
  assert.deepEqual([seen.em, seen.external_id], [[digest], [digest]]);
});

test('appendices are kept', async () => {
  // what Meta's parameter builder makes: a digest, a dot, and a tag of 2 or 8 characters
  const tags = ['AQQCAQIB', 'AQ', 'ABcDEFGh', 'Bg'];
  const wanted = {
    client_ip_address: '168.212.226.204.ABcDEFGh',
    fbc: 'fb.1.1554763741205.AbCdEfGhIjKl.AQQCAQIB',
    fbp: 'fb.1.1596403881668.1116446470.AQQCAQIB',
  };
  ['external_id', ...HASHED, ...SINGLE].forEach((field, at) => {
    wanted[field] = [`${sha256(field)}.${tags[at % tags.length]}`];
  });
  const payload = { ...event().normalize(), user_data: wanted };
  await generic([payload]);
  assert.deepEqual((await body(payload.event_id)).user_data, wanted);

  // the ways that the SDK's own class leaves open
  const { external_id, client_ip_address, fbc, fbp } = wanted;
  const user = new sdk.UserData()
    .setExternalId(external_id[0])
    .setClientIpAddress(client_ip_address)
    .setFbc(fbc)
    .setFbp(fbp);
  const sent = event().setUserData(user);
  await send(sent);
  const seen = (await body(sent.event_id)).user_data;
  assert.deepEqual(seen, { external_id, client_ip_address, fbc, fbp });
});

test('the published vectors: the same digest, whoever hashes', async () => {
  const file = new URL('../../vectors/normalize.json', import.meta.url);
  const rows = JSON.parse(readFileSync(file, 'utf8')).filter((row) =>
    ['docs-example', 'param-builder'].includes(row.source)
    && HASHED.includes(row.field) && row.sha256 && !row.context);
  assert.ok(rows.length > 12);
  const cases = new Map();
  const different = [];
  for (const { id, field, raw, sha256: wanted } of rows) {
    const digests = sorted([wanted].flat());
    cases.set(newId(id), { field, value: raw, wanted: digests });
    let made;
    try {
      made = sorted(new Set([raw].flat().map((one) => sdk.ServerSideUtils.normalizeAndHash(one, field))));
    } catch {
      different.push(id);
      continue;
    }
    const same = JSON.stringify(made) === JSON.stringify(digests.map((one) => one.split('.')[0]));
    if (!same) different.push(id);
    // what it made arrives in any case
    if (made[0] !== null) cases.set(newId(id), { field, value: made, wanted: made });
  }
  assert.deepEqual(sorted(different), sorted(Object.values(DIFFERENT).join(' ').split(/\s+/)));

  const payloads = [...cases].map(([eventId, { field, value }]) => ({
    ...event().setEventId(eventId).normalize(),
    // some fields alone would identify nobody
    user_data: { client_ip_address: '168.212.226.204', [field]: value },
  }));
  const answer = await generic(payloads);
  assert.equal(answer._data.events_received, payloads.length);
  for (const [eventId, { field, wanted }] of cases) {
    assert.deepEqual(sorted((await body(eventId)).user_data[field]), wanted, eventId);
  }
});
