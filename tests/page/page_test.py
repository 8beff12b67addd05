# page_test: the pages and pictures of tutti-sim and tutti-plan: page_test.py TUTTI_SIM TUTTI_PLAN. Clicks through the page in Chromium, if that is installed.
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import browser

SIM, PLAN = sys.argv[1:3]
failures = []


def check(what, condition):
    if not condition:
        failures.append(what)
        print('FAILED:', what)


def run(*words, code=0, says=''):
    done = subprocess.run(words, capture_output=True, text=True)
    check(f'{" ".join(words)}: exit code {done.returncode}, expected {code}: {done.stderr}', done.returncode == code)
    check(f'{" ".join(words)}: says {done.stderr!r}, expected {says!r}', says in done.stderr + done.stdout)


def check_arguments(folder):
    page = folder + '/x.html'
    run(SIM, '--topo', 'host:2 core:2', '--all', '--html', page, code=2, says='--html shows one run')
    run(SIM, '--topo', 'host:2 core:2', '--size', '1K,2K', '--html', page, code=2, says='--html shows one run')
    run(SIM, '--topo', 'host:2 core:2', '--html', folder + '/none/x.html', code=2, says='--html: ')
    run(SIM, '--topo', 'host:2 core:2', '--html', code=2, says='--html')
    run(PLAN, 'print', '--html', page, code=2, says='--html is for draw')
    run(PLAN, 'draw', '--svg', folder + '/none/x.svg', code=2, says='--svg: ')
    run(SIM, '--topo', 'rack:64 host:64 core:8', '--size', '1K', '--html', page, code=1, says='no page')
    check('a refused page is not written', not os.path.exists(page))


def check_picture(folder):
    path = folder + '/ring.svg'
    run(PLAN, '--algo', 'ring', '--ranks', '4', '--size', '4K', 'draw', '--svg', path)
    root = ElementTree.parse(path).getroot()
    of_class = lambda name: [e for e in root.iter() if e.get('class') == name]
    # A ring of 4 sends 6 messages a rank; the legend has one of each.
    check(f'the picture has {len(of_class("send"))} sends', len(of_class('send')) == 4 * 6 + 1)
    check(f'the picture has {len(of_class("message"))} messages', len(of_class('message')) == 4 * 6 + 1)
    check('the picture names all ranks', {f'rank {rank}' for rank in range(4)} <= {e.text for e in root.iter()})


def check_page(chromium, folder):
    strange = folder + '/a</script><b>&'  # what a file may be called
    os.makedirs(strange)
    with open(strange + '/two.topo', 'w', encoding='utf-8') as file:
        file.write('host a ranks=4 nic=10Gbit\nhost b ranks=4 nic=10Gbit\n')
    first, second = folder + '/first.html', folder + '/second.html'
    run(SIM, '--topo', strange + '/two.topo', '--size', '1M', '--algo', 'hierarchical', '--html', first)
    run(PLAN, '--topo', 'host:32 core:8', '--algo', 'tree', '--size', '64K', 'draw', '--html', second)
    for path in (first, second):
        with open(path, encoding='utf-8') as file:
            check(f'{path} asks for nothing else', not any(word in file.read() for word in ('http:', 'https:', 'src=', '@import')))
    try:
        page = browser.Browser(chromium)
    except (RuntimeError, OSError) as error:
        print(f'the page was not tried: {chromium} does not start: {error}')
        return False
    try:
        page.open(first)
        text = lambda selector: page.value(f'document.querySelector({selector!r}).textContent')
        check('the title is there', text('#title') == 'AllReduce of 1 MiB by hierarchical')
        check('a strange name is text', strange in text('#facts'))
        check('all ranks are there', page.value('document.querySelectorAll(".rank").length') == 8)
        check('both hosts are there', page.value('document.querySelectorAll(".place").length') == 2)
        check('links are there', page.value('document.querySelectorAll("#links tbody tr").length') >= 2)
        check('the theme is that of the system', page.value('document.documentElement.dataset.theme') == 'light')

        begin = text('#clock')
        page.click('#on')
        check('a step moves the time', text('#clock') != begin)
        page.click('#back')
        check('a step back moves it back', text('#clock') == begin)
        page.click('#slider', 0.5)
        check('the slider moves the time', abs(page.value('now / end') - 0.5) < 0.05)
        check('somebody does something in the middle', text('#now') != 'nothing')

        colors = 'getComputedStyle(document.body).backgroundColor'
        light = page.value(colors)
        page.click('#theme')
        check('the theme changes', page.value('document.documentElement.dataset.theme') == 'dark' and page.value(colors) != light)
        page.click('#theme')
        page.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'dark'}])
        check('a dark system makes it dark', page.becomes('document.documentElement.dataset.theme === "dark"'))

        # The middle of rank 3's longest span.
        x, y = page.value('(() => { const b = document.querySelector("#time").getBoundingClientRect();'
                          ' const s = spans[3].reduce((a, b) => b.end - b.begin > a.end - a.begin ? b : a);'
                          ' return [b.left + xOf((s.begin + s.end) / 2), b.top + yOf(3) + rowHeight / 2]; })()')
        page.hover(x, y)
        check(f'details of a step: {text("#tip")!r}', text('#tip').startswith('rank 3: ') and not page.value('document.querySelector("#tip").hidden'))
        page.call('Input.dispatchMouseEvent', type='mouseWheel', x=x, y=y, deltaX=0, deltaY=-200)
        check('the wheel zooms', page.becomes('view[1] - view[0] < end'))
        page.click('#fit')
        check('fit shows all again', page.value('view[0] === 0 && view[1] === end'))
        page.click('.rank:nth-of-type(2)')
        check('a rank is chosen', page.value('document.querySelectorAll(".rank.chosen").length') == 1 and page.value('chosen') == 1)
        check(f'no troubles: {page.troubles()}', not page.troubles())

        page.open(second)
        check('256 ranks are there', page.value('document.querySelectorAll(".rank").length') == 256)
        page.click('#slider', 0.3)
        check('the slider moves among 256 ranks', page.value('now > 0'))
        check(f'no troubles with 256 ranks: {page.troubles()}', not page.troubles())
    finally:
        page.close()
    return True


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_arguments(folder)
        check_picture(folder)
        chromium = browser.find()
        if not chromium:
            print('the page was not tried: Chromium is not installed (apt-get install chromium)')
        tried = chromium and check_page(chromium, folder)
    if failures:
        sys.exit(1)
    if not tried:
        sys.exit(77)


main()
