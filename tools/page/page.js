// What the page shows now, and what its controls do.
'use strict';

const state = {time: 0, from: 0, to: timeline.end || 1, rank: null, span: null, playing: false};
const byId = (id) => document.getElementById(id);
const playSeconds = 12;  // for the whole timeline

function listInto(target, pairs) {
  target.replaceChildren(...pairs.flatMap(([name, text]) => [element('dt', '', name), element('dd', '', text)]));
}

function showTip(event, pairs) {
  const tip = byId('tip');
  tip.textContent = pairs.map(([name, text]) => `${name}: ${text}`).join('\n');
  tip.hidden = false;
  const width = tip.offsetWidth, height = tip.offsetHeight;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, window.innerWidth - width - 8))}px`;
  tip.style.top = `${event.clientY + 18 + height > window.innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
}
const hideTip = () => { byId('tip').hidden = true; };

function select(pairs, {rank = null, span = null} = {}) {
  state.rank = rank;
  state.span = span;
  const list = element('dl');
  listInto(list, pairs);
  byId('details').replaceChildren(list);
}

function pickRank(rank) {
  const span = innermostAt(ranks[rank], state.time);
  select(span ? aboutSpan(span) : [['rank', ranks[rank].name], ['does', doingText(rank)]], {rank, span});
  draw();
}

function goTo(time) {
  state.time = Math.max(0, Math.min(timeline.end, time));
  const width = state.to - state.from;
  if (state.time < state.from || state.time > state.to) {
    state.from = Math.max(0, Math.min(timeline.end - width, state.time - width / 2));
    state.to = state.from + width;
  }
  draw();
}

function zoom(factor, around = state.time) {
  const width = Math.max(timeline.end / 1e5, Math.min(timeline.end, (state.to - state.from) * factor));
  const share = Math.max(0, Math.min(1, (around - state.from) / (state.to - state.from)));
  move(around - share * width, width);
}
function move(from, width = state.to - state.from) {
  state.from = Math.max(0, Math.min(timeline.end - width, from));
  state.to = state.from + width;
  draw();
}

// ---- drawing, once a frame at most

let wanted = false;
function draw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => {
    wanted = false;
    const flying = messagesAt(state.time);
    byId('slider').value = timeline.end > 0 ? Math.round(state.time / timeline.end * byId('slider').max) : 0;
    byId('slider').setAttribute('aria-valuetext', timeText(state.time));
    byId('clock').textContent = inSteps ? `${timeText(state.time)}, the last is ${Math.max(0, timeline.end - 1)}` : `${timeText(state.time)} of ${timeText(timeline.end)}`;
    byId('play').textContent = state.playing ? '\u23f8\ufe0e' : '\u25b6\ufe0e';
    byId('play').setAttribute('aria-label', state.playing ? 'Pause' : 'Play');
    drawNow(flying);
    drawPlaces(flying);
    drawAxis();
    drawRanks(flying);
    drawLoads();
  });
}

function drawNow(flying) {
  const counts = timeline.kinds.map(() => 0);
  let waiting = 0, done = 0;
  const known = state.time < timeline.completeUntil || timeline.completeUntil >= timeline.end;
  for (const rank of ranks) {
    const span = innermostAt(rank, state.time);
    if (span) ++counts[span.kind]; else if (state.time >= rank.last) ++done; else ++waiting;
  }
  const pairs = known ? [...timeline.kinds.map((kind, number) => [`ranks in ${kind}`, counts[number]]), [`ranks ${timeline.idle}`, waiting],
                         ['ranks done', done]] : [];
  if (known && messages.length > 0)
    pairs.push(['messages on their way', flying.length],
               [`${timeline.amount} on their way`, amountText(flying.reduce((sum, message) => sum + message.amount, 0))]);
  const busiest = timeline.links.reduce((best, link) => !best || loadAt(link, state.time) > loadAt(best, state.time) ? link : best, null);
  if (busiest) pairs.push(['busiest link', loadAt(busiest, state.time) > 0 ? busiest.name : 'none'], ['its load', `${loadAt(busiest, state.time)} %`]);
  listInto(byId('now'), pairs);
}

// ---- controls

function legend(target, entries) {
  byId(target).replaceChildren(...entries.map(([color, text, thin]) => {
    const item = element('li'), mark = element('i', thin ? 'thin' : '');
    mark.style.background = `var(--${color})`;
    item.append(mark, text);
    return item;
  }));
}

function buildLegends() {
  const kinds = timeline.kinds.map((kind, number) => [`kind${number % 6}`, kind]), ways = [];
  if (messages.some((message) => message.network)) ways.push(['network', 'message over the network', true]);
  if (messages.some((message) => !message.network)) ways.push(['memory', 'message in memory', true]);
  legend('map-legend', [...kinds, ['idle', `${timeline.idle}, or done`], ...ways]);
  legend('step-legend', [...kinds, ...ways, ['cursor', 'this moment', true]]);
  legend('load-legend', [['load', 'height: share of the link\u2019s rate'], ['full', '90 % and more'], ['cursor', 'this moment', true]]);
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  byId('theme').textContent = dark ? '\u2600\ufe0e Light' : '\u263e\ufe0e Dark';
  byId('theme').setAttribute('aria-label', `Change to ${dark ? 'light' : 'dark'} colours`);
  readPalette();
  draw();
}

function play() {
  state.playing = !state.playing;
  if (state.playing && state.time >= timeline.end) state.time = 0;
  let before = performance.now();
  const tick = (now) => {
    if (!state.playing) return;
    const next = state.time + (now - before) / 1000 / playSeconds * (state.to - state.from);
    before = now;
    state.playing = next < timeline.end;
    goTo(next);
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  draw();
}

// Calls follow(event, at) while the pointer is over the canvas, and click(at) when it was not dragged.
function watch(canvas, follow, click) {
  const at = (event) => ({x: event.offsetX, y: event.offsetY});
  let start = null;
  canvas.addEventListener('pointerdown', (event) => {
    start = {x: event.clientX, from: state.from, dragged: false};
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!start) return follow(event, at(event));
    if (Math.abs(event.clientX - start.x) > 4) start.dragged = true;
    if (start.dragged) move(start.from - (event.clientX - start.x) / area() * (state.to - state.from));
    return hideTip();
  });
  canvas.addEventListener('pointerup', (event) => {
    if (start && !start.dragged) click(at(event));
    start = null;
  });
  canvas.addEventListener('pointercancel', () => { start = null; });
  canvas.addEventListener('pointerleave', hideTip);
  canvas.addEventListener('wheel', (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, timeOf(event.offsetX));
  }, {passive: false});
}

function watchRanks() {
  const about = ({span, message}) => span ? aboutSpan(span) : message ? aboutMessage(message) : null;
  watch(byId('rows'), (event, {x, y}) => {
    const pairs = about(found(x, y));
    if (pairs) showTip(event, pairs); else hideTip();
  }, ({x, y}) => {
    const what = found(x, y), pairs = about(what);
    if (pairs) select(pairs, what);
    if (x >= left && x <= left + area()) goTo(timeOf(x)); else draw();
  });
}

function watchLoads() {
  for (const {links, canvas} of levels) {
    const linkAt = (y) => links[Math.min(links.length - 1, Math.floor(y / loadHeight(links.length)))];
    const inside = (x) => x >= left && x <= left + area();
    watch(canvas, (event, {x, y}) => inside(x) ? showTip(event, aboutLink(linkAt(y), timeOf(x))) : hideTip(), ({x, y}) => {
      if (!inside(x)) return;
      select(aboutLink(linkAt(y), timeOf(x)));
      goTo(timeOf(x));
    });
  }
}

function start() {
  byId('title').textContent = timeline.title;
  byId('facts').replaceChildren(...timeline.facts.map((pair) => {
    const fact = element('div');
    listInto(fact, [pair]);
    return fact;
  }));
  if (timeline.completeUntil < timeline.end) {
    byId('notice').hidden = false;
    byId('notice').textContent = `There was more than a page can hold: single steps and messages are there until ${timeText(timeline.completeUntil)}. ` +
      'Behind that, grey shows how busy a rank was. The load of the links is complete.';
  }
  byId('rows').setAttribute('aria-label', `The steps of ${ranks.length} ranks and ${messages.length} messages over time`);
  byId('slider').max = inSteps ? Math.max(1, timeline.end * 10) : 2000;
  buildPlaces();
  buildLoads();
  buildLegends();
  byId('slider').addEventListener('input', (event) => goTo(event.target.value / event.target.max * timeline.end));
  byId('play').addEventListener('click', play);
  byId('back').addEventListener('click', () => goTo(moments[Math.max(0, countUntil(moments, state.time, (time) => time + 1e-9) - 1)]));
  byId('forth').addEventListener('click', () => goTo(moments[Math.min(moments.length - 1, countUntil(moments, state.time, (time) => time))]));
  byId('in').addEventListener('click', () => zoom(0.5));
  byId('out').addEventListener('click', () => zoom(2));
  byId('all').addEventListener('click', () => move(0, timeline.end));
  byId('theme').addEventListener('click', () => setTheme(document.documentElement.dataset.theme !== 'dark'));
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', (event) => setTheme(event.matches));
  window.addEventListener('resize', draw);
  document.querySelector('.scroll').addEventListener('scroll', draw);
  watchRanks();
  watchLoads();
  setTheme(dark.matches);
}
start();
