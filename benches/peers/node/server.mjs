// A gateway as one builds it on Meta's official SDK: Fastify takes the events, the SDK's objects
// hold them in memory, and `EventRequest` normalises, hashes and sends them in batches.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify from 'fastify';
import sdk from 'facebook-nodejs-business-sdk';

const { PEER_GRAPH, PEER_TOKEN, PEER_KEY } = process.env;
const BATCH = 1000;
const LINGER_MS = 200;
const IN_FLIGHT = 4;
// answers wait while more than these are in memory
const MOST_WAITING = 20_000;
const RETRY_MS = 1000;

Object.defineProperty(sdk.FacebookAdsApi, 'GRAPH', { get: () => PEER_GRAPH });

// one array or one value, as Meta allows both
const list = (value) => (value === undefined || Array.isArray(value) ? value : [value]);

const userData = (raw) =>
  new sdk.UserData()
    .setEmails(list(raw.em))
    .setPhones(list(raw.ph))
    .setFirstNames(list(raw.fn))
    .setLastNames(list(raw.ln))
    .setCities(list(raw.ct))
    .setStates(list(raw.st))
    .setZips(list(raw.zp))
    .setCountries(list(raw.country))
    .setExternalIds(list(raw.external_id))
    .setClientIpAddress(raw.client_ip_address)
    .setClientUserAgent(raw.client_user_agent)
    .setFbc(raw.fbc)
    .setFbp(raw.fbp);

const content = (raw) =>
  new sdk.Content()
    .setId(raw.id)
    .setQuantity(raw.quantity)
    .setItemPrice(raw.item_price)
    .setTitle(raw.title)
    .setBrand(raw.brand);

const customData = (raw) =>
  new sdk.CustomData()
    .setValue(raw.value)
    .setCurrency(raw.currency)
    .setOrderId(raw.order_id)
    .setContentType(raw.content_type)
    .setContentIds(raw.content_ids)
    .setContents(raw.contents?.map(content))
    .setNumItems(raw.num_items);

// the SDK has no place for `referrer_url`
const serverEvent = (raw) =>
  new sdk.ServerEvent()
    .setEventName(raw.event_name)
    .setEventTime(raw.event_time)
    .setEventId(raw.event_id)
    .setActionSource(raw.action_source)
    .setEventSourceUrl(raw.event_source_url)
    .setDataProcessingOptions(raw.data_processing_options)
    .setUserData(userData(raw.user_data))
    .setCustomData(customData(raw.custom_data ?? {}));

const lanes = new Map();

function laneOf(pixel) {
  let lane = lanes.get(pixel);
  if (lane === undefined) {
    lane = { pixel, waiting: [], inFlight: 0, timer: undefined, forRoom: [] };
    lanes.set(pixel, lane);
  }
  return lane;
}

function flush(lane, isDue) {
  while (lane.inFlight < IN_FLIGHT && (lane.waiting.length >= BATCH || (isDue && lane.waiting.length > 0))) {
    send(lane, lane.waiting.splice(0, BATCH));
  }
  if (lane.waiting.length > 0) {
    lane.timer ??= setTimeout(() => {
      lane.timer = undefined;
      flush(lane, true);
    }, LINGER_MS);
  }
  if (lane.waiting.length <= MOST_WAITING) {
    for (const resume of lane.forRoom.splice(0)) resume();
  }
}

async function send(lane, batch) {
  lane.inFlight += 1;
  try {
    await new sdk.EventRequest(PEER_TOKEN, lane.pixel, batch).execute();
  } catch {
    await sleep(RETRY_MS);
    lane.waiting.unshift(...batch);
  }
  lane.inFlight -= 1;
  flush(lane, false);
}

const app = Fastify({ bodyLimit: 8 << 20 });

app.post('/:version/:pixel/events', async (request, reply) => {
  if (request.headers.authorization !== `Bearer ${PEER_KEY}`) {
    return reply.code(401).send({ error: { message: 'unknown key' } });
  }
  const lane = laneOf(request.params.pixel);
  const events = request.body.data.map(serverEvent);
  lane.waiting.push(...events);
  flush(lane, false);
  while (lane.waiting.length > MOST_WAITING) {
    await new Promise((resume) => lane.forRoom.push(resume));
  }
  return { events_received: events.length, messages: [], fbtrace_id: randomUUID() };
});

await app.listen({ host: '127.0.0.1', port: 0 });
console.log(`listening on 127.0.0.1:${app.server.address().port}`);
