# page_test: the pages and pictures of tutti-sim, tutti-plan and tutti-trace. Clicks through pages in Chromium, and is skipped if that is not installed, but
# for what needs no browser.
#
# Arguments: tutti-sim, tutti-plan, tutti-run, tutti-trace, the program that tests/trace runs.
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

sys.dont_write_bytecode = True
import browser  # noqa: E402

SIM, PLAN, RUN, TRACE, TRACED = sys.argv[1:6]
NOWHERE = '/none/x'
failures = []


def check(what, condition):
    if not condition:
        failures.append(what)
        print('FAILED:', what)


def run(*words, code=0, says=''):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    check(f'{" ".join(words)}: exit code {done.returncode}, expected {code}: {done.stderr}', done.returncode == code)
    check(f'{" ".join(words)}: says {done.stderr!r}, expected {says!r}', says in done.stderr + done.stdout)


def timeline_of(path):
    with open(path, encoding='utf-8') as file:
        return json.loads(re.search(r'<script type="application/json" id="timeline">(.*?)</script>', file.read(), re.DOTALL).group(1))


def check_arguments(folder):
    page = folder + '/x.html'
    run(SIM, '--topo', 'host:2 core:2', '--all', '--html', page, code=2, says='--html shows one run')
    run(SIM, '--topo', 'host:2 core:2', '--size', '1K,2K', '--html', page, code=2, says='--html shows one run')
    run(SIM, '--topo', 'host:2 core:2', '--html', folder + NOWHERE, code=2, says='--html: cannot write')
    run(SIM, '--topo', 'host:2 core:2', '--html', code=2, says='--html')
    run(SIM, '--topo', 'rack:64 host:64 core:8', '--size', '1K', '--html', page, code=1, says='no page')
    run(PLAN, 'print', '--html', page, code=2, says='--html is for draw')
    run(PLAN, '--explain', 'allreduce', '1M', '--html', page, code=2, says='--html is for draw')
    run(PLAN, '--svg', page, code=2, says='nothing to do')
    run(PLAN, 'draw', '--svg', code=2, says='--svg')
    run(PLAN, 'draw', '--html', '', code=2, says='--html: the name of a file is missing')
    run(SIM, '--topo', 'host:2 core:2', '--html', '', code=2, says='--html: the name of a file is missing')
    run(PLAN, 'draw', '--svg', folder + NOWHERE, code=2, says='--svg: cannot write')
    run(PLAN, '-n', '128', '-a', 'ring', 'draw', '--svg', page, code=2, says='take fewer ranks, or --html')
    run(PLAN, '-n', '256', '-a', 'ring', 'draw', '--html', page, code=2, says='take fewer ranks, or tutti-sim --html')
    check('a refused page is not written', not os.path.exists(page))


def check_picture(folder):
    path = folder + '/ring.svg'
    run(PLAN, '--algo', 'ring', '--topo', 'host:2 core:2', 'draw', '--svg', path)
    root = ElementTree.parse(path).getroot()
    tag = '{http://www.w3.org/2000/svg}'
    boxes = [group[0].get('class') for group in root.iter(tag + 'g')]
    # A ring of 4 sends 6 messages a rank, and two of four go to the other host.
    check(f'the picture has {boxes.count("send")} sends', boxes.count('send') == 24)
    arrows = [path.get('class') for path in root.iter(tag + 'path') if path.find(tag + 'title') is not None]
    check(f'the picture has these arrows: {arrows}', (arrows.count('network'), arrows.count('memory')) == (12, 12))
    words = {text.text for text in root.iter(tag + 'text')}
    check('the picture names ranks, steps and what colours mean', {'rank 3', 'step 5', 'combine', 'message in memory', 'message over the network'} <= words)
    for element in root.iter():
        right = float(element.get('x', 0)) + float(re.sub('%', '', element.get('width', '0')) if '%' not in element.get('width', '') else 0)
        check(f'the picture holds {element.attrib}', right <= float(root.get('width')) + 0.1)


def check_timeline(path):
    """What is in the page of the hierarchical AllReduce fits together."""
    timeline = timeline_of(path)
    end, slot = timeline['end'], timeline['slot']
    for rank in timeline['ranks']:
        spans = sorted(rank['spans'])
        check('steps of a rank follow each other', all(a[1] <= b[0] + 1e-6 for a, b in zip(spans, spans[1:])))
        check('steps lie in the time', all(0 <= begin <= stop <= end + 1e-6 for begin, stop, *_ in spans))
        busy = sum(stop - begin for begin, stop, *_ in spans)
        check('a rank is as busy as its steps are long', abs(sum(rank['busy']) / 100 * slot - busy) <= 0.01 * len(rank['busy']) * slot)
    for link in timeline['links']:
        full = [*link['load'][:-1], link['load'][-1] * (end / slot - len(link['load']) + 1)]  # the last slot ends with the run
        carried = sum(full) / 100 * slot * 1e-6 * link['bytesPerSecond']
        check(f'{link["name"]}: the load of {carried} makes {link["bytes"]} bytes', abs(carried - link['bytes']) <= 0.05 * link['bytes'])
    crossing = sum(message[5] for message in timeline['messages'] if message[4] == 1 and message[0] < 4)
    out = next(link['bytes'] for link in timeline['links'] if link['name'] == 'host 0 out')
    check(f'messages of {crossing} bytes over a link that carried {out}', crossing == out)
    check('messages in memory are there', any(message[4] == 0 for message in timeline['messages']))


def click_through(page):
    def text(selector):
        return page.value(f'document.querySelector({selector!r}).textContent')

    check('the title is there', text('#title') == 'AllReduce of 1 MiB by hierarchical, 8 ranks')
    check('all ranks are there', page.value('document.querySelectorAll(".cell").length') == 8)
    check('both hosts are there', page.value('[...document.querySelectorAll(".place h3")].map((one) => one.textContent).join()') == 'host 0,host 1')
    check('the load of links is there', page.value('document.querySelectorAll("#levels canvas").length') == 2)
    check('the theme is that of the system', page.value('document.documentElement.dataset.theme') == 'light')

    check('time begins at 0', page.becomes('document.querySelector("#clock").textContent.startsWith("0.00 us of ")'))
    page.click('#forth')
    check('a step moves the time', page.becomes('!document.querySelector("#clock").textContent.startsWith("0.00 us")'))
    page.click('#back')
    check('a step back moves it back', page.becomes('document.querySelector("#clock").textContent.startsWith("0.00 us")'))
    page.click('#slider', 0.1)
    check('the slider moves the time', page.becomes('Math.abs(state.time / timeline.end - 0.1) < 0.05'))
    check('the links are loaded then', page.becomes('[...document.querySelectorAll(".gauge span")].some((one) => one.textContent === "100 %")'))
    check('messages are on their way then', page.becomes('document.querySelectorAll("#flights path").length === 8'))
    check(f'what is said of the moment: {text("#now")}', 'messages on their way8' in text('#now'))

    pixel = 'document.querySelector("#rows").getContext("2d").getImageData(300, 10, 1, 1).data.join()'
    colors = 'getComputedStyle(document.body).backgroundColor'
    light, light_pixel = page.value(colors), page.value(pixel)
    page.click('#theme')
    check('the theme changes', page.becomes('document.documentElement.dataset.theme === "dark"') and page.value(colors) != light)
    check('the charts change with it', page.becomes(f'{pixel} !== {light_pixel!r}'))
    page.click('#theme')
    page.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'dark'}])
    check('a dark system makes it dark', page.becomes('document.documentElement.dataset.theme === "dark"'))

    # The middle of rank 3's longest step.
    x, y = page.value('(() => { window.scrollTo(0, 300); const b = document.querySelector("#rows").getBoundingClientRect();'
                      ' const s = ranks[3].lanes[0].reduce((a, b) => b.end - b.begin > a.end - a.begin ? b : a);'
                      ' return [b.left + xOf((s.begin + s.end) / 2), b.top + 3.5 * rowHeight]; })()')
    page.hover(x, y)
    check(f'details of a step: {text("#tip")!r}', text('#tip').startswith('rank: rank 3\n') and not page.value('document.querySelector("#tip").hidden'))
    page.press(x, y)
    check(f'a click selects it: {text("#details")!r}', page.becomes('state.rank === 3 && state.span !== null') and 'rank 3' in text('#details'))
    check('and goes to its time', page.value('state.time >= state.span.begin && state.time < state.span.end'))
    page.call('Input.dispatchMouseEvent', type='mouseWheel', x=x, y=y, deltaX=0, deltaY=-200, modifiers=2)
    check('Ctrl and the wheel zoom', page.becomes('state.to - state.from < timeline.end'))
    page.click('#all')
    check('All shows all again', page.becomes('state.from === 0 && state.to === timeline.end'))
    x, y = page.value('(() => { const c = document.querySelector("#levels canvas"); c.scrollIntoView({block: "center"});'
                      ' const b = c.getBoundingClientRect(); return [b.left + xOf(timeline.end / 4), b.top + 5]; })()')
    page.press(x, y)
    check(f'a click selects a link: {text("#details")!r}', page.becomes('document.querySelector("#details").textContent.includes("host 0 out")'))
    check('with its rate', re.search(r'100 % of [\d.]+ GB/s', text('#details')) is not None)
    page.click('#play')
    check('play moves the time', page.becomes('state.time > timeline.end / 4 * 1.05'))
    page.click('#play')
    check('and stops', page.becomes('!state.playing'))


def text_of(page):
    return page.value('document.querySelector("#details").textContent')


def check_pages(chromium, paths):
    try:
        page = browser.Browser(chromium)
    except (RuntimeError, OSError) as error:
        print(f'the pages were not tried: {chromium} does not start: {error}')
        return False
    try:
        page.open(paths['first'])
        click_through(page)
        check(f'no troubles: {page.troubles()}', not page.troubles())

        page.open(paths['strange'])
        check('a strange name is text', page.value('document.querySelector("#facts").textContent').find('</script><b>&') > 0)
        check('and no element', page.value('document.querySelectorAll("#facts b").length') == 0)
        check(f'no troubles with a strange name: {page.troubles()}', not page.troubles())

        page.open(paths['plan'])
        check('a schedule has steps', page.becomes('document.querySelector("#clock").textContent === "step 0, the last is 13"'))
        page.click('#forth')
        check('the button goes from step to step', page.becomes('document.querySelector("#clock").textContent === "step 1, the last is 13"'))
        check('a schedule has no load', page.value('document.querySelector("#loads").hidden'))
        check(f'no troubles with a schedule: {page.troubles()}', not page.troubles())

        page.open(paths['traced'])
        check('a traced run has its ranks', page.value('[...document.querySelectorAll(".cell")].map((one) => one.textContent).join()') == '0,1,2,3')
        x, y = page.value('(() => { document.querySelector("#rows").scrollIntoView({block: "center"});'
                          ' const b = document.querySelector("#rows").getBoundingClientRect();'
                          ' const s = ranks[0].lanes[0].reduce((a, b) => b.end - b.begin > a.end - a.begin ? b : a);'
                          ' return [b.left + xOf((s.begin + s.end) / 2), b.top + rowHeight / 4]; })()')
        page.press(x, y)
        check(f'a click selects a call: {text_of(page)!r}', page.becomes('document.querySelector("#details").textContent.includes("AllReduce")'))
        check('inside of it the rank waits', page.value('timeline.kinds[innermostAt(ranks[0], state.time).kind]') == 'wait')
        check(f'no troubles with a traced run: {page.troubles()}', not page.troubles())

        page.open(paths['large'])
        check('256 ranks are there', page.value('document.querySelectorAll(".cell").length') == 256)
        check('what is missing is said', page.value('!document.querySelector("#notice").hidden'))
        page.click('#slider', 0.3)
        check('the slider moves among 256 ranks', page.becomes('state.time > 0'))
        page.value('draw()')
        frame = page.value('new Promise((done) => requestAnimationFrame(() => { const begin = performance.now(); state.time += 1; wanted = false;'
                           ' draw(); requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begin))); }))')
        print(f'256 ranks: a picture takes about {frame:.0f} ms')
        check(f'no troubles with 256 ranks: {page.troubles()}', not page.troubles())
    finally:
        page.close()
    return True


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_arguments(folder)
        check_picture(folder)
        strange = folder + '/a</script><b>&{{timeline}}'  # what a folder may be called
        os.makedirs(strange)
        with open(strange + '/two.topo', 'w', encoding='utf-8') as file:
            file.write('host a ranks=4 nic=10Gbit\nhost b ranks=4 nic=10Gbit\n')
        paths = {name: f'{folder}/{name}.html' for name in ('first', 'strange', 'plan', 'traced', 'large')}
        run(SIM, '--topo', 'host:2 core:4', '--size', '1M', '--algo', 'hierarchical', '--html', paths['first'])
        run(SIM, '--topo', strange + '/two.topo', '--size', '1K', '--html', paths['strange'])
        run(PLAN, '--algo', 'ring', '--ranks', '8', 'draw', '--html', paths['plan'])
        run(SIM, '--topo', 'host:32 core:8', '--algo', 'ring', '--size', '16M', '--html', paths['large'])
        run(RUN, '-n', '4', 'env', 'TUTTI_TRACE=' + folder + '/trace', TRACED, 'late')
        run(TRACE, folder + '/trace', '--html', paths['traced'])
        check_timeline(paths['first'])
        for path in paths.values():
            with open(path, encoding='utf-8') as file:
                text = re.sub('http://www.w3.org/2000/svg', '', file.read())
            check(f'{path} asks for nothing else', not any(word in text for word in ('http:', 'https:', 'src=', '@import', '<link')))
        chromium = browser.find()
        if not chromium:
            print('the pages were not tried: Chromium is not installed (as root: tools/packages.sh chromium)')
        tried = chromium and check_pages(chromium, paths)
    return 1 if failures else 0 if tried else 77


sys.exit(main())
