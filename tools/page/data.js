// The timeline of this page, and questions about it. README.md in tools/page describes the JSON.
'use strict';

const timeline = JSON.parse(document.getElementById('timeline').textContent);
const inSteps = timeline.unit === 'step';

const messages = timeline.messages.map(([from, to, begin, end, network, amount, way, note]) =>
  ({from, to, begin, end, network: network === 1, amount, way: timeline.texts[way], note: timeline.texts[note]}));

// A rank's spans may overlap. Each lane holds some that do not, in the order of time.
const ranks = timeline.ranks.map(({name, place, spans, busy}, number) => {
  const lanes = [];
  const all = spans.map(([begin, end, kind, amount, text, note]) =>
    ({rank: number, begin, end, kind, amount, name: timeline.texts[text], note: timeline.texts[note]}));
  // Of two that begin at once, the longer contains the other.
  all.sort((a, b) => a.begin - b.begin || (a.end > a.begin && b.end > b.begin ? b.end - a.end : a.end - b.end));
  for (const span of all) {
    let lane = lanes.find((one) => one[one.length - 1].end <= span.begin);
    if (!lane) lanes.push(lane = []);
    lane.push(span);
  }
  const last = Math.max(0, ...lanes.map((lane) => lane[lane.length - 1].end));
  return {name, place, lanes, busy, last};
});

// When anything begins: where the buttons beside the slider go.
const moments = (() => {
  const times = inSteps ? [...Array(Math.ceil(timeline.end)).keys()] : ranks.flatMap((rank) => rank.lanes.flat().map((span) => span.begin));
  times.push(timeline.end);
  return [...new Set(times)].sort((a, b) => a - b);
})();

// The number of items that begin at `time` or before. The items are in the order of time.
function countUntil(items, time, begin = (item) => item.begin) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (begin(items[middle]) <= time) low = middle + 1; else high = middle;
  }
  return low;
}

function spanAt(lane, time) {
  const span = lane[countUntil(lane, time) - 1];
  return span && time < span.end ? span : null;
}
const spansAt = (rank, time) => rank.lanes.map((lane) => spanAt(lane, time)).filter(Boolean);
const innermostAt = (rank, time) => spansAt(rank, time).pop() || null;
const messagesAt = (time) => messages.filter((message) => message.begin <= time && time < message.end);
const slotAt = (time) => timeline.slot > 0 ? Math.floor(time / timeline.slot) : -1;
const loadAt = (link, time) => link.load[slotAt(time)] || 0;  // per cent

// ---- texts

function timeText(time) {
  if (inSteps) return `step ${Math.min(Math.floor(time), Math.max(0, timeline.end - 1))}`;
  const [unit, name] = timeline.end < 1e4 ? [1, 'us'] : timeline.end < 1e7 ? [1e3, 'ms'] : [1e6, 's'];
  return `${(time / unit).toFixed(2)} ${name}`;
}

function amountText(amount) {
  if (timeline.amount !== 'bytes') return `${amount} ${amount === 1 ? timeline.amount.replace(/s$/, '') : timeline.amount}`;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; amount >= 1024 && unit < units.length - 1; ++unit) amount /= 1024;
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${units[unit]}`;
}

const rateText = (bytesPerSecond) => `${Number((bytesPerSecond / 1e9).toPrecision(3))} GB/s`;
const periodText = (one) => inSteps ? timeText(one.begin) : `${timeText(one.begin)} to ${timeText(one.end)}`;

// Pairs of a name and a text: what the page says of a span, a message or a link.
function aboutSpan(span) {
  const pairs = [['rank', ranks[span.rank].name], ['does', span.name], ['when', periodText(span)]];
  if (!inSteps) pairs.push(['for', timeText(span.end - span.begin)]);
  pairs.push(['amount', amountText(span.amount)]);
  if (span.note) pairs.push(['of', span.note]);
  return pairs;
}
function aboutMessage(message) {
  const pairs = [['message', `${ranks[message.from].name} to ${ranks[message.to].name}`], ['by', message.way], ['when', periodText(message)],
                 ['amount', amountText(message.amount)]];
  if (!inSteps && message.network && message.end > message.begin)
    pairs.push(['rate', rateText(message.amount / (message.end - message.begin) * 1e6) + ', latency included']);
  if (message.note) pairs.push(['of', message.note]);
  return pairs;
}
function aboutLink(link, time) {
  const slot = slotAt(time);
  return [['link', link.name], ['load', `${link.load[slot] || 0} % of ${rateText(link.bytesPerSecond)}`],
          ['when', `${timeText(slot * timeline.slot)} to ${timeText(Math.min(timeline.end, (slot + 1) * timeline.slot))}`],
          ['in all', amountText(link.bytes)]];
}
