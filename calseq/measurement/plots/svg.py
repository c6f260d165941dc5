"""What matplotlib writes as an SVG file made into an element of a page: small, alone, and harmless beside others."""

import hashlib
import re
from xml.etree import ElementTree as XmlTree

from calseq.measurement.plots.colours import VARIABLES

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_FONTS = re.compile(r"(font(?:-family)?:[^;]*?)(?:'?DejaVu Sans'?)(?:, *[^;]*)?")
_COLOURED = ("fill", "stroke")
_LONG = re.compile(r"-?[0-9]+\.[0-9]{3,}")


def finished(text: str, title: str) -> str:
    """Give an inline element: no prologue, no names of name spaces, own ids, colours as variables, a title."""
    root = XmlTree.fromstring(text)  # noqa: S314 - matplotlib wrote it a moment ago
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag in (f"{_SVG}metadata", f"{_SVG}style")]:
            parent.remove(child)
    prefix = "p" + hashlib.sha256((title + text).encode()).hexdigest()[:10]
    ids = {old: f"{prefix}-{number}" for number, old in enumerate(_references(root), 1)}
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        _tidy(element, ids)
    for parent in list(root.iter()):
        _lift_style(parent)
    _drop_empty(root)
    _head(root, title)
    return XmlTree.tostring(root, encoding="unicode")


def _head(root: XmlTree.Element, title: str) -> None:
    _, _, width, height = root.get("viewBox", "0 0 1 1").split()
    root.attrib = {
        "viewBox": f"0 0 {width} {height}",
        "width": f"{float(width) * 1.4:.0f}",
        "height": f"{float(height) * 1.4:.0f}",
        "role": "img",
        "class": "plot",
        "style": "stroke-linejoin: round; stroke-linecap: butt",
    }
    named = XmlTree.Element("title")
    named.text = title
    root.insert(0, named)


def _references(root: XmlTree.Element) -> list[str]:
    """Give the ids that something refers to, in their order: the others only take room."""
    told = [value for element in root.iter() for value in element.attrib.values()]
    return list(dict.fromkeys(found for value in told for found in re.findall(r"^(?:url\()?#([^)]+)", value)))


def _tidy(element: XmlTree.Element, ids: dict[str, str]) -> None:
    _tidy_style(element)
    for name, value in list(element.attrib.items()):
        if name == "id" and value not in ids:
            del element.attrib[name]
        elif name == f"{_XLINK}href":
            element.set("href", f"#{ids[value.removeprefix('#')]}")
            del element.attrib[name]
        else:
            element.set(name, _rewritten(name, value, ids))
    element.tail = None
    if element.tag not in ("text", "tspan"):
        element.text = None


def _tidy_style(element: XmlTree.Element) -> None:
    """A variable counts in a style only: as an attribute of its own it would be no colour."""
    colours = [f"{name}: {element.attrib.pop(name)}" for name in _COLOURED if name in element.attrib]
    style = "; ".join([*colours, *([element.attrib.pop("style")] if "style" in element.attrib else [])])
    if style:
        element.set("style", _FONTS.sub(r"\1sans-serif", _coloured(style)).strip("; "))


def _rewritten(name: str, value: str, ids: dict[str, str]) -> str:
    if name == "id":
        return ids[value]
    if value.startswith("url(#"):
        return f"url(#{ids[value[5:-1]]})"
    if name in ("d", "x", "y", "transform"):
        return _LONG.sub(_shorter, " ".join(value.split()))
    return value


def _lift_style(parent: XmlTree.Element) -> None:
    """Say once what all markers of a line have in common: it is most of a plot's size."""
    drawn = [child for child in parent if child.tag == "use"]
    styles = {child.get("style", "") for child in drawn}
    if parent.tag == "g" and len(drawn) > 1 and len(styles) == 1 and "style" not in parent.attrib:
        parent.set("style", styles.pop())
        for child in drawn:
            child.attrib.pop("style", None)


def _coloured(style: str) -> str:
    for stand_in, variable in VARIABLES.items():
        style = style.replace(stand_in, variable)
    return style


def _shorter(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")


def _drop_empty(root: XmlTree.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("g", "defs") and not len(child) and "id" not in child.attrib:
                parent.remove(child)
