"""What calseq says about a mistake, side by side with other checkers, on the corpus of one-defect files.

    python benchmarks/diagnostics.py [--repeats 3] [--misses]

Each file of tests/sequence/corpus has one defect; truth.tsv beside them, written by hand, says where it is, and has a
pattern for a word of the cause and one for a word of the cure. Every checker is held to the same patterns, and its
first message within reach of them counts. A place is right if line and column are; the key of a value, the value of a
key and what they stand in count as well. Peers get the schemas that calseq ships, or a pydantic model that a competent
person would write from them, and are installed into a folder that is taken away again.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from measure import CALSEQ, PYTHON, ROOT, scratch_folder, scratch_venv

from calseq.documents.document import open_text
from calseq.planning.validation import read

CORPUS = ROOT / "tests" / "sequence" / "corpus"
SCHEMAS = {
    "": "sequence",
    "onbench": "sequence",
    "bench": "bench",
    "instruments": "instruments",
    "site": "calibrations",
}
BENCH = ROOT / "sequences" / "benches" / "double"
OTHERS = {"instruments.json": '{"instruments": {"lv_1": {"class": "X", "resource": "R", "default_voltage": 4, "default_current": 1}}, "channels": {"0": {"lv": {"instrument": "lv_1"}}}}'}  # fmt: skip
WAIT_S = 20.0
HEAD = "line | line and column | cause | cure | one message | messages a file | silent | time a file |"
UNREADABLE = {"not_utf8.yaml", "deep.yaml", "alias_in_itself.yaml", "characters_bell.yaml"}
"""Files on which a peer gives up altogether: left out of the time."""


@dataclass(frozen=True)
class Said:
    """One message of a checker, and the text that it marks; without a line it says nothing of where."""

    message: str
    line: int = 0
    column: int = 0
    marked: str = ""


@dataclass
class Truth:
    path: Path
    name: str
    places: set[tuple[int, int]]
    cause: str
    cure: str


@dataclass
class Score:
    """How one checker did."""

    lines: int = 0
    places: int = 0
    causes: int = 0
    cures: int = 0
    alone: int = 0
    messages: int = 0
    silent: int = 0
    files: int = 0
    misses: dict[str, list[str]] = field(default_factory=dict)

    def count(self, truth: Truth, said: list[Said]) -> None:
        self.files += 1
        self.messages += len(said)
        self.alone += len(said) == 1
        self.silent += not said
        lines = {line for line, _ in truth.places}
        checks = {
            "line": any(each.line in lines for each in said),
            "place": any((each.line, each.column) in truth.places for each in said),
            "cause": any(re.search(truth.cause, f"{each.message} {each.marked}") for each in said),
            "cure": any(re.search(truth.cure, each.message) for each in said),
        }
        self.lines += checks["line"]
        self.places += checks["place"]
        self.causes += checks["cause"]
        self.cures += checks["cure"]
        missed = [name for name, is_met in checks.items() if not is_met] + (
            ["alone"] if len(said) != 1 else []
        )
        if missed:
            self.misses[truth.name] = missed

    def row(self, name: str, seconds: float) -> str:
        def share(count: int) -> str:
            return f"{100 * count / self.files:.0f} %"

        cells = [name, *map(share, (self.lines, self.places, self.causes, self.cures, self.alone))]
        cells += [f"{self.messages / self.files:.2f}", share(self.silent), f"{seconds * 1e3:.1f} ms"]
        return "| " + " | ".join(cells) + " |"


def truths() -> list[Truth]:
    rows = (CORPUS / "truth.tsv").read_text(encoding="utf-8").splitlines()
    return [_truth(*row.split("\t")) for row in rows if not row.startswith("#")]


def _truth(name: str, places: str, cause: str, cure: str) -> Truth:
    path = CORPUS / name
    told = {
        (int(line), int(column)) for line, _, column in (each.partition(":") for each in places.split("|"))
    }
    return Truth(path, name, told | _kin(path, told), cause, cure)


def _kin(path: Path, told: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Give where the key, the value and the parent of what stands at a place stand: nobody is blamed for those."""
    document = read(open_text(path), path)
    kin = set()
    for route in {**document.values, **document.keys}:
        both = [places[route] for places in (document.values, document.keys) if route in places]
        starts = {(place.span.line, place.span.column) for place in both}
        if starts & told:
            above = document.values.get(route[:-1]) if route else None
            kin |= starts | ({(above.span.line, above.span.column)} if above else set())
    return kin


def by_kind(listed: Iterable[Truth]) -> dict[str, list[Truth]]:
    kinds: dict[str, list[Truth]] = {}
    for truth in listed:
        kinds.setdefault(SCHEMAS[truth.name.rpartition("/")[0]], []).append(truth)
    return kinds


Answers = dict[str, list[Said]]
Ask = Callable[[list[Truth], Path], Answers]


def of_calseq(listed: list[Truth], scratch: Path) -> Answers:
    """One run of `validate` for all that stand alone; what needs a bench is validated or planned with one."""
    answers: Answers = {truth.name: [] for truth in listed}
    alone = [truth for truth in listed if truth.path.parent.name not in ("bench", "onbench")]
    files = {str(truth.path): truth.name for truth in alone}
    for name, said in _calseq(["validate", "--format", "json", *files], scratch):
        answers[files[name]].append(said)
    for truth in listed:
        if truth.path.parent.name == "bench":
            folder = scratch / truth.path.stem
            folder.mkdir(exist_ok=True)
            (folder / "bench.yaml").write_bytes(truth.path.read_bytes())
            for name, text in OTHERS.items():
                (folder / name).write_text(text)
            words = ["validate", "--format", "json", str(folder / "bench.yaml")]
            answers[truth.name] = [said for _, said in _calseq(words, scratch)]
        elif truth.path.parent.name == "onbench":
            answers[truth.name] = _planned(truth)
    return answers


def _calseq(words: list[str], scratch: Path) -> Iterable[tuple[str, Said]]:
    done = subprocess.run([CALSEQ, *words], capture_output=True, text=True, cwd=scratch)
    for each in json.loads(done.stdout)["problems"]:
        yield each["file"], _said(each["file"], f"{each['message']}; {each['cure']}", each["line"], each["column"], each["end_column"])  # fmt: skip


def _said(file: str, message: str, line: int, column: int, end: int) -> Said:
    lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    return Said(message, line, column, lines[line - 1][column - 1 : end - 1] if line <= len(lines) else "")


def _planned(truth: Truth) -> list[Said]:
    """A plan with a warning is made; what it says is what a plan's JSON has, and where is what the reader told."""
    code = (
        "import sys, json; from calseq.planning.gather import Request, gather; from pathlib import Path;"
        "g = gather(Request(sys.argv[1], Path(sys.argv[2])));"
        "print(json.dumps([[p.message + '; ' + p.cure, p.place.span.line, p.place.span.column, p.place.text] for p in g.problems]))"
    )
    done = subprocess.run(
        [PYTHON, "-c", code, str(truth.path), str(BENCH / "bench.yaml")],
        capture_output=True,
        text=True,
        check=True,
    )
    return [Said(*each) for each in json.loads(done.stdout)]


def of_check_jsonschema(program: str) -> Ask:
    def ask(listed: list[Truth], scratch: Path) -> Answers:
        answers: Answers = {truth.name: [] for truth in listed}
        for kind, some in by_kind(listed).items():
            command = [program, "-o", "json", "--schemafile", str(ROOT / "schemas" / f"{kind}.schema.json")]
            files = {str(truth.path): truth.name for truth in some}
            told = _answer([*command, *files], scratch)
            # It gives nothing at all about any file if one of them makes it fail.
            parts = [told] if told else [_answer([*command, file], scratch) for file in files]
            for part in filter(None, parts):
                for each in part.get("errors", ()):
                    answers[files[each["filename"]]].append(Said(f"{each['path']}: {each['message']}"))
                for each in part.get("parse_errors", ()):
                    answers[files[each["filename"]]].append(Said(each["message"]))
        return answers

    return ask


def _answer(argv: list[str], scratch: Path) -> dict[str, Any] | None:
    done = subprocess.run(argv, capture_output=True, text=True, cwd=scratch)
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return None


YAMLLINT = "{extends: relaxed, rules: {truthy: enable, octal-values: {forbid-implicit-octal: true}, line-length: disable, document-end: disable, new-line-at-end-of-file: disable, anchors: {forbid-unused-anchors: true}}}"


def of_yamllint(program: str) -> Ask:
    def ask(listed: list[Truth], scratch: Path) -> Answers:
        files = {str(truth.path): truth.name for truth in listed}
        command = [program, "-f", "parsable", "-d", YAMLLINT]
        answers: Answers = {truth.name: [] for truth in listed}
        done = subprocess.run(
            [*command, *files], capture_output=True, text=True, errors="replace", cwd=scratch
        )
        told = [done.stdout]
        if "Traceback" in done.stderr:
            # One file that it cannot read keeps it from saying anything about those after it.
            told = [
                subprocess.run(
                    [*command, file], capture_output=True, text=True, errors="replace", cwd=scratch
                ).stdout
                for file in files
            ]
        for name, line, column, message in re.findall(
            r"^(.*?):(\d+):(\d+): (.*)$", "".join(told), re.MULTILINE
        ):
            answers[files[name]].append(Said(message, int(line), int(column)))
        return answers

    return ask


PYDANTIC = """
import json, sys, yaml
from typing import Annotated, Any, Literal, Union
from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, ValidationError

Duration = Annotated[str, StringConstraints(pattern=r"^(none|\\d+h(\\d+m)?(\\d+s)?|\\d+m(\\d+s)?|\\d+s)$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Role = Literal["lv", "hv", "ab", "cb", "hb"]
Kind = Literal["general", "ivcurve", "sldo", "tuning", "openbumps"]
class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
class Policies(Strict):
    timeout: Duration | None = None
    retries: int = Field(0, ge=0, le=5)
    on_failure: Literal["stop", "continue"] = "stop"
    stop_grace: Duration | None = None
class Step(Policies):
    name: Name | None = None
    args: list[str | int | float] = []
    required_instruments: list[Role] = []
class NoOptions(Strict):
    pass
class CurveOptions(Strict):
    start_voltage: float | None = None
    max_voltage: float | None = None
    step_size: float | None = Field(None, ge=0.1)
    delay: float | None = Field(None, ge=0)
    both_ways: bool = False
    positive: bool = False
    plot: bool = False
    temp_mon: bool = False
    temp_voltage: float | None = None
class InfoOptions(Strict):
    overwrite_parameters: int | None = Field(None, ge=0, le=1)
    overwrite_efuse: int | None = Field(None, ge=0, le=1)
class Curve(Step):
    calibration: Literal["iv_curve"]
    type: Literal["ivcurve"] = "ivcurve"
    options: CurveOptions = CurveOptions()
class Info(Step):
    calibration: Literal["get_module_info"]
    type: Literal["general"] = "general"
    options: InfoOptions = InfoOptions()
class Trimming(Step):
    calibration: Literal["voltage_trimming"]
    options: NoOptions = NoOptions()
class Sldo(Step):
    calibration: Literal["sldo_vi_curves", "sldo_vi_curves_GADC"]
    options: NoOptions = NoOptions()
class Crosstalk(Step):
    calibration: Literal["crosstalk_method"]
    options: NoOptions = NoOptions()
class Tune(Step):
    calibration: Literal["calibrate_module"]
    tuning: str
class Test(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
class Tests(Step):
    calibration: Literal["custom_sequence"]
    tuning: list[str | Test] = Field(min_length=1)
class Custom(Step):
    calibration: Literal["custom_calibration"]
    args: list[str | int | float] = Field(min_length=1)
class Own(Step):
    calibration: Name
    type: Kind
    options: dict[str, Any] = {}
KNOWN = {"iv_curve": "Curve", "get_module_info": "Info", "voltage_trimming": "Trimming", "sldo_vi_curves": "Sldo",
         "sldo_vi_curves_GADC": "Sldo", "crosstalk_method": "Crosstalk", "calibrate_module": "Tune",
         "custom_sequence": "Tests", "custom_calibration": "Custom"}
def which(value):
    if isinstance(value, str):
        return "str"
    name = value.get("calibration") if isinstance(value, dict) else None
    known = KNOWN.get(name) if isinstance(name, str) else None
    return known or ("Own" if isinstance(value, dict) and "type" in value else None)
AnyStep = Annotated[Union[
    Annotated[Literal["iv_curve", "get_module_info", "voltage_trimming", "sldo_vi_curves", "sldo_vi_curves_GADC", "crosstalk_method"], Tag("str")],
    Annotated[Curve, Tag("Curve")], Annotated[Info, Tag("Info")], Annotated[Trimming, Tag("Trimming")], Annotated[Sldo, Tag("Sldo")],
    Annotated[Crosstalk, Tag("Crosstalk")], Annotated[Tune, Tag("Tune")], Annotated[Tests, Tag("Tests")], Annotated[Custom, Tag("Custom")],
    Annotated[Own, Tag("Own")]], Discriminator(which)]
class Limits(Strict):
    hv: float | None = None
class Sequence(Strict):
    calseq: Literal[1]
    title: str = Field(min_length=1, max_length=120, pattern=r"^[^\\n]*$")
    description: str = ""
    required_instruments: list[Role] = []
    limits: Limits = Limits()
    defaults: Policies = Policies()
    steps: list[AnyStep] = Field(min_length=1)
class Power(Strict):
    mode: Literal["icicle", "dirigent", "simulated"]
    python: str = ""
class Dirigent(Strict):
    command: str | list[str] = "dirigent"
    config: str = ""
    flags: list[str] = []
    cwd: str = "."
class Monitor(Strict):
    name: str
    command: list[str]
    every: Duration = "10s"
    timeout: Duration = "5s"
    on_failure: Literal["stop", "warn"] = "stop"
class Bias(Strict):
    sign: Literal["same", "magnitude"] = "same"
    allow_forward: bool = False
class Bench(Strict):
    version: Literal[1] = Field(alias="calseq-bench")
    name: Name
    dirigent: Dirigent = Dirigent()
    env: dict[str, str] = {}
    instruments: str
    modules: str = ""
    calibrations: str = ""
    power: Power | None = None
    bias: Bias = Bias()
    simulator: dict[str, Any] | None = None
    limits: Limits = Limits()
    monitors: list[Monitor] = []
    runs: str = "runs"
    log_limit_mb: int = 4096
class Instrument(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    cls: str = Field(alias="class")
    resource: str
    sim: bool = False
    default_voltage: float | None = None
    default_current: float | None = Field(None, gt=0)
    default_range: float | None = None
class Wire(Strict):
    instrument: str
    channel: int | str = 1
class Wiring(Strict):
    instruments: dict[str, Instrument]
    channels: dict[Annotated[str, StringConstraints(pattern=r"^\\d+$")], dict[Role, Wire]]
class SiteOption(Strict):
    type: Literal["number", "integer", "text", "switch"]
    unit: str = ""
    description: str = ""
class SiteTuning(Strict):
    form: Literal["text", "tests", "args"]
    flag: str = ""
class SiteCalibration(Strict):
    type: Kind | None = None
    summary: str = ""
    needs: list[Role] = []
    usual: Duration | None = None
    options: dict[str, SiteOption | None] = {}
    tuning: SiteTuning | None = None
    sweep_end: str = ""
class Site(Strict):
    version: Literal[1] = Field(alias="calseq-calibrations")
    calibrations: dict[str, SiteCalibration]
MODELS = {"sequence": Sequence, "bench": Bench, "instruments": Wiring, "calibrations": Site}
for line in sys.stdin:
    kind, path = line.rstrip("\\n").split("\\t")
    found = []
    try:
        data = yaml.safe_load(open(path, "rb"))
        MODELS[kind].model_validate(data)
    except ValidationError as error:
        found = [["/".join(map(str, each["loc"])) + ": " + each["msg"], 0, 0] for each in error.errors()]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        found = [[str(error), mark.line + 1 if mark else 0, mark.column + 1 if mark else 0]]
    except Exception as error:
        found = [[f"{type(error).__name__}: {error}", 0, 0]]
    print(json.dumps([path, found]))
"""


def of_pydantic(python: str) -> Ask:
    def ask(listed: list[Truth], scratch: Path) -> Answers:
        script = scratch / "with_pydantic.py"
        script.write_text(PYDANTIC)
        files = {str(truth.path): truth.name for truth in listed}
        fed = "".join(f"{kind}\t{truth.path}\n" for kind, some in by_kind(listed).items() for truth in some)
        done = subprocess.run([python, str(script)], input=fed, capture_output=True, text=True, check=True)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {files[path]: [Said(*each) for each in found] for path, found in rows}

    return ask


class LanguageServer:
    """yaml-language-server as an editor talks to it."""

    def __init__(self, program: str, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.process = subprocess.Popen(
            [program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.told: Queue[dict[str, Any]] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._send({"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {"workspace": {"configuration": True}}}})  # fmt: skip
        self._until(lambda each: each.get("id") == 1)
        self._send({"method": "initialized", "params": {}})
        self._send({"method": "workspace/didChangeConfiguration", "params": {"settings": settings}})

    def ask(self, uri: str, text: str) -> list[dict[str, Any]]:
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        answer = self._until(
            lambda each: (
                each.get("method") == "textDocument/publishDiagnostics" and each["params"]["uri"] == uri
            )
        )
        return list(answer["params"]["diagnostics"])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def _until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        due = time.monotonic() + WAIT_S
        while time.monotonic() < due:
            try:
                message = self.told.get(timeout=0.5)
            except Empty:
                continue
            if message.get("method") == "workspace/configuration":
                items = message["params"]["items"]
                result = [self.settings.get(item.get("section", ""), {}) for item in items]
                self._send({"id": message["id"], "result": result})
            elif "id" in message and "method" in message:
                self._send({"id": message["id"], "result": None})
            if is_it(message):
                return message
        raise SystemExit("yaml-language-server does not answer")

    def _send(self, message: dict[str, Any]) -> None:
        raw = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(raw), raw))
        self.process.stdin.flush()

    def _listen(self) -> None:
        out = self.process.stdout
        assert out
        while header := out.readline():
            length = int(header.partition(b":")[2])
            while out.readline().strip():
                pass
            self.told.put(json.loads(out.read(length)))


def _marked(told: dict[str, Any], text: str) -> Said:
    start, end = told["range"]["start"], told["range"]["end"]
    lines = text.splitlines() or [""]
    line = lines[min(start["line"], len(lines) - 1)]
    last = end["character"] if end["line"] == start["line"] else len(line)
    return Said(told["message"], start["line"] + 1, start["character"] + 1, line[start["character"] : last])


def of_language_server(program: str) -> Ask:
    def ask(listed: list[Truth], _: Path) -> Answers:
        schemas = {
            (ROOT / "schemas" / f"{kind}.schema.json").as_uri(): [f"/{kind}/*"] for kind in by_kind(listed)
        }
        yaml = {"validate": True, "schemas": schemas, "schemaStore": {"enable": False}, "hover": False, "completion": False, "format": {"enable": False}}  # fmt: skip
        server = LanguageServer(program, {"yaml": yaml, "http": {}, "[yaml]": {}, "editor": {}, "files": {}})
        try:
            answers: Answers = {}
            for kind, some in by_kind(listed).items():
                for truth in some:
                    text = truth.path.read_text(errors="replace")
                    told = server.ask(f"file:///{kind}/{truth.path.stem}.yaml", text)
                    answers[truth.name] = [_marked(each, text) for each in told]
            return answers
        finally:
            server.close()

    return ask


def scored(listed: list[Truth], ask: Ask) -> Score:
    score = Score()
    with tempfile.TemporaryDirectory() as folder:
        answers = ask(listed, Path(folder))
    for truth in listed:
        score.count(truth, answers[truth.name])
    return score


def seconds_a_file(listed: list[Truth], ask: Ask, repeats: int) -> float:
    """Give the shortest time of a run over all sequences, per file; the start of the program is in it."""
    took = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            ask(listed, Path(folder))
            took.append(time.perf_counter() - begun)
    return min(took) / len(listed)


def version(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds for the time (default: 3)")
    parser.add_argument("--misses", action="store_true", help="show on which files each fell short")
    given = parser.parse_args()
    listed = truths()
    with scratch_folder() as scratch:
        tools = scratch_venv(scratch / "peers", "check-jsonschema", "yamllint", "pydantic", "pyyaml")
        npm = [
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(scratch / "node"),
            "yaml-language-server",
        ]
        print("  installing yaml-language-server", file=sys.stderr)
        subprocess.run(npm, check=True)
        package = json.loads((scratch / "node/node_modules/yaml-language-server/package.json").read_text())
        pydantic = version([str(tools / "python"), "-c", "import pydantic; print(pydantic.VERSION)"])
        arms = {
            f"calseq {version([CALSEQ, '--version'])}": of_calseq,
            f"check-jsonschema {version([str(tools / 'check-jsonschema'), '--version'])}": of_check_jsonschema(
                str(tools / "check-jsonschema")
            ),
            f"yaml-language-server {package['version']}": of_language_server(
                str(scratch / "node/node_modules/.bin/yaml-language-server")
            ),
            f"pydantic {pydantic}, PyYAML": of_pydantic(str(tools / "python")),
            f"yamllint {version([str(tools / 'yamllint'), '--version'])}": of_yamllint(
                str(tools / "yamllint")
            ),
        }
        plain = [
            each for each in listed if each.path.parent.name != "onbench" and "warning_" not in each.name
        ]
        timed = [each for each in plain if each.path.parent == CORPUS and each.name not in UNREADABLE]
        seconds = {name: seconds_a_file(timed, ask, given.repeats) for name, ask in arms.items()}
        for title, some in (("all", listed), ("errors of one file", plain)):
            print(f"| {title}: {len(some)} | {HEAD}\n|{'---|' * 9}")
            for name, ask in arms.items():
                score = scored(some, ask)
                print(score.row(name, seconds[name]), flush=True)
                if given.misses:
                    listing = (f"    {each}: {', '.join(missed)}" for each, missed in score.misses.items())
                    print(name, *listing, sep="\n", file=sys.stderr)
            print()


if __name__ == "__main__":
    main()
