// What the suite works with: the gateway and the sandbox that tests/clients/run.sh has started.
//
// `connect` is all that a user changes: the host. Everything else is the SDK as it was installed.

import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import sdk from 'facebook-nodejs-business-sdk';

export { sdk };

const { env } = process;
export const GATEWAY = env.CLIENTS_GATEWAY;
export const GATEWAY_TLS = env.CLIENTS_GATEWAY_TLS;
export const PIXEL = env.CLIENTS_PIXEL;
export const OTHER_PIXEL = env.CLIENTS_OTHER_PIXEL;
export const KEY = env.CLIENTS_KEY;
export const STRICT_KEY = env.CLIENTS_STRICT_KEY;
export const LIMITED_KEY = env.CLIENTS_LIMITED_KEY;

export const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
export const DAY = 86400;

// milliseconds that an event may take from the answer to the sandbox
const ARRIVAL = 15_000;

/** Leads the SDK to the gateway. */
export function connect(gateway = GATEWAY) {
  Object.defineProperty(sdk.FacebookAdsApi, 'GRAPH', { configurable: true, get: () => gateway });
}

export const now = () => Math.floor(Date.now() / 1000);
export const newId = (what = 'event') => `node-${what}-${randomUUID()}`;
export const sha256 = (text) => createHash('sha256').update(text, 'utf8').digest('hex');

export const someone = () =>
  new sdk.UserData().setEmail('Jane@Example.com').setClientUserAgent(USER_AGENT);

/** An event that nothing is wrong with. */
export const event = (name = 'PageView') =>
  new sdk.ServerEvent()
    .setEventName(name)
    .setEventTime(now())
    .setEventId(newId(name))
    .setEventSourceUrl('https://shop.example/page')
    .setActionSource('website')
    .setUserData(someone());

export const events = (count) => Array.from({ length: count }, () => event());

export const stale = () => event().setEventTime(now() - 8 * DAY);

export const request = (list, { key = KEY, pixel = PIXEL } = {}) =>
  new sdk.EventRequest(key, pixel, list);

export const send = (...list) => request(list).execute();

export async function sandbox(path, query) {
  const answer = await fetch(`${env.CLIENTS_SANDBOX}/sandbox/${path}?${new URLSearchParams(query)}`);
  return answer.json();
}

/** The row of the sandbox's ledger, once the event is there; it is there exactly once. */
export async function arrived(eventId) {
  const until = Date.now() + ARRIVAL;
  for (;;) {
    const { events: rows } = await sandbox('ledger', { event_id: eventId });
    if (rows.length > 0) {
      assert.deepEqual(rows.map((row) => row.times), [1], eventId);
      return rows[0];
    }
    assert.ok(Date.now() < until, `${eventId} has not arrived`);
    await sleep(20);
  }
}

/** The event as it arrived. */
export const body = async (eventId) => (await arrived(eventId)).body;

/** The request that brought the event. */
export async function batch(eventId) {
  const [number] = (await arrived(eventId)).batches;
  const { batches } = await sandbox('batches', { limit: 100000 });
  return batches.find((row) => row.number === number);
}

const refused = [];

/** Notes events that were refused. */
export function mustNotArrive(...list) {
  refused.push(...list.map((sent) => sent.event_id));
}

/** None of them has arrived, once all else had the time to. */
export async function checkRefused() {
  for (const id of refused) {
    assert.deepEqual((await sandbox('ledger', { event_id: id })).events, [], id);
  }
}

/** What the SDK throws, which has to be its own error. */
export async function thrown(promise) {
  const error = await promise.then(
    (answer) => assert.fail(`it was taken: ${JSON.stringify(answer)}`),
    (reason) => reason,
  );
  assert.equal(error.name, 'FacebookRequestError', error.stack);
  return error;
}
