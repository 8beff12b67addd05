# picture: a comparison as an SVG: time over the floor's (logarithmic) over the message's size (logarithmic), a line per library.
#
# In: figures as compare.py writes them to JSON. Out: SVG text that needs nothing but a browser. The floor is the line at 1; what it
# is in microseconds stands below each size. bare, of floats out of place, is the plainest program over plain memory (bare.h). The scale
# follows the libraries that use shared memory: a line that leaves it at the top (Gloo's, over TCP) has its numbers written there,
# lest it press the others flat.
import math
from xml.sax.saxutils import escape

# colour (told apart by the colour-blind too), width, marker
STYLES = {
    'tutti': ('#0072b2', 3.5, 'circle'),
    'tutti registered': ('#56b4e9', 2.5, 'circle'),
    'open mpi': ('#d55e00', 2, 'square'),
    'mpich': ('#cc79a7', 2, 'diamond'),
    'intel mpi': ('#882255', 2, 'triangle'),
    'gloo': ('#009e73', 2, 'triangle'),
    'bare': ('#888', 1.5, 'square'),
    'mapped': ('#bbb', 1.5, 'square'),
}
OLDER = {'open mpi': '#e8a87c', 'mpich': '#e5bcd5', 'intel mpi': '#b98fa5'}  # the colour of another version beside
BEYOND = ['gloo']  # does not shape the scale
WIDTH, HEIGHT = 960, 560
LEFT, RIGHT, TOP, BOTTOM = 84, 932, 100, 452  # of the plot
GREY = '#666'


def styles_of(names):
    """{name: its style}. An MPI's name ends with its version; of two versions, the newer has the kind's colour."""
    styles = {}
    for name in names:
        kind = name.rstrip('0123456789.').strip()
        newer = any(other.startswith(kind) and version_of(other) > version_of(name) for other in names)
        colour, width, shape = STYLES[kind]
        styles[name] = (OLDER[kind] if newer else colour, width, shape)
    return styles


def version_of(name):
    return [int(part) for part in name.split()[-1].split('.') if part.isdigit()]


def size_text(size):
    for unit, name in ((1 << 30, 'GiB'), (1 << 20, 'MiB'), (1 << 10, 'KiB')):
        if size >= unit and size % unit == 0:
            return f'{size // unit} {name}'
    return f'{size} B'


def time_text(us):
    for limit, scale, unit in ((1e3, 1, 'µs'), (1e6, 1e3, 'ms'), (math.inf, 1e6, 's')):
        if us < limit:
            return f'{us / scale:.2g} {unit}' if us / scale < 100 else f'{us / scale:.0f} {unit}'
    return ''


def ticks_between(low, high):
    steps = (1, 1.5, 2, 3, 4, 5, 7) if high / low < 12 else (1, 2, 5) if high / low < 2000 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0 ** decade for decade in decades for step in steps if low <= step * 10.0 ** decade <= high]


def text(x, y, words, anchor='middle', size=13, colour='#222', more=''):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}" {more}>'
            f'{escape(words)}</text>')


def line(x1, y1, x2, y2, colour, width=1.0, more=''):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}" {more}/>'


def marker(shape, x, y, colour):
    corners = {'square': [(-4, -4), (4, -4), (4, 4), (-4, 4)], 'diamond': [(0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)],
               'triangle': [(0, -5.5), (5, 4), (-5, 4)]}
    look = f'fill="{colour}" stroke="white" stroke-width="1"'
    if shape == 'circle':
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" {look}/>'
    points = ' '.join(f'{x + dx:.1f},{y + dy:.1f}' for dx, dy in corners[shape])
    return f'<polygon points="{points}" {look}/>'


def every_size(sizes):
    """Of so many sizes one has room for words."""
    return math.ceil(len(sizes) / 12)


def axes(sizes, floor_us, low, high, place):
    parts = []
    for tick in ticks_between(low, high):
        y = place(sizes[0], tick)[1]
        parts += [line(LEFT, y, RIGHT, y, '#e4e4e4'), text(LEFT - 10, y + 4.5, f'{tick:g}×', 'end')]
    every = every_size(sizes)
    for i, size in enumerate(sizes):
        x = place(size, 1)[0]
        parts.append(line(x, BOTTOM, x, BOTTOM + 5, GREY))
        if i % every == 0:
            parts += [text(x, BOTTOM + 22, size_text(size)),
                      text(x, BOTTOM + 40, time_text(floor_us[size]), size=11, colour=GREY)]
    y = place(sizes[0], 1)[1]
    middle = (LEFT + RIGHT) / 2
    turned = f'transform="rotate(-90 24 {(TOP + BOTTOM) / 2:.0f})"'
    parts += [line(LEFT, y, RIGHT, y, '#222', 1.8, 'stroke-dasharray="7 4"'),
              text(LEFT - 10, BOTTOM + 40, 'floor', 'end', 11, GREY),
              line(LEFT, TOP, LEFT, BOTTOM, GREY), line(LEFT, BOTTOM, RIGHT, BOTTOM, GREY),
              text(middle, BOTTOM + 64, 'message size; below it, the time of the floor'),
              text(24, (TOP + BOTTOM) / 2, 'time / floor (less is better)', more=turned)]
    return parts


def legend(names):
    parts, x, y = [], LEFT, 72
    for name, (colour, width, shape) in [*styles_of(names).items(), ('floor', ('#222', 1.8, None))]:
        room = 36 + 8 * len(name) + 14
        if x + room > RIGHT:
            x, y = LEFT, y + 19
        dashes = '' if shape else 'stroke-dasharray="7 4"'
        parts += [line(x, y, x + 28, y, colour, width, dashes), marker(shape, x + 14, y, colour) if shape else '',
                  text(x + 36, y + 4.5, name, 'start', 14, colour, 'font-weight="bold"' if shape else '')]
        x += room
    return parts


def draw(figures):
    """figures: what compare.py's JSON holds, with numbers for sizes."""
    floor_us = figures['floor_us']
    sizes = list(floor_us)
    lines = {name: {size: times_us[size] / floor_us[size] for size in sizes}
             for name, times_us in {**figures['libraries_us'], 'bare': figures['bare_us'],
                                    'mapped': figures.get('mapped_us')}.items() if times_us}
    ratios = [ratio for name, values in lines.items() if name not in BEYOND for ratio in values.values()]
    low, high = min(0.85, 0.9 * min(ratios)), max(4, 1.4 * max(ratios))
    across = math.log(sizes[-1] / sizes[0]) or 1.0

    def place(size, ratio):
        return (LEFT + 24 + (RIGHT - LEFT - 48) * math.log(size / sizes[0]) / across,
                BOTTOM - (BOTTOM - TOP) * math.log(ratio / low) / math.log(high / low))

    about = (f'{figures["type"]}{", " + figures["op"] if figures["op"] else ""}, '
             f'{"in place" if figures["in_place"] else "out of place"}; medians of {figures["rounds"]} interleaved rounds; '
             f'{figures["cores"]} cores, {figures["processor"]}')
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
             'font-family="Helvetica, Arial, DejaVu Sans, sans-serif">',
             f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"/></clipPath>',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             text(LEFT, 30, f'{figures["collective"]} between {figures["ranks"]} processes on one host', 'start', 19,
                  more='font-weight="bold"'),
             text(LEFT, 52, about, 'start', 12.5, GREY), *axes(sizes, floor_us, low, high, place), *legend(lines)]
    styles = styles_of(lines)
    for name, values in reversed(lines.items()):  # Tutti last, on top
        colour, width, shape = styles[name]
        points = [(*place(size, values[size]), values[size]) for size in sizes]
        path = ' '.join(f'{x:.1f},{y:.1f}' for x, y, _ in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" '
                     'clip-path="url(#plot)"/>')
        parts += [marker(shape, x, y, colour) for x, y, ratio in points if ratio <= high]
        parts += [text(x, TOP + 13, f'{ratio:.0f}× ↑', size=11, colour=colour)
                  for x, _, ratio in points[::every_size(sizes)] if ratio > high]
    return '\n'.join([*parts, '</svg>', ''])
