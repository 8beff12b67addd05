// The topology: boxes within boxes, the load of their links, what each rank does, and the messages on their way.
'use strict';

const mostFlights = 300;  // arrows in the topology
const cells = [];         // by rank
const gauges = [];        // {link, bar, text}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function addGauges(box, place) {
  for (const link of timeline.links.filter((one) => one.place === place)) {
    const gauge = element('div', 'gauge'), bar = element('i'), frame = element('b'), text = element('span');
    frame.append(bar);
    gauge.append(link.out ? 'out' : 'in', frame, text);
    gauge.title = `${link.name}: ${rateText(link.bytesPerSecond)}`;
    box.append(gauge);
    gauges.push({link, bar, text});
  }
}

// What lies in a place; parent -1: what lies in none.
function insideOf(parent) {
  const inside = element('div', 'inside');
  const own = ranks.map((_, rank) => rank).filter((rank) => ranks[rank].place === parent);
  if (own.length > 0) {
    const row = element('div', 'cells');
    for (const rank of own) {
      const cell = cells[rank] = element('button', 'cell', rank);
      cell.type = 'button';
      cell.addEventListener('click', () => pickRank(rank));
      cell.addEventListener('mousemove', (event) => showTip(event, [['rank', ranks[rank].name], ['does', doingText(rank)]]));
      cell.addEventListener('mouseleave', hideTip);
      row.append(cell);
    }
    inside.append(row);
  }
  timeline.places.forEach((place, number) => {
    if (place.parent !== parent) return;
    const box = element('div', 'place');
    box.append(element('h3', '', place.name));
    addGauges(box, number);
    box.append(insideOf(number));
    inside.append(box);
  });
  return inside;
}

function doingText(rank) {
  const spans = spansAt(ranks[rank], state.time);
  if (spans.length > 0) return spans.map((span) => span.name).join('\n');
  if (state.time >= timeline.completeUntil && state.time < timeline.end) return `busy ${ranks[rank].busy[slotAt(state.time)] || 0} %`;
  return state.time >= ranks[rank].last ? 'done' : timeline.idle;
}

function buildPlaces() {
  const boxes = document.getElementById('boxes');
  boxes.classList.toggle('small', ranks.length > 64);
  boxes.append(insideOf(-1));
}

const center = (cell, frame) => {
  const box = cell.getBoundingClientRect();
  return [box.left - frame.left + box.width / 2, box.top - frame.top + box.height / 2, box.width / 2];
};

// An arc that begins and ends at the rims of the two cells.
function flightPath(message, frame) {
  const [x1, y1] = center(cells[message.from], frame), [x2, y2, half] = center(cells[message.to], frame);
  const length = Math.hypot(x2 - x1, y2 - y1) || 1, ux = (x2 - x1) / length, uy = (y2 - y1) / length;
  const bend = Math.min(36, length / 4), mx = (x1 + x2) / 2 + uy * bend, my = (y1 + y2) / 2 - ux * bend;
  const turn = Math.hypot(x2 - mx, y2 - my) || 1, tx = (x2 - mx) / turn, ty = (y2 - my) / turn;
  const ex = x2 - tx * half, ey = y2 - ty * half;
  const head = `M${ex - 7 * tx + 4 * ty} ${ey - 7 * ty - 4 * tx}L${ex} ${ey}L${ex - 7 * tx - 4 * ty} ${ey - 7 * ty + 4 * tx}`;
  return `M${x1 + ux * half} ${y1 + uy * half}Q${mx} ${my} ${ex} ${ey}${head}`;
}

function drawPlaces(flying) {
  ranks.forEach((rank, number) => {
    const span = innermostAt(rank, state.time);
    cells[number].style.background = span ? `var(--kind${span.kind % 6})` : '';
    cells[number].style.color = span ? `var(--on${span.kind === 0 ? 0 : 1})` : '';
    cells[number].classList.toggle('picked', state.rank === number);
  });
  for (const {link, bar, text} of gauges) {
    const load = loadAt(link, state.time);
    bar.style.width = `${Math.min(100, load)}%`;
    bar.classList.toggle('full', load >= 90);
    text.textContent = `${load} %`;
  }
  const flights = document.getElementById('flights'), boxes = document.getElementById('boxes');
  const frame = boxes.getBoundingClientRect();
  const few = flying.length <= 64;  // more would hide the boxes
  flights.setAttribute('stroke-width', few ? 2 : 1);
  flights.style.opacity = few ? 1 : 0.45;
  flights.replaceChildren(...flying.slice(0, mostFlights).map((message) => {
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    path.setAttribute('d', flightPath(message, frame));
    path.style.stroke = message.network ? 'var(--network)' : 'var(--memory)';
    return path;
  }));
}
