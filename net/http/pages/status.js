'use strict';
// Polls v1/status each second and shows it.

const WINDOWS_MS = [60000, 120000, 300000];  // the first that all samples fit into
const MAX_WINDOW_MS = 300000;
const COLOURS = ['c1', 'c2', 'c3', 'c4'];
const $ = (id) => document.getElementById(id);

// --- Texts ------------------------------------------------------------------

// 1234567 is "1.23 M": three digits.
function scaled(value, step, units, digits) {
  let i = 0;
  while (value >= step * 0.9995 && i + 1 < units.length) { value /= step; i++; }
  const text = i === 0 && Number.isInteger(value) ? String(value) : Number(value.toPrecision(digits)).toString();
  return [text, units[i]];
}
const joined = ([text, unit]) => unit ? text + ' ' + unit : text;
const countParts = (n) => scaled(n, 1000, ['', 'k', 'M', 'G', 'T'], 3);
const byteParts = (n) => scaled(n, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], 3);
const count = (n) => joined(countParts(n));
const bytes = (n) => joined(byteParts(n));
function timeParts(seconds) {
  if (seconds < 1e-6) return [Number((seconds * 1e9).toPrecision(3)).toString(), 'ns'];
  return scaled(seconds * 1e6, 1000, ['µs', 'ms', 's'], 3).map((t, i) => i === 0 ? Number(Number(t).toPrecision(3)).toString() : t);
}
const time = (seconds) => joined(timeParts(seconds));
const exact = (n) => n.toString().replace(/\B(?=(\d{3})+$)/g, '\u202f');

function span(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return '0 s';
  return parts.slice(first, first + 2).map(([size, unit], i) => {
    const n = Math.floor((i === 0 ? seconds : seconds % parts[first][0]) / size);
    return n || i === 0 ? `${n} ${unit}` : '';
  }).join(' ').trim();
}

function share(part, whole) {
  if (!whole) return '–';
  const percent = 100 * part / whole;
  return (percent >= 99.95 || percent === 0 ? percent.toFixed(0) : percent.toPrecision(3)) + ' %';
}

// --- Charts -----------------------------------------------------------------

const which = element('select', {'aria-label': 'Protocol'});
which.addEventListener('change', () => { chosen = which.value; show(); });
const charts = {
  requests: new Chart($('requests'), {title: 'Requests a second', format: count}),
  latency: new Chart($('latency'), {title: 'Latency', format: time, log: true, control: which, empty: 'no requests yet'}),
  traffic: new Chart($('traffic'), {title: 'Bytes a second', format: bytes, least: 1024, thousand: 1024}),
  connections: new Chart($('connections'), {title: 'Connections', format: count, least: 4}),
};

let status = null;  // the last answer
let samples = [];   // its history and those of the answers before
let chosen = null;  // the protocol whose latency is shown; null: the busiest

const colour = (i) => COLOURS[i % COLOURS.length];

// One value a sample for one protocol; null where it was not there.
function values(name, value) {
  return samples.map((s) => s.protocols[name] ? value(s.protocols[name], s.seconds) : null);
}

function busiest() {
  const sums = {};
  for (const s of samples.slice(-30)) {
    for (const [name, p] of Object.entries(s.protocols)) sums[name] = (sums[name] || 0) + p.requests;
  }
  let best = status.protocols.length ? status.protocols[0].name : null;
  for (const p of status.protocols) if ((sums[p.name] || 0) > (sums[best] || 0)) best = p.name;
  return best;
}

function showCharts(latencyOf) {
  const times = samples.map((s) => s.time_ms);
  const to = times.length ? times[times.length - 1] : status.time_ms;
  const length = WINDOWS_MS.find((ms) => times.length === 0 || to - times[0] <= ms) || MAX_WINDOW_MS;
  const range = {from: to - length, to};
  const each = (value) => status.protocols.map((p, i) =>
    ({name: p.name, css: colour(i), times, values: values(p.name, value)}));
  charts.requests.show({...range, series: each((p, seconds) => p.requests / seconds)});
  charts.connections.show({...range, series: each((p) => p.connections)});
  const quantile = (name, css, key) => ({name, css, times,
    values: values(latencyOf, (p) => p[key] ? p[key] / 1e9 : null)});
  charts.latency.show({...range, series: [
    quantile('p50', 'p1', 'p50_ns'), quantile('p99', 'p2', 'p99_ns'), quantile('p99.9', 'p3', 'p999_ns')]});
  const total = (key) => samples.map((s) =>
    Object.values(s.protocols).reduce((sum, p) => sum + p[key], 0) / s.seconds);
  charts.traffic.show({...range, series: [
    {name: 'sent', css: 'c1', times, values: total('bytes_out')},
    {name: 'received', css: 'c3', times, values: total('bytes_in')}]});
}

// --- Tiles and lists ----------------------------------------------------------

function tile(name, [value, unit], note) {
  return element('div', {class: 'tile'}, element('div', {class: 'name'}, name),
    element('div', {class: 'value'}, value, unit ? element('small', {}, ' ' + unit) : ''),
    element('div', {class: 'note'}, note || ''));
}

function list(id, pairs) {
  $(id).replaceChildren(...pairs.flatMap(([name, value]) =>
    [element('dt', {}, name), element('dd', {}, value)]));
}

function showTiles(latencyOf) {
  const last = samples[samples.length - 1];
  const now = last ? Object.values(last.protocols) : [];
  const sum = (key) => status.protocols.reduce((n, p) => n + p[key], 0);
  const rate = last ? now.reduce((n, p) => n + p.requests, 0) / last.seconds : 0;
  const latency = last && last.protocols[latencyOf];
  const store = status.store || {};
  const has = store.entries !== undefined;
  const errors = sum('errors');
  $('tiles').replaceChildren(
    tile('Entries', has ? countParts(store.entries) : ['–'], has ? (store.entries_exact ? exact(store.entries) : 'an estimate') : store.error || 'no store yet'),
    tile('Data', has ? byteParts(store.disk_bytes) : ['–'], 'on disk'),
    tile('Memory', byteParts(status.process.private_bytes), `private; ${bytes(status.process.resident_bytes)} with mapped files`),
    tile('Requests', [countParts(Math.round(rate))[0], countParts(Math.round(rate))[1] + '/s'], `${count(sum('requests'))} so far, ${errors ? count(errors) : 'no'} error${errors === 1 ? '' : 's'}`),
    tile('Latency', latency && latency.p50_ns ? timeParts(latency.p50_ns / 1e9) : ['–'], latency && latency.p99_ns ? `median; p99 ${time(latency.p99_ns / 1e9)} (${latencyOf})` : 'idle'),
    tile('Clients', [String(sum('connections'))], `${share(sum('hits'), sum('hits') + sum('misses'))} of keys found`));
}

function protocolCard(p, i) {
  const facts = [
    ['Clients', `${exact(p.connections)} / ${exact(p.max_connections)}`],
    ['Requests', count(p.requests)],
    ['Accepted', count(p.accepted)],
    ['Errors', count(p.errors)],
    ['Refused', count(p.refused)],
    ['Keys found', share(p.hits, p.hits + p.misses)],
    ['Received', bytes(p.bytes_in)],
    ['Median', p.latency_ns.p50 ? time(p.latency_ns.p50 / 1e9) : '–'],
    ['Sent', bytes(p.bytes_out)],
    ['p99.9', p.latency_ns.p999 ? time(p.latency_ns.p999 / 1e9) : '–'],
  ];
  return element('div', {class: 'card'},
    element('h3', {}, element('i', {class: colour(i)}), p.name, element('code', {}, p.address || 'not listening')),
    element('dl', {}, ...facts.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)])));
}

function showWhich(latencyOf) {
  const names = status.protocols.map((p) => p.name);
  if ([...which.options].map((o) => o.value).join() !== names.join()) {
    which.replaceChildren(...names.map((name) => element('option', {value: name}, name)));
  }
  which.value = latencyOf;
}

function showCluster(cluster) {
  $('cluster').hidden = !cluster;
  if (!cluster) return;
  $('cluster-note').textContent = `revision ${exact(cluster.revision)}` +
    (cluster.nobodys_slots ? `, ${exact(cluster.nobodys_slots)} slots are nobody's` : '') +
    (cluster.lost_slots ? `, ${exact(cluster.lost_slots)} slots were lost` : '');
  const state = (n) => [n.alive ? 'alive' : 'dead', ...(n.member ? [] : ['no member']),
    ...(n.leaving ? ['leaving'] : []), ...(n.id === cluster.myself ? ['this one'] : [])].join(', ');
  $('nodes').replaceChildren(...cluster.nodes.map((n) => element('tr', {},
    element('td', {}, element('code', {}, n.id.slice(0, 8))),
    ...[n.resp, n.http && element('a', {href: n.http}, n.http), n.native, exact(n.slots), state(n)]
      .map((cell) => element('td', {}, cell || '–')))));
}

function show() {
  const latencyOf = chosen || busiest();
  $('served').textContent = status.served || 'kvarts';
  document.title = 'kvarts – ' + (status.served || 'status');
  $('state').textContent = status.ready ? 'serving' : 'opening the store';
  $('state').className = status.ready ? 'badge good' : 'badge';
  $('uptime').textContent = `for ${span(status.uptime_seconds)}, version ${status.version}`;
  showWhich(latencyOf);
  showTiles(latencyOf);
  showCharts(latencyOf);
  $('protocols').replaceChildren(...status.protocols.map(protocolCard));
  const store = status.store || {};
  const words = (name) => name.replace(/_/g, ' ');
  const readable = ({name, value}) => [words(name), /_bytes$/.test(name) && /^\d+$/.test(value) ? bytes(Number(value)) : /^\d{5,}$/.test(value) ? exact(value) : value];
  const can = Object.entries(store.capabilities || {}).filter(([, v]) => !/^(absent|no|none)$/.test(v)).map(([name]) => words(name));
  const saved = store.saved_at_ms === undefined ? [] : [
    ['saved', store.saved_at_ms ? new Date(store.saved_at_ms).toLocaleString() : 'never'],
    ...(store.save_error ? [['last save failed', store.save_error]] : [])];
  if (store.save_error) {
    $('state').textContent = 'serving, but the last save failed';
    $('state').className = 'badge bad';
  }
  list('store', [...saved, ...(store.details || []).map(readable), ...(can.length ? [['can', can.join(', ')]] : [])]);
  showCluster(status.cluster);
  list('limits', status.limits.map(({name, value}) => [name, value]));
  list('process', [
    ['CPU', span(status.process.cpu_seconds)],
    ['Private memory', bytes(status.process.private_bytes)],
    ['Resident', bytes(status.process.resident_bytes)],
    ['Open files', `${exact(status.process.open_files)} of ${exact(status.process.max_files)}`],
    ['Up', span(status.uptime_seconds)],
    ['Version', status.version],
  ]);
}

// --- Polling ------------------------------------------------------------------

async function poll() {
  try {
    const since = samples.length ? samples[samples.length - 1].time_ms : 0;
    const answer = await fetch('v1/status?since=' + since, {cache: 'no-store', signal: AbortSignal.timeout(5000)});
    if (!answer.ok) throw new Error(answer.status === 401 ? 'the password is asked for' : 'status ' + answer.status);
    const next = await answer.json();
    // A server that began anew has a history of its own.
    if (status && next.uptime_seconds < status.uptime_seconds) samples = [];
    status = next;
    samples = samples.concat(next.history).filter((s) => s.time_ms > next.time_ms - MAX_WINDOW_MS);
    show();
  } catch (error) {
    $('state').textContent = 'no answer';
    $('state').className = 'badge bad';
    $('uptime').textContent = error.message || '';
  }
  setTimeout(poll, 1000);
}
document.addEventListener('visibilitychange', () => { if (!document.hidden && status) show(); });
poll();
