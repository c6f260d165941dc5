"""Writes docs/cheat-sheet-a4.html, the cheat sheet as one A4 page to print, from docs/cheat-sheet.md.

python docs/cheat_sheet_page.py > docs/cheat-sheet-a4.html
"""

import sys
from pathlib import Path

from markdown_it import MarkdownIt

SHEET = Path(__file__).with_name("cheat-sheet.md")
HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>calseq on one page</title>
<style>
@page { size: A4; margin: 12mm }
body { font: 10pt/1.4 "DejaVu Sans", Verdana, sans-serif; max-width: 186mm; margin: 0 auto; padding: 0 2mm; color: #000; background: #fff }
h1 { font-size: 14pt; margin: 0 0 2mm }
p { margin: 2mm 0 1mm }
ol { margin: 0; padding-left: 6mm }
table { border-collapse: collapse; width: 100% }
thead { display: none }
td { border-top: .2mm solid #999; padding: .7mm 2mm .7mm 0; vertical-align: top }
td:first-child { width: 45% }
code { font: 9.5pt "DejaVu Sans Mono", Consolas, monospace }
@media print { body { max-width: none; padding: 0 } }
</style>
</head>
<body>
"""


def page() -> str:
    """Give the page."""
    body = MarkdownIt("commonmark").enable("table").render(SHEET.read_text(encoding="utf-8"))
    return f"{HEAD}{body}</body>\n</html>\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(page())
