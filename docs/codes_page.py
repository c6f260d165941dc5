"""Writes docs/codes.md: every code with its page, from the list of codes and calseq/problems/codes.toml.

python docs/codes_page.py > docs/codes.md
"""

import sys

from calseq.problems.codes import CODES
from calseq.problems.explanations import Explanation, explanation
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Severity

HEAD = """\
# Problems and their codes

```text
error[CS203 unknown-calibration]: 'iv_curv' is not a known calibration
 --> panthera.yaml:9:18  (step 3, iv_curv)
  |
9 |   - calibration: iv_curv
  |                  ^^^^^^^ did you mean 'iv_curve'?
```

The place, the line, what is wrong, and what to do about it. `calseq explain CS203` prints a code's page in a terminal.
CS1xx: not good YAML or JSON. CS2xx: does not fit the schema. CS3xx: fits, but makes no sense. CS4xx: does not fit this
bench or this machine. CS9xx: our fault. A code is never reused.

Warnings do not refuse a file; `calseq validate --strict` lets them fail. A comment `# calseq: ignore[CS302]` on the line
that a warning points at, or alone on the line above, silences it there; errors cannot be silenced.

`calseq validate --fix` mends what has only one possible cure, and leaves every other byte of the file as it is; `--diff`
only shows what it would do. A file that would not be better for it is not written.

## Where to read them

`calseq validate` takes files, folders and `-` (with `--stdin-name`), and writes with `--format`:

| format | for |
|---|---|
| `full` | a terminal: the line, a caret and the cure; the default there |
| `concise` | a line per problem, `file:line:col: CS203 message; cure`; the default elsewhere. In vim: `:set makeprg=calseq\\ validate\\ %` and `:set errorformat=%f:%l:%c:\\ %m` |
| `json` | programs; the form has a version and a schema: `calseq schema problems` |
| `github` | annotations of a pull request on GitHub |
| `gitlab` | GitLab's Code Quality report; give paths relative to the repository |
| `junit` | CI servers that show test results |
| `sarif` | code scanning services; columns count characters |

## All codes
"""


def page() -> str:
    """Give the whole page."""
    rows = [f"| {code.id} | `{code.name}` | {code.meaning} |" for code in CODES.values()]
    warnings = ", ".join(code.id for code in CODES.values() if code.severity is Severity.WARNING)
    table = "\n".join(["| code | name | meaning |", "|---|---|---|", *rows])
    sections = [_section(code, explanation(code)) for code in CODES.values()]
    return "\n".join([HEAD, table, "", f"Warnings are: {warnings}.", "", *sections])


def _section(code: Code, its: Explanation) -> str:
    parts = [f"### {code}", its.why]
    if its.situation:
        parts.append(f"When: {its.situation}. Cure: `{its.mend}`.")
    else:
        parts += [_example("Wrong", its, its.wrong), _example("Right", its, its.right)]
    return "\n\n".join(parts) + "\n"


def _example(title: str, its: Explanation, text: str) -> str:
    language = {"command": "sh", "instruments.json": "json"}.get(its.file, "yaml")
    shown = "\n".join(map(printable, text.splitlines()))
    return f"{title}:\n\n```{language}\n{shown}\n```"


if __name__ == "__main__":
    sys.stdout.write(page())
