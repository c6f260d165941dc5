"""Sequences as people write them: any order, indentation, quotes and empty lines, with comments in every place."""

import json
from random import Random

SCALARS = ("iv_curve", "'quoted'", '"it is 5"', "'5'", '"yes"', "-80", "1.5e1", "true", "~", "'a: b'", "x-y", "é", "'it''s'", '"tab\\tin"', "sha:1")  # fmt: skip
KEYS = ("name", "calibration", "options", "args", "timeout", "retries", "tuning", "odd")
TOPS = ("title", "description", "required_instruments", "defaults", "limits", "unknown")


class Author:
    """Writes one text. Every comment has a number of its own."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.comments = 0
        self.anchors: list[str] = []
        self.defined = 0

    def text(self) -> str:
        """Give a whole sequence."""
        tops = [*self.random.sample(TOPS, self.random.randint(0, 4)), "calseq", "steps"]
        tops += [f"x-{number}" for number in range(self.random.randint(0, 2))]
        self.random.shuffle(tops)
        lines = ["# yaml-language-server: $schema=x"] * self.chance(0.4)
        for key in tops:
            lines += self.noise(0)
            lines += ["calseq: 1" + self.note()] if key == "calseq" else self.pair(key, 0, 0)
        return "\n".join([*lines, *self.noise(0)]) + "\n" * self.random.randint(0, 3)

    def chance(self, part: float) -> bool:
        return self.random.random() < part

    def comment(self) -> str:
        self.comments += 1
        return f"# {self.random.choice(('why', 'why: - x', 'a #b', '  deep'))} {self.comments}"

    def noise(self, indent: int) -> list[str]:
        """Give empty lines and comments, most of them where they belong."""
        lines = []
        while self.chance(0.3):
            shift = self.random.choice((0, 0, 0, 0, 2, -2, 1))
            lines.append("" if self.chance(0.5) else " " * max(0, indent + shift) + self.comment())
        return lines

    def note(self) -> str:
        return (
            " " * self.random.randint(1, 9) + self.comment() if self.chance(0.2) else " " * self.chance(0.1)
        )

    def anchor(self) -> str:
        """Give an anchor, sometimes; none is shown again before its value ends."""
        if not self.chance(0.1):
            return ""
        self.defined += 1
        return f"&a{self.defined} "

    def known(self, anchor: str) -> None:
        self.anchors += [anchor[1:-1]] * bool(anchor)

    def pair(self, key: str, indent: int, depth: int) -> list[str]:
        key = f'"{key}"' if self.chance(0.05) else key
        head = " " * indent + key + ":"
        if key == "steps" or (depth < 3 and self.chance(0.3)):
            return self.listing(head, indent, depth)
        if depth < 3 and self.chance(0.3):
            return self.mapping(head, indent, depth)
        if self.chance(0.12):
            return self.lines(head, indent)
        if self.chance(0.06):
            return [head + self.note()]
        if self.chance(0.06):
            deeper = " " * (indent + self.random.randint(1, 5))
            return [head + self.note(), *self.noise(len(deeper)), deeper + self.value() + self.note()]
        return [f"{head} {self.value()}{self.note()}"]

    def listing(self, head: str, indent: int, depth: int) -> list[str]:
        anchor = self.anchor()
        lines = [f"{head} {anchor}".rstrip() + self.note()]
        below = indent + self.random.choice((0, 1, 2, 2, 4))
        for _ in range(self.random.randint(1, 3)):
            lines += self.noise(below)
            gap = " " * self.random.randint(1, 3)
            dash = " " * below + "-" + gap
            if self.chance(0.5):
                lines.append(dash + self.value() + self.note())
                continue
            inner = self.entries(below + 1 + len(gap), depth + 1)
            lines += [dash + inner[0].lstrip(" "), *inner[1:]]
        self.known(anchor)
        return lines

    def mapping(self, head: str, indent: int, depth: int) -> list[str]:
        anchor = self.anchor()
        lines = [f"{head} {anchor}".rstrip() + self.note()]
        below = indent + self.random.choice((1, 2, 2, 4, 7))
        lines += [*self.noise(below), *self.entries(below, depth + 1)]
        self.known(anchor)
        return lines

    def entries(self, indent: int, depth: int) -> list[str]:
        keys = self.random.sample(KEYS, self.random.randint(1, 4))
        lines = self.pair(keys[0], indent, depth)
        for key in keys[1:]:
            lines += [*self.noise(indent), *self.pair(key, indent, depth)]
        return lines

    def lines(self, head: str, indent: int) -> list[str]:
        """Give a text of several lines."""
        style = self.random.choice(("|", ">", "|-", ">-", "|+", '"', "plain"))
        below = " " * (indent + self.random.choice((1, 2, 3, 6)))
        if style == '"':
            return [f'{head} "one', "", below + 'two # no comment"' + self.note()]
        if style == "plain":
            return [f"{head} one", below + "two" + self.note()]
        note = " # header" if self.chance(0.2) else ""
        return [f"{head} {style}{note}", below + "one  ", "", below + "  two # no comment", below + "three"]

    def value(self) -> str:
        if self.anchors and self.chance(0.2):
            return "*" + self.random.choice(self.anchors)
        anchor = self.anchor()
        written = anchor + (self.flow(0) if self.chance(0.25) else self.random.choice(SCALARS))
        self.known(anchor)
        return written

    def flow(self, depth: int) -> str:
        space = " " * self.random.randint(0, 2)
        items = [self.flow_item(depth) for _ in range(self.random.randint(0, 3))]
        if self.chance(0.5):
            pairs = [f"{key}: {item}" for key, item in zip("abc", items, strict=False)]
            return "{" + space + f"{space}, ".join(pairs) + space + "}"
        return "[" + space + f"{space}, ".join(items) + space + "]"

    def flow_item(self, depth: int) -> str:
        if depth < 2 and self.chance(0.2):
            return self.flow(depth + 1)
        return self.random.choice([each for each in SCALARS if "#" not in each])


def json_of(data: object) -> str:
    """Give data in a form in which 1, 1.0, "1" and true differ."""
    return json.dumps(data, sort_keys=True)
