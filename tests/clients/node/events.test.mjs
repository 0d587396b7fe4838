// Every kind of event that the SDK can build arrives as it was built.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DAY, PIXEL, KEY, arrived, batch, body, connect, event, events, now, request, sdk, send,
} from './support.mjs';

const STANDARD = `AddPaymentInfo AddToCart AddToWishlist CompleteRegistration Contact
  CustomizeProduct Donate FindLocation InitiateCheckout Lead PageView Purchase Schedule Search
  StartTrial SubmitApplication Subscribe ViewContent`.split(/\s+/);

const SOURCES = ['website', 'app', 'physical_store', 'system_generated', 'email', 'phone_call',
  'chat', 'other'];

const device = () =>
  new sdk.ExtendedDeviceInfo()
    .setExtInfoVersion('a2')
    .setAppPackageName('com.example.shop')
    .setShortVersion('7.1')
    .setLongVersion('7.1.3')
    .setOsVersion('15')
    .setDeviceModelName('Pixel 9')
    .setLocale('en_US')
    .setTimezoneAbbreviation('PST')
    .setCarrier('Example Mobile')
    .setScreenWidth(1080)
    .setScreenHeight(2424)
    .setScreenDensity('2.6')
    .setCpuCoreCount(8)
    .setTotalDiskSpaceGb(128)
    .setFreeDiskSpaceGb(54)
    .setDeviceTimeZone('America/Los_Angeles');

const PLACES = ['a2', 'com.example.shop', '7.1', '7.1.3', '15', 'Pixel 9', 'en_US', 'PST',
  'Example Mobile', '1080', '2424', '2.6', '8', '128', '54', 'America/Los_Angeles'];

const appData = (extinfo) =>
  new sdk.AppData().setAdvertiserTrackingEnabled(true).setExtinfo(extinfo);

connect();

test('one event', async () => {
  const sent = event('ViewContent');
  const answer = await send(sent);
  assert.ok(answer instanceof sdk.EventResponse);
  assert.equal(answer.events_received, 1);
  assert.deepEqual(answer.messages, []);
  assert.ok(answer.fbtrace_id);
  assert.equal((await body(sent.event_id)).event_name, 'ViewContent');
});

test('every standard event and a custom one', async () => {
  const money = new sdk.CustomData().setValue(1.5).setCurrency('eur');
  const list = [...STANDARD, 'MembershipRenewed'].map((name) => event(name).setCustomData(money));
  assert.equal((await send(...list)).events_received, list.length);
  for (const sent of list) {
    assert.equal((await body(sent.event_id)).event_name, sent.event_name);
  }
});

for (const source of SOURCES) {
  test(`action_source ${source}`, async () => {
    const sent = event('Lead').setActionSource(source);
    if (source === 'app') sent.setAppData(appData(device()));
    if (source === 'physical_store') sent.setEventTime(now() - 30 * DAY);
    assert.equal((await send(sent)).events_received, 1);
    assert.equal((await body(sent.event_id)).action_source, source);
  });
}

test('business messaging', async () => {
  // `UserData` knows no whatsapp_business_account_id, so this goes the SDK's other way
  const sent = event('LeadSubmitted')
    .setEventSourceUrl(undefined)
    .setActionSource('business_messaging')
    .setMessagingChannel('whatsapp')
    .setUserData(new sdk.UserData().setCtwaClid('ARAkLkA8rmlFeiCktEJQ'));
  const payload = sent.normalize();
  payload.user_data.whatsapp_business_account_id = '102290129340398';
  sdk.FacebookAdsApi.init(KEY, 'en_US', false);
  const answer = await new sdk.AdsPixel(PIXEL).createEvent([], { data: [payload] });
  assert.equal(answer._data.events_received, 1);
  const seen = await body(sent.event_id);
  assert.equal(seen.messaging_channel, 'whatsapp');
  assert.deepEqual(seen.user_data, payload.user_data);
});

test('app_data', async () => {
  const app = appData(device())
    .setApplicationTrackingEnabled(false)
    .setCampaignIds('cid=1')
    .setConsiderViews(true)
    .setIncludeDwellData(true)
    .setIncludeVideoData(false)
    .setInstallReferrer('utm_source=example')
    .setInstallerPackage('com.android.vending')
    .setReceiptData('receipt')
    .setUrlSchemes('example-shop')
    .setWindowsAttributionId('w1');
  const sent = event('Lead').setActionSource('app').setAppData(app);
  await send(sent);
  const wanted = {
    ...app.normalize(),
    // Meta's documents have 0 and 1, and a list of texts; this SDK sends an object with numbers
    application_tracking_enabled: 0,
    advertiser_tracking_enabled: 1,
    extinfo: PLACES,
  };
  assert.deepEqual((await body(sent.event_id)).app_data, wanted);
});

test('a device of which little is known', async () => {
  const little = new sdk.ExtendedDeviceInfo().setExtInfoVersion('i2').setOsVersion('18.1');
  const sent = event('Lead').setActionSource('app').setAppData(appData(little));
  await send(sent);
  const { extinfo } = (await body(sent.event_id)).app_data;
  assert.deepEqual(extinfo, ['i2', '', '', '', '18.1', ...Array(11).fill('')]);
});

test('custom_data', async () => {
  const contents = Object.values(sdk.DeliveryCategory).map((category) =>
    new sdk.Content()
      .setId(`sku-${category}`)
      .setQuantity(2)
      .setItemPrice(10.5)
      .setTitle('Mug')
      .setDescription('A mug')
      .setBrand('Example')
      .setCategory('kitchen')
      .setDeliveryCategory(category));
  assert.equal(contents.length, 3);
  const custom = new sdk.CustomData()
    .setValue(142.52)
    .setNetRevenue(42.5)
    .setCurrency('usd')
    .setContentName('Mugs')
    .setContentCategory('kitchen')
    .setContentIds(['sku-1', 'sku-2'])
    .setContents(contents)
    .setContentType('product')
    .setOrderId('order-1001')
    .setPredictedLtv(500.25)
    .setNumItems(6)
    .setStatus('registered')
    .setSearchString('blue mug')
    .setItemNumber('item-7')
    .setDeliveryCategory('curbside')
    .setCustomProperties({ gift: true, shelf: { row: 3 }, tags: ['a', 'b'] });
  const sent = event('Purchase').setCustomData(custom);
  await send(sent);
  assert.deepEqual((await body(sent.event_id)).custom_data, custom.normalize());
});

test('the other members of an event', async () => {
  const sent = event('Purchase')
    .setCustomData(new sdk.CustomData().setValue(0).setCurrency('USD'))
    .setOptOut(true)
    .setAdvancedMeasurementTable('table-1')
    .setOriginalEventData({ event_name: 'Lead', event_time: now() - 60, order_id: 'order-1', event_id: 'lead-1' })
    .setAttributionData({ scope: 'click', ad_id: '1', attribution_share: 0.5, touchpoint_ts: now() - 700 });
  await send(sent);
  const wanted = sent.normalize();
  // what the gateway has to hash in any case is another test's
  delete wanted.user_data;
  const { user_data: _, ...seen } = await body(sent.event_id);
  assert.deepEqual(seen, wanted);
});

for (const [options, country, state] of [[['LDU'], 1, 1000], [['LDU'], 0, 0], [[]], []]) {
  test(`data_processing_options ${JSON.stringify(options)} ${country} ${state}`, async () => {
    const sent = event();
    if (options) sent.setDataProcessingOptions(options);
    if (country !== undefined) {
      sent.setDataProcessingOptionsCountry(country).setDataProcessingOptionsState(state);
    }
    await send(sent);
    const seen = await body(sent.event_id);
    assert.deepEqual(seen.data_processing_options, options);
    assert.equal(seen.data_processing_options_country, country);
    assert.equal(seen.data_processing_options_state, state);
  });
}

test('request options', async () => {
  const sent = event();
  await request([sent])
    .setTestEventCode('TEST12345')
    .setPartnerAgent('exampleplatform')
    .setUploadTag('shop 2026-11')
    .setUploadId('1001')
    .setUploadSource('crm')
    .setNamespaceId('123456789')
    .execute();
  assert.deepEqual((await batch(sent.event_id)).options, {
    test_event_code: 'TEST12345',
    partner_agent: 'exampleplatform',
    upload_tag: 'shop 2026-11',
    upload_id: '1001',
    upload_source: 'crm',
    namespace_id: '123456789',
  });
  const plain = event();
  await send(plain);
  assert.deepEqual((await batch(plain.event_id)).options, {});
});

test('as many events as Meta takes', async () => {
  const list = events(1000);
  assert.equal((await send(...list)).events_received, 1000);
  for (const at of [0, 499, 999]) await arrived(list[at].event_id);
});

test('text of any script', async () => {
  const text = 'Größe & Farbe: 100% «blau» + 東京 😀 = a&b;c=d\n"x"\\';
  const sent = event('Search').setCustomData(new sdk.CustomData().setSearchString(text));
  await send(sent);
  assert.equal((await body(sent.event_id)).custom_data.search_string, text);
});
