# embed: puts the page's parts together and writes them as a C++ string: embed.py page.html page.css page.js OUTPUT.
import sys

DELIMITER = 'tutti_page'


def main():
    page, style, script = (open(path, encoding='utf-8').read() for path in sys.argv[1:4])
    text = page.replace('@STYLE@', style.strip()).replace('@SCRIPT@', script.strip())
    if f'){DELIMITER}"' in text:
        sys.exit(f'embed.py: the page contains the end of the string, ){DELIMITER}"')
    with open(sys.argv[4], 'w', encoding='utf-8') as out:
        out.write(f'#include "tools/page/page.h"\n\nnamespace tutti {{\nconst char* const kPage = R"{DELIMITER}({text}){DELIMITER}";\n}}\n')


main()
