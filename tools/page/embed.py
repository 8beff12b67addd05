#!/usr/bin/env python3
# embed: makes one C++ file of the page: page.html, with the style and the scripts in their places. The program then carries the page, and
# reads no file.
#
# Usage: embed.py page.html page.css SCRIPT.js... OUTPUT.cc
import pathlib
import sys

MOST = 8000  # characters of one literal; compilers join them


def main():
    html, css, *scripts, output = (pathlib.Path(path) for path in sys.argv[1:])
    text = html.read_text()
    for mark, part in (('/* page.css */', css.read_text()), ('/* scripts */', '\n'.join(script.read_text() for script in scripts))):
        if text.count(mark) != 1:
            sys.exit(f'embed.py: {html} has to have {mark} once')
        text = text.replace(mark, part)
    pieces = [text[at:at + MOST] for at in range(0, len(text), MOST)]
    if ')page"' in text:
        sys.exit('embed.py: )page" in the page would end a literal')
    output.write_text('// The page that tools/page/embed.py made of the files in tools/page.\n#include "tools/page/page.h"\n\n'
                      'namespace tutti::show {\n\nconst char kPage[] =\n' + '\n'.join(f'R"page({piece})page"' for piece in pieces) +
                      ';\n\n}  // namespace tutti::show\n')


if __name__ == '__main__':
    main()
