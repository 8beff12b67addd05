// The charts over time, on canvases: the steps of the ranks, the messages between them, and the load of the links.
'use strict';

const left = 136, right = 104;  // beside the time's area
const mostArrows = 1500;        // in sight at once; else only those on their way
const rowHeight = ranks.length <= 16 ? 32 : ranks.length <= 32 ? 22 : ranks.length <= 64 ? 15 : ranks.length <= 128 ? 11 : 8;
const loadHeight = (count) => count <= 32 ? 20 : 11;
const palette = {};

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['card', 'ink', 'soft', 'line', 'row', 'kind0', 'kind1', 'kind2', 'kind3', 'kind4', 'kind5', 'on0', 'on1', 'network',
                      'memory', 'load', 'full', 'cursor', 'idle'])
    palette[name] = style.getPropertyValue(`--${name}`).trim();
}

const chartWidth = () => document.querySelector('.scroll').clientWidth;
const area = () => Math.max(50, chartWidth() - left - right);
const xOf = (time) => left + (time - state.from) / (state.to - state.from) * area();
const timeOf = (x) => state.from + (x - left) / area() * (state.to - state.from);

// Begins a picture: the canvas gets as many pixels as the screen has for it.
function penFor(canvas, height) {
  const width = chartWidth(), scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.textBaseline = 'middle';
  return pen;
}

// Begins with what paint(pen) has drawn before, for as long as `key`, the time in sight, the size and the colours are the same: to go
// through time has to be quick.
const layers = new Map();
function penOver(canvas, height, key, paint) {
  const whole = JSON.stringify([key, state.from, state.to, chartWidth(), height, window.devicePixelRatio, document.documentElement.dataset.theme]);
  if (!layers.has(canvas)) layers.set(canvas, {picture: element('canvas'), key: ''});
  const layer = layers.get(canvas);
  if (layer.key !== whole) paint(penFor(layer.picture, height));
  layer.key = whole;
  const pen = penFor(canvas, height);
  pen.drawImage(layer.picture, 0, 0, chartWidth(), height);
  return pen;
}

function write(pen, text, x, y, color, align = 'left', size = 12) {
  pen.font = `${size}px system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif`;
  pen.fillStyle = color;
  pen.textAlign = align;
  pen.fillText(text, x, y);
}

// Round times, at most about ten of them.
function ticks() {
  const span = (state.to - state.from) / Math.max(2, Math.min(10, area() / 90));
  const unit = 10 ** Math.floor(Math.log10(span));
  let step = [1, 2, 5, 10].map((factor) => factor * unit).find((one) => one >= span);
  if (inSteps) step = Math.max(1, Math.ceil(step));
  const times = [];
  for (let number = Math.ceil(state.from / step); number * step <= state.to; ++number) times.push(number * step);
  return {times, step};
}

function drawAxis() {
  const pen = penFor(document.getElementById('axis'), 24);
  const {times, step} = ticks();
  const [unit, name] = timeline.end < 1e4 ? [1, 'us'] : timeline.end < 1e7 ? [1e3, 'ms'] : [1e6, 's'];
  const digits = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  write(pen, inSteps ? 'step' : name, left - 10, 12, palette.soft, 'right');
  for (const time of times) {
    if (inSteps && time >= timeline.end) continue;
    const x = inSteps ? (xOf(time) + xOf(time + 1)) / 2 : xOf(time);
    if (x >= left && x <= left + area()) write(pen, inSteps ? time : (time / unit).toFixed(digits), x, 12, palette.soft, 'center');
  }
  drawCursor(pen, 24);
}

function drawCursor(pen, height) {
  const x = xOf(state.time);
  if (x < left - 1 || x > left + area() + 1) return;
  pen.fillStyle = palette.cursor;
  pen.fillRect(x - 0.75, 0, 1.5, height);
}

function drawGrid(pen, height) {
  pen.fillStyle = palette.line;
  for (const time of ticks().times) pen.fillRect(Math.round(xOf(time)), 0, 1, height);
}

// ---- ranks

function drawSpan(pen, span, top, height) {
  const x = Math.max(left, xOf(span.begin)), end = Math.min(left + area(), xOf(span.end)), width = Math.max(0.8, end - x);
  pen.fillStyle = palette[`kind${span.kind % 6}`];
  pen.fillRect(x, top, width > 3 ? width - 0.6 : width, height);
  const room = Math.floor((width - 8) / 6.2);
  if (height >= 13 && room >= 4) {
    write(pen, shortened(span.name, room), x + 4, top + height / 2 + 0.5, palette[span.kind % 6 === 0 ? 'on0' : 'on1'], 'left', 11);
  }
  if (span === state.span) {
    pen.strokeStyle = palette.cursor;
    pen.lineWidth = 2;
    pen.strokeRect(x - 1, top - 1, width + 2, height + 2);
  }
}

// The colour says the verb: "send input[0..1) to 1#0" may be "input[0..1)".
function shortened(name, room) {
  if (name.length <= room) return name;
  const words = name.split(' ');
  return clipped(words.length > 1 ? words[1] : name, room);
}

// Where a lane of a rank is drawn.
function laneBox(rank, lane) {
  const pad = rowHeight >= 15 ? 3 : 1, height = (rowHeight - 2 * pad) / Math.max(1, ranks[rank].lanes.length);
  return [rank * rowHeight + pad + lane * height, Math.max(1, height - (rowHeight >= 15 && ranks[rank].lanes.length > 1 ? 1 : 0))];
}

function drawLane(pen, lane, top, height) {
  let drawn = -1;  // the last pixel that has something
  for (let i = Math.max(0, countUntil(lane, state.from) - 1); i < lane.length && lane[i].begin < state.to; ++i) {
    const span = lane[i], end = xOf(span.end);
    if (span.end < state.from || (end - drawn < 0.7 && span !== state.span)) continue;
    drawSpan(pen, span, top, height);
    drawn = end;
  }
}

// What there is of a time whose spans were not kept: how busy the rank was.
function drawBusy(pen, rank) {
  const top = rank * rowHeight + 1;
  pen.fillStyle = palette.soft;
  ranks[rank].busy.forEach((busy, slot) => {
    const begin = Math.max(slot * timeline.slot, timeline.completeUntil, state.from);
    const end = Math.min((slot + 1) * timeline.slot, timeline.end, state.to);
    if (begin >= end) return;
    pen.globalAlpha = Math.min(1, busy / 100) * 0.8;
    const x = Math.round(xOf(begin));
    pen.fillRect(x, top, Math.round(xOf(end)) - x, rowHeight - 2);
  });
  pen.globalAlpha = 1;
}

function drawRow(pen, rank, width) {
  const top = rank * rowHeight, every = Math.ceil(13 / rowHeight), middle = top + rowHeight * every / 2;
  pen.fillStyle = rank === state.rank ? palette.idle : palette.row;
  pen.fillRect(left, top + 0.5, width - left - right, rowHeight - 1);
  const newPlace = rank === 0 || ranks[rank].place !== ranks[rank - 1].place;
  if (newPlace && rank > 0) {
    pen.fillStyle = palette.soft;
    pen.fillRect(0, top - 0.5, width, 1);
  }
  const size = rowHeight >= 15 ? 12 : 10;
  if (rank % every === 0) write(pen, rowHeight >= 15 ? ranks[rank].name : rank, left - 10, middle, palette.ink, 'right', size);
  let row = rank;
  while (newPlace && row < ranks.length && ranks[row].place === ranks[rank].place) ++row;
  const fits = (row - rank) * rowHeight >= 13;
  if (newPlace && fits && ranks[rank].place >= 0)
    write(pen, clipped(timeline.places[ranks[rank].place].name, 11), 0, middle, palette.soft, 'left', size);
  if (ranks[rank].busy.length > 0 && rank % every === 0)
    write(pen, `busy ${busyShare(rank)} %`, width - right + 10, middle, palette.soft, 'left', Math.min(size, 11));
}

const clipped = (text, most) => text.length <= most ? text : `${text.slice(0, most - 1)}\u2026`;
const busyShares = ranks.map((rank) => {
  const slots = timeline.end / timeline.slot;
  return Math.round(rank.busy.reduce((sum, busy, slot) => sum + busy * Math.min(1, slots - slot), 0) / slots);
});
const busyShare = (rank) => busyShares[rank];

function drawArrow(pen, message, strong) {
  const [from, to] = [message.from, message.to], down = to > from;
  const x1 = xOf(message.begin), y1 = (from + (down ? 0.85 : 0.15)) * rowHeight, x2 = xOf(message.end), y2 = (to + (down ? 0.15 : 0.85)) * rowHeight;
  const length = Math.hypot(x2 - x1, y2 - y1) || 1, ux = (x2 - x1) / length, uy = (y2 - y1) / length, head = strong ? 7 : 5;
  pen.strokeStyle = pen.fillStyle = message.network ? palette.network : palette.memory;
  pen.lineWidth = strong ? 2 : 1;
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
  pen.beginPath();
  pen.moveTo(x2, y2);
  pen.lineTo(x2 - head * ux + head / 2 * uy, y2 - head * uy - head / 2 * ux);
  pen.lineTo(x2 - head * ux - head / 2 * uy, y2 - head * uy + head / 2 * ux);
  pen.fill();
}

function drawMessages(pen, shown, height, alpha, strong) {
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, area(), height);
  pen.clip();
  pen.globalAlpha = alpha;
  for (const message of shown) drawArrow(pen, message, strong);
  pen.restore();
}

// All but what changes with the moment, of the ranks from first to last.
function drawSteps(pen, first, last, height) {
  for (let rank = first; rank <= last; ++rank) drawRow(pen, rank, chartWidth());
  drawGrid(pen, height);
  for (let rank = first; rank <= last; ++rank) {
    ranks[rank].lanes.forEach((lane, index) => drawLane(pen, lane, ...laneBox(rank, index)));
    if (timeline.completeUntil < timeline.end) drawBusy(pen, rank);
  }
  const shown = messages.filter((message) => message.end >= state.from && message.begin <= state.to);
  if (shown.length <= mostArrows) drawMessages(pen, shown, height, shown.length <= 200 ? 0.85 : 0.4, false);
}

function drawRanks(flying) {
  const canvas = document.getElementById('rows'), height = ranks.length * rowHeight + 1, frame = canvas.parentElement;
  // Rows that are scrolled out of sight are not drawn.
  const first = Math.max(0, Math.floor(frame.scrollTop / rowHeight) - 2);
  const last = Math.min(ranks.length - 1, Math.ceil((frame.scrollTop + frame.clientHeight) / rowHeight) + 2);
  const span = state.span && [state.span.rank, state.span.begin, state.span.end];
  const pen = penOver(canvas, height, [first, last, state.rank, span], (under) => drawSteps(under, first, last, height));
  drawMessages(pen, flying, height, flying.length <= 100 ? 1 : 0.25, flying.length <= 100);
  drawCursor(pen, height);
}

// The span under the pointer, and else the message whose arrow is nearest, within a few pixels.
function found(x, y) {
  const rank = Math.floor(y / rowHeight);
  if (rank < 0 || rank >= ranks.length || x < left || x > left + area()) return {};
  const near = 2 / area() * (state.to - state.from), time = timeOf(x);
  for (let lane = 0; lane < ranks[rank].lanes.length; ++lane) {
    const [top, height] = laneBox(rank, lane), items = ranks[rank].lanes[lane];
    if (y < top || y > top + height) continue;
    const before = items[countUntil(items, time + near) - 1];
    if (before && time < before.end + near) return {rank, span: before};
  }
  let best = null, least = 5;
  for (const message of messages) {
    if (message.begin > time + near || message.end < time - near) continue;
    const share = message.end > message.begin ? Math.max(0, Math.min(1, (time - message.begin) / (message.end - message.begin))) : 0.5;
    const distance = Math.abs(y - (message.from + 0.5 + share * (message.to - message.from)) * rowHeight);
    if (distance < least) [best, least] = [message, distance];
  }
  return {rank, message: best};
}

// ---- links

const levels = [...new Set(timeline.links.map((link) => link.level))].map((name) =>
  ({name, links: timeline.links.filter((link) => link.level === name), canvas: null, frame: null}));

function buildLoads() {
  const parent = document.getElementById('levels');
  document.getElementById('loads').hidden = levels.length === 0;
  for (const level of levels) {
    const frame = level.frame = element('details'), canvas = level.canvas = element('canvas');
    frame.open = level.links.length <= 64;
    frame.append(element('summary', '', `${level.name}: ${level.links.length} links that carried something`), canvas);
    frame.addEventListener('toggle', draw);
    parent.append(frame);
  }
}

function drawLink(pen, link, number, row) {
  const top = number * row, bottom = top + row - 1, every = Math.ceil(13 / row), middle = top + row * every / 2, small = row < 15;
  pen.fillStyle = palette.row;
  pen.fillRect(left, top, area(), row - 1);
  if (number % every === 0) {
    write(pen, clipped(link.name, 18), left - 10, middle, palette.ink, 'right', small ? 10 : 12);
    write(pen, amountText(link.bytes), chartWidth() - right + 10, middle, palette.soft, 'left', small ? 10 : 11);
  }
  link.load.forEach((load, slot) => {
    const begin = Math.max(slot * timeline.slot, state.from), end = Math.min((slot + 1) * timeline.slot, timeline.end, state.to);
    if (load === 0 || begin >= end) return;
    const high = Math.max(1, Math.min(1, load / 100) * (row - 2)), x = Math.round(xOf(begin));
    pen.fillStyle = load >= 90 ? palette.full : palette.load;
    pen.fillRect(x, bottom - high, Math.max(1, Math.round(xOf(end)) - x), high);
  });
}

function drawLoads() {
  for (const {links, canvas, frame} of levels) {
    if (!frame.open) continue;
    const row = loadHeight(links.length), height = links.length * row;
    drawCursor(penOver(canvas, height, [], (under) => links.forEach((link, number) => drawLink(under, link, number, row))), height);
  }
}
