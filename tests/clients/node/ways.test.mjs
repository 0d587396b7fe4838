// The ways in which the SDK posts: JSON, batch processor, own client, Graph batch, TLS.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  GATEWAY_TLS, KEY, PIXEL, arrived, batch, body, checkRefused, connect, event, events,
  mustNotArrive, request, sdk, send, sha256, stale,
} from './support.mjs';

connect();
after(checkRefused);

/** What a shop writes that has an HTTP client of its own. */
class OwnClient extends sdk.HttpServiceInterface {
  async executeRequest(url, method, headers, params) {
    const answer = await fetch(url, { method, headers, body: JSON.stringify(params) });
    return answer.json();
  }
}

test('the generic way, with values that nobody has hashed', async () => {
  const payload = { ...event().normalize(), user_data: { em: 'Jane@Example.com' } };
  sdk.FacebookAdsApi.init(KEY, 'en_US', false);
  const answer = await new sdk.AdsPixel(PIXEL).createEvent([], { data: [payload] });
  assert.equal(answer._data.events_received, 1);
  assert.deepEqual((await body(payload.event_id)).user_data.em, [sha256('jane@example.com')]);
});

test('several at once', async () => {
  const list = events(20);
  const answers = await Promise.all(list.map((sent) => send(sent)));
  assert.deepEqual(answers.map((answer) => answer.events_received), Array(20).fill(1));
  for (const sent of list) await arrived(sent.event_id);
});

test('the batch processor, with events', async () => {
  const list = events(35);
  const toClone = request([]).setUploadTag('nightly');
  await new sdk.BatchProcessor(10, 2).processEvents(toClone, list);
  for (const sent of list) await arrived(sent.event_id);
  assert.deepEqual((await batch(list[34].event_id)).options, { upload_tag: 'nightly' });
});

test('the batch processor, with requests', async () => {
  const list = events(7);
  await new sdk.BatchProcessor(5, 3).processEventRequests(list.map((sent) => request([sent])));
  for (const sent of list) await arrived(sent.event_id);
});

test('an HTTP client of the shop', async () => {
  const sent = event();
  const answer = await request([sent]).setHttpService(new OwnClient()).execute();
  assert.equal(answer.events_received, 1);
  await arrived(sent.event_id);
});

test('an app secret beside the key', async () => {
  // the proof is about the caller's key: it is taken and left out of what goes to Meta
  const sent = event();
  const answer = await request([sent]).setAppSecret('app-secret-example').execute();
  assert.deepEqual([answer.events_received, answer.messages], [1, []]);
  assert.deepEqual((await batch(sent.event_id)).options, {});
});

test('debug mode', async () => {
  const sent = event();
  const { log } = console;
  const said = [];
  console.log = (...words) => said.push(words);
  try {
    await request([sent]).setDebugMode(true).execute();
  } finally {
    console.log = log;
  }
  assert.ok(said.length > 0);
  await arrived(sent.event_id);
});

const inBatch = (bundle, sent, said) =>
  bundle.add(
    'POST',
    [PIXEL, 'events'],
    { data: [sent.normalize()], upload_tag: 'nightly' },
    undefined,
    (answer) => said.push(['good', answer.body.events_received]),
    (answer) => said.push(['bad', answer.error.name, answer.error.response.error.error_subcode]),
  );

test('a batch of Graph', async () => {
  const [good, bad, said] = [event(), stale(), []];
  const api = sdk.FacebookAdsApi.init(KEY, 'en_US', false);
  const bundle = new sdk.FacebookAdsApiBatch(api);
  inBatch(bundle, good, said);
  inBatch(bundle, bad, said);
  assert.equal(await bundle.execute(), null);
  assert.deepEqual(said, [['good', 1], ['bad', 'FacebookRequestError', 2804003]]);
  mustNotArrive(bad);
  assert.deepEqual((await batch(good.event_id)).options, { upload_tag: 'nightly' });
});

test('a batch of Graph with an event that the SDK cuts off', async () => {
  // this SDK does not encode what it puts into a batch, so an & ends the events early
  const [good, cut, said] = [event(), event(), []];
  cut.setEventSourceUrl('https://shop.example/page?a=b&c=d');
  const bundle = new sdk.FacebookAdsApiBatch(sdk.FacebookAdsApi.init(KEY, 'en_US', false));
  inBatch(bundle, cut, said);
  inBatch(bundle, good, said);
  await bundle.execute();
  assert.deepEqual(said, [['bad', 'FacebookRequestError', undefined], ['good', 1]]);
  mustNotArrive(cut);
  await arrived(good.event_id);
});

test('a batch of Graph with all it may hold', async () => {
  const [list, said] = [events(50), []];
  const bundle = new sdk.FacebookAdsApiBatch(sdk.FacebookAdsApi.init(KEY, 'en_US', false));
  for (const sent of list) inBatch(bundle, sent, said);
  await bundle.execute();
  assert.deepEqual(said, Array(50).fill(['good', 1]));
  for (const sent of list) await arrived(sent.event_id);
});

test('TLS', async () => {
  connect(GATEWAY_TLS);
  try {
    const sent = event();
    assert.equal((await send(sent)).events_received, 1);
    await arrived(sent.event_id);
  } finally {
    connect();
  }
});
