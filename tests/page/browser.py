# browser: a headless Chromium, driven over the DevTools protocol by a pair of pipes. Only what the page's test needs.
import json
import os
import shutil
import subprocess
import tempfile
import time

DEADLINE_S = 60


def find():
    return next((path for path in map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome')) if path), None)


class Browser:
    def __init__(self, program):
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def take_pipes():  # the protocol wants 3 and 4
            first, second = os.dup(to_browser), os.dup(from_browser)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [program, '--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--remote-debugging-pipe', '--window-size=1300,900',
             f'--user-data-dir={self._folder.name}', 'about:blank'],
            preexec_fn=take_pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self._rest, self._last, self._session, self.events = b'', 0, None, []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.call(domain + '.enable')

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
        self._folder.cleanup()

    def call(self, method, **params):
        self._last += 1
        message = {'id': self._last, 'method': method, 'params': params}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') != self._last:
                self.events.append(answer)
                continue
            if 'error' in answer:
                raise RuntimeError(f'{method}: {answer["error"]}')
            return answer['result']

    def _receive(self):
        while b'\0' not in self._rest:
            part = os.read(self._read, 1 << 16)
            if not part:
                raise RuntimeError('the browser has ended')
            self._rest += part
        one, self._rest = self._rest.split(b'\0', 1)
        return json.loads(one)

    def open(self, path):
        self.events = []
        self.call('Page.navigate', url='file://' + path)
        end = time.monotonic() + DEADLINE_S
        while not any(event.get('method') == 'Page.loadEventFired' for event in self.events):
            if time.monotonic() > end:
                raise RuntimeError('the page does not load')
            self.call('Runtime.evaluate', expression='0')

    def value(self, expression):
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f'{expression}: {result["exceptionDetails"]["text"]}')
        return result['result'].get('value')

    def becomes(self, expression):
        """Whether the expression is true within some time: what follows an event comes with the next picture."""
        end = time.monotonic() + 5
        while not self.value(expression) and time.monotonic() < end:
            time.sleep(0.02)
        return bool(self.value(expression))

    def click(self, selector, across=0.5):
        self.press(*self.point(selector, across))

    def press(self, x, y):
        for kind in ('mousePressed', 'mouseReleased'):
            self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def point(self, selector, across=0.5):
        box = self.value(f'(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect();'
                         f' return [b.left + b.width * {across}, b.top + b.height / 2]; }})()')
        return box

    def hover(self, x, y):
        self.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def troubles(self):
        """Exceptions, errors on the console, and requests for anything but the file itself."""
        self.call('Runtime.evaluate', expression='0')
        found = []
        for event in self.events:
            method, params = event.get('method'), event.get('params', {})
            if method == 'Runtime.exceptionThrown':
                found.append(params['exceptionDetails']['text'])
            if method == 'Runtime.consoleAPICalled' and params['type'] in ('error', 'assert'):
                found.append(str(params['args']))
            if method == 'Log.entryAdded' and params['entry']['level'] == 'error':
                found.append(params['entry']['text'])
            if method == 'Network.requestWillBeSent' and not params['request']['url'].startswith('file://'):
                found.append('a request for ' + params['request']['url'])
        return found
