// The page of a run: ranks over time, the messages between them, the places they sit in, and the load of every link. What it shows is in
// #data; README.md in this folder describes that.
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const kGutter = 74, kAxis = 22, kMostArrows = 3000, kMostLinks = 200, kBins = 60, kMostNow = 24;
const rowHeight = Math.max(7, Math.min(26, Math.floor(620 / data.ranks.length)));

// ---- what the data says

// Spans by rank, in order; a rank does one thing at a time.
const spans = data.ranks.map(() => []);
for (const [rank, kind, name, begin, end, bytes, tile] of data.spans) spans[rank].push({rank, kind, name, begin, end, bytes, tile});
for (const row of spans) row.sort((a, b) => a.begin - b.begin);
const messages = data.messages.map(([from, to, begin, end, bytes, tile, network]) => ({from, to, begin, end, bytes, tile, network}));
const end = data.end || 1;
const steps = [...new Set([0, ...data.spans.map(span => span[3]), ...messages.map(message => message.end), end])].sort((a, b) => a - b);

const colors = {};
function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['send', 'combine', 'message', 'idle', 'ink', 'soft', 'line', 'mark']) colors[name] = style.getPropertyValue('--' + name);
}

function time(us) {
  if (us >= 1e6) return (us / 1e6).toFixed(3) + ' s';
  return us >= 1e3 ? (us / 1e3).toFixed(3) + ' ms' : us.toFixed(2) + ' us';
}
function size(bytes) {
  let unit = 0;
  for (; bytes >= 1024 && unit < 5; ++unit) bytes /= 1024;
  return (Number.isInteger(bytes) ? bytes : bytes.toFixed(1)) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][unit];
}
function spanAt(rank, us) {
  const row = spans[rank];
  let low = 0, high = row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    row[middle].begin <= us ? low = middle + 1 : high = middle;
  }
  const found = row[low - 1];
  return found && us < Math.max(found.end, found.begin + 1e-9) ? found : null;
}
const nameOf = rank => data.ranks[rank].name;
function textOf(span) {
  return `${nameOf(span.rank)}: ${span.name}, ${size(span.bytes)}, tile ${span.tile}\n${time(span.begin)} to ${time(span.end)} (${time(span.end - span.begin)})`;
}
function textOfMessage(message) {
  return `${nameOf(message.from)} to ${nameOf(message.to)}: ${size(message.bytes)}, tile ${message.tile}, ` +
    `${message.network ? 'network' : 'memory'}\n${time(message.begin)} to ${time(message.end)}`;
}

// ---- what is seen

let now = 0, view = [0, end], chosen = -1;

// ---- ranks over time

const canvas = $('time'), pen = canvas.getContext('2d');
const xOf = us => kGutter + (us - view[0]) / (view[1] - view[0]) * (canvas.clientWidth - kGutter - 10);
const usOf = x => view[0] + (x - kGutter) / (canvas.clientWidth - kGutter - 10) * (view[1] - view[0]);
const yOf = rank => kAxis + rank * rowHeight;

function drawAxis(width, height) {
  const raw = (view[1] - view[0]) / 8, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= raw);
  pen.textAlign = 'center';
  for (let us = Math.ceil(view[0] / step) * step; us <= view[1]; us += step) {
    pen.fillStyle = colors.line;
    pen.fillRect(xOf(us), kAxis - 4, 1, height);
    pen.fillStyle = colors.soft;
    if (xOf(us) < width - 24) pen.fillText(time(us), xOf(us), 12);
  }
}

function drawMessages() {
  const seen = messages.filter(message => message.end >= view[0] && message.begin <= view[1] && (chosen < 0 || message.from === chosen || message.to === chosen));
  if (seen.length > kMostArrows) return seen.length;
  pen.strokeStyle = colors.message;
  for (const message of seen) {
    pen.globalAlpha = message.begin <= now && now < message.end ? 1 : seen.length > 300 ? .25 : .55;
    pen.lineWidth = message.begin <= now && now < message.end ? 2 : 1;
    pen.beginPath();
    pen.moveTo(xOf(message.begin), yOf(message.from) + rowHeight / 2);
    pen.lineTo(xOf(message.end), yOf(message.to) + rowHeight / 2);
    pen.stroke();
  }
  pen.globalAlpha = 1;
  return 0;
}

function drawTime() {
  const width = $('scroll').clientWidth, height = kAxis + data.ranks.length * rowHeight + 6, ratio = window.devicePixelRatio || 1;
  canvas.style.width = width + 'px';
  canvas.style.height = height + 'px';
  canvas.width = width * ratio;
  canvas.height = Math.min(height * ratio, 32000);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.font = '11px system-ui, sans-serif';
  drawAxis(width, height);
  pen.save();
  pen.beginPath();
  pen.rect(kGutter, 0, width - kGutter, height);
  pen.clip();
  for (const row of spans)
    for (const span of row) {
      if (span.end < view[0] || span.begin > view[1]) continue;
      pen.fillStyle = colors[span.kind];
      pen.fillRect(xOf(span.begin), yOf(span.rank) + 1, Math.max(1, xOf(span.end) - xOf(span.begin)), rowHeight - 2);
    }
  const many = drawMessages();
  pen.fillStyle = colors.mark;
  pen.fillRect(xOf(now), 0, 1.5, height);
  pen.restore();
  pen.textAlign = 'left';
  const every = Math.ceil(12 / rowHeight);
  for (let rank = 0; rank < data.ranks.length; ++rank) {
    if (rank % every && rank !== chosen) continue;
    pen.fillStyle = rank === chosen ? colors.mark : colors.ink;
    pen.fillText(nameOf(rank), 8, yOf(rank) + rowHeight / 2 + 4);
  }
  canvas.dataset.arrows = many ? 'too many' : 'drawn';
  notice(many ? `${many} messages are too many to draw: zoom in, or choose a rank.` : '');
}

function notice(text) {
  const all = [data.notice, text].filter(Boolean).join(' ');
  $('notice').textContent = all;
  $('notice').hidden = !all;
}

// What is under the pointer: a span, or the nearest message.
function under(x, y) {
  const rank = Math.floor((y - kAxis) / rowHeight), us = usOf(x);
  if (x < kGutter || rank < 0 || rank >= data.ranks.length) return '';
  const span = spanAt(rank, us);
  if (span) return textOf(span);
  let best = null, least = 5;
  if (canvas.dataset.arrows === 'drawn')
    for (const message of messages) {
      if (us < message.begin || us > message.end || (chosen >= 0 && message.from !== chosen && message.to !== chosen)) continue;
      const part = (us - message.begin) / Math.max(message.end - message.begin, 1e-9);
      const off = Math.abs(yOf(message.from) + (yOf(message.to) - yOf(message.from)) * part + rowHeight / 2 - y);
      if (off < least) [best, least] = [message, off];
    }
  return best ? textOfMessage(best) : `${nameOf(rank)} waits`;
}

// ---- places

const boxes = [];
function addPlaces(parent, level, ranks) {
  if (level === data.levels.length - 1) {
    for (const rank of ranks) {
      const box = document.createElement('div');
      box.className = 'rank';
      box.textContent = rank;
      box.onclick = () => choose(rank);
      box.onmousemove = event => tip(event, `${nameOf(rank)}: busy ${(100 * data.ranks[rank].busy / end).toFixed(1)} %`);
      box.onmouseleave = () => tip(null);
      boxes[rank] = box;
      parent.append(box);
    }
    return;
  }
  const groups = new Map();
  for (const rank of ranks) {
    const place = data.ranks[rank].places[level];
    if (!groups.has(place)) groups.set(place, []);
    groups.get(place).push(rank);
  }
  for (const [place, members] of groups) {
    const box = document.createElement('div'), title = document.createElement('b');
    box.className = 'place';
    title.textContent = `${data.levels[level]} ${place}`;
    box.append(title);
    addPlaces(box, level + 1, members);
    parent.append(box);
  }
}

// ---- links

// The share of its bandwidth that a place's way out carries, by bins of time.
function loadOf(link) {
  const inside = new Set(data.ranks.map((rank, i) => rank.places[link.level] === link.place ? i : -1));
  const bins = new Array(kBins).fill(0), width = end / kBins;
  for (const message of messages) {
    if (!inside.has(message.from) || inside.has(message.to)) continue;
    const length = Math.max(message.end - message.begin, 1e-9);
    for (let bin = Math.floor(message.begin / width); bin < kBins && bin * width < message.end; ++bin) {
      const part = Math.min(message.end, (bin + 1) * width) - Math.max(message.begin, bin * width);
      bins[bin] += message.bytes * Math.max(part, 0) / length;
    }
  }
  return bins.map(bytes => Math.min(1, bytes / (link.rate * width)));
}

function addLinks() {
  const rows = data.links.slice(0, kMostLinks).map(link => {
    const bars = loadOf(link).map((load, i) => `<rect class="bar" x="${i * 2}" y="${(16 - 16 * load).toFixed(1)}" width="2" height="${(16 * load).toFixed(1)}"/>`);
    return `<tr><td>${data.levels[link.level]} ${link.place}</td><td class="number">${size(link.out)}</td><td class="number">${size(link.in)}</td>` +
      `<td class="number">${(100 * link.busy).toFixed(0)} %</td><td><svg width="${2 * kBins}" height="16">${bars.join('')}<line class="cursor" y2="16"/></svg></td></tr>`;
  });
  $('links').innerHTML = '<table><thead><tr><th>link of</th><th class="number">out</th><th class="number">in</th><th class="number">busy</th><th>load out, over time</th></tr></thead>' +
    `<tbody>${rows.join('')}</tbody></table>` + (data.links.length > kMostLinks ? `<p>and ${data.links.length - kMostLinks} less busy ones</p>` : '');
}

// ---- this moment

function showNow() {
  const lines = [];
  boxes.forEach((box, rank) => {
    const span = spanAt(rank, now);
    box.className = 'rank' + (span ? ' ' + span.kind : '') + (rank === chosen ? ' chosen' : '');
    if (span && (chosen < 0 || rank === chosen)) lines.push(`${nameOf(rank)}: ${span.name}, ${size(span.bytes)}`);
  });
  for (const message of messages)
    if (message.begin <= now && now < message.end && (chosen < 0 || message.from === chosen || message.to === chosen))
      lines.push(`${nameOf(message.from)} to ${nameOf(message.to)}: ${size(message.bytes)} on the way`);
  const shown = lines.slice(0, kMostNow);
  if (lines.length > kMostNow) shown.push(`and ${lines.length - kMostNow} more`);
  $('now').replaceChildren(...(shown.length ? shown : ['nothing']).map(text => Object.assign(document.createElement('li'), {textContent: text})));
  $('clock').textContent = `${time(now)} of ${time(end)}`;
  for (const line of document.querySelectorAll('.cursor')) {
    line.setAttribute('x1', now / end * 2 * kBins);
    line.setAttribute('x2', now / end * 2 * kBins);
  }
}

function goTo(us) {
  now = Math.min(Math.max(us, 0), end);
  $('slider').value = 1000 * now / end;
  if (now < view[0] || now > view[1]) view = [Math.max(0, now - (view[1] - view[0]) / 2), Math.min(end, now + (view[1] - view[0]) / 2)];
  showNow();
  drawTime();
}
function step(forward) {
  const next = forward ? steps.find(us => us > now + 1e-9) : steps.findLast(us => us < now - 1e-9);
  if (next !== undefined) goTo(next);
}
function choose(rank) {
  chosen = chosen === rank ? -1 : rank;
  showNow();
  drawTime();
}
function tip(event, text) {
  $('tip').hidden = !text;
  if (!text) return;
  $('tip').textContent = text;
  $('tip').style.left = Math.min(event.clientX + 14, window.innerWidth - $('tip').offsetWidth - 6) + 'px';
  $('tip').style.top = Math.min(event.clientY + 14, window.innerHeight - $('tip').offsetHeight - 6) + 'px';
}
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  readColors();
  drawTime();
}

// ---- the start

$('title').textContent = document.title = data.title;
$('facts').textContent = data.facts;
const root = document.createElement('div');
root.className = 'places';
addPlaces(root, 0, data.ranks.map((_, rank) => rank));
$('places').append(root);
addLinks();

$('theme').onclick = () => setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
$('back').onclick = () => step(false);
$('on').onclick = () => step(true);
$('slider').oninput = () => goTo($('slider').value / 1000 * end);
$('fit').onclick = () => { view = [0, end]; drawTime(); };
document.onkeydown = event => {
  if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') { event.preventDefault(); step(event.key === 'ArrowRight'); }
};
let dragged = null;
canvas.onmousedown = event => { dragged = {x: event.offsetX, view: [...view], moved: false}; };
window.onmouseup = () => { dragged = null; };
canvas.onmousemove = event => {
  if (!dragged) return tip(event, under(event.offsetX, event.offsetY));
  const by = (dragged.x - event.offsetX) / (canvas.clientWidth - kGutter - 10) * (dragged.view[1] - dragged.view[0]);
  if (Math.abs(dragged.x - event.offsetX) > 3) dragged.moved = true;
  const from = Math.min(Math.max(dragged.view[0] + by, 0), end - (dragged.view[1] - dragged.view[0]));
  view = [from, from + dragged.view[1] - dragged.view[0]];
  drawTime();
};
canvas.onclick = event => {
  const rank = Math.floor((event.offsetY - kAxis) / rowHeight);
  if (event.offsetX < kGutter && rank >= 0 && rank < data.ranks.length) choose(rank);
};
canvas.ondblclick = event => goTo(usOf(event.offsetX));
canvas.onmouseleave = () => tip(null);
canvas.addEventListener('wheel', event => {
  if (event.offsetX < kGutter) return;
  event.preventDefault();
  const at = usOf(event.offsetX), factor = event.deltaY > 0 ? 1.25 : 0.8;
  const width = Math.min(end, Math.max((view[1] - view[0]) * factor, end / 1e5)), part = (at - view[0]) / (view[1] - view[0]);
  const from = Math.min(Math.max(at - part * width, 0), end - width);
  view = [from, from + width];
  drawTime();
}, {passive: false});
window.onresize = drawTime;
const dark = window.matchMedia('(prefers-color-scheme: dark)');
dark.onchange = () => setTheme(dark.matches ? 'dark' : 'light');
setTheme(dark.matches ? 'dark' : 'light');
goTo(0);
