// Every refusal is the SDK's own error, with what a caller written for Graph looks at.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  DAY, KEY, LIMITED_KEY, OTHER_PIXEL, PIXEL, STRICT_KEY, USER_AGENT, arrived, body, checkRefused,
  connect, event, events, mustNotArrive, now, request, sdk, send, someone, stale, thrown,
} from './support.mjs';

connect();
after(checkRefused);

async function refused(list, where = {}) {
  const error = await thrown(request(list, where).execute());
  mustNotArrive(...list);
  return error;
}

function assertError(error, status, code, subcode, transient = false) {
  const { response } = error;
  assert.deepEqual(
    [error.status, response.code, response.error_subcode, response.is_transient],
    [status, code, subcode, transient],
    error.message,
  );
  assert.equal(response.type, 'OAuthException');
  assert.ok(error.message && response.fbtrace_id);
}

test('a key that no source has', async () => {
  const error = await refused([event()], { key: 'EAAB-not-a-key-of-this-gateway' });
  assertError(error, 401, 190);
  assert.ok(!JSON.stringify(error.response).includes('EAAB-not'));
});

test('a pixel that is not configured', async () => {
  assertError(await refused([event()], { pixel: '9999999999999999' }), 400, 100, 33);
});

test('a pixel that is not of the source', async () => {
  assertError(await refused([event()], { pixel: OTHER_PIXEL }), 403, 200);
});

const device = new sdk.ExtendedDeviceInfo().setExtInfoVersion('a2').setOsVersion('');
const cases = {
  'an event of 8 days ago': [2804003, stale],
  'an event of nobody': [2804050, () => event().setUserData(new sdk.UserData().setClientUserAgent(USER_AGENT))],
  'a Purchase without value': [2804009, () => event('Purchase').setCustomData(new sdk.CustomData().setCurrency('EUR'))],
  'an app without a system': [2804043, () => event().setActionSource('app')
    .setAppData(new sdk.AppData().setAdvertiserTrackingEnabled(true).setExtinfo(device))],
  'a message that Meta does not know': [2804066, () => event('Lead').setActionSource('business_messaging')
    .setMessagingChannel('whatsapp').setUserData(new sdk.UserData().setCtwaClid('ARAkLkA8rmlFeiCktEJQ'))],
  'an event of tomorrow': [undefined, () => event().setEventTime(now() + DAY)],
  'no action_source': [undefined, () => event().setActionSource('')],
};
for (const [what, [subcode, make]] of Object.entries(cases)) {
  test(what, async () => assertError(await refused([make()]), 400, 100, subcode));
}

test('a request option that could be an address', async () => {
  const sent = event();
  const error = await thrown(request([sent]).setUploadTag('jane@example.com').execute());
  mustNotArrive(sent);
  assertError(error, 400, 100);
  assert.ok(!JSON.stringify(error.response).includes('jane'));
});

test('more events than Meta takes', async () => {
  assertError(await refused(events(1001)), 400, 100);
});

test('a limit is transient and says when to come back', async () => {
  const limited = { key: LIMITED_KEY };
  assert.equal((await request(events(1000), limited).execute()).events_received, 1000);
  const error = await refused(events(100), limited);
  assertError(error, 429, 4, undefined, true);
  assert.ok(Number(error.headers['retry-after']) > 0);
});

test('the good events of a request are taken', async () => {
  const [good, bad] = [event(), stale()];
  const answer = await send(bad, good);
  assert.equal(answer.events_received, 1);
  assert.ok(answer.messages.some((text) => text.includes('data[0].event_time')));
  mustNotArrive(bad);
  await arrived(good.event_id);
});

test('a strict source refuses all, as Meta does', async () => {
  const strict = { key: STRICT_KEY };
  assertError(await refused([event(), stale()], strict), 400, 100, 2804003);
  const alone = event();
  assert.equal((await request([alone], strict).execute()).events_received, 1);
  await arrived(alone.event_id);
});

test('what is changed is said', async () => {
  const sent = event().setUserData(someone().setClientIpAddress('10.0.0.1'));
  const answer = await send(sent);
  assert.equal(answer.events_received, 1);
  assert.ok(answer.messages.some((text) => text.includes('client_ip_address')));
  assert.equal((await body(sent.event_id)).user_data.client_ip_address, undefined);
});

test('another edge is not ours', async () => {
  sdk.FacebookAdsApi.init(KEY, 'en_US', false);
  const error = await thrown(new sdk.AdsPixel(PIXEL).read(['name']));
  assertError(error, 404, 2500);
});
