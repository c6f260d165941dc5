"""Felis as calseq meets it: signatures, return values, prints, and what it does not catch.

Of the real one: it takes ROOT files only, in exact numbers, chosen by regular expressions over the whole path; it works in a time-stamped folder below an existing one, prints to stdout and draws bars on stderr,
knows a fixed set of `type_test`, tries each result three times, catches no lost connection, and begins a new
sequence at every call. `FELIS_DOUBLE` in the environment makes it an older one, or a worse one.
"""

import json
import os
import re
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from pathlib import Path

HABITS = os.environ.get("FELIS_DOUBLE", "").split()
URL = os.environ.get("FELIS_DOUBLE_URL", "http://127.0.0.1:9/felis_upload_results_piecewise.php")
TIMEOUT_S = 240
TRIES = 3
TYPES = {
    "pixelalive": "PixelAlive", "scurve": "SCurve", "latency": "Latency", "thradj": "ThresholdAdjustment",
    "threqu": "ThresholdEqualization", "injdelay": "InjectionDelay", "noise": "Noise", "gain": "Gain",
    "sldo": "SLDO", "ivcurve": "IVCurve", "gainopt": "GainOptimization", "thrmin": "ThresholdMinimization",
    "clockdelay": "ClockDelay", "bertest": "BERTest", "datarbopt": "DataReadbackOptimization",
    "voltagetuning": "VoltageTuning", "gendacdac": "GenericDACDAC", "physics": "Physics", "crosstalk": "Crosstalk",
    "xray": "Xray",
}  # fmt: skip


ANALYSIS = r"(?i)(?=.*run)(?!.*monitor).*\.root$"
MONITOR = r"(?i).*monitor.*\.root$"
PIXELALIVE = r"(?i).*PixelAlive.*\.root$"


def _refusal(type_test, paths, facts):
    """Say why the real one would not take a result: it searches the whole path, folders included."""
    analysis = [path for path in paths if re.search(ANALYSIS, path)]
    if type_test == "crosstalk":
        if len([path for path in paths if re.search(PIXELALIVE, path)]) != 3:
            return "FELIS ERROR: Exactly three PixelAlive root files (injtype1, injtype5, injtype6) are required."
        return ""
    if type_test == "ivcurve" and facts["type_module"] not in ("1x2", "2x2"):
        return "I-V Curve | Must specify type_module in set_module()"
    if len(analysis) == 1:
        return ""
    if type_test == "ivcurve":
        return "I-V Curve | None or more than one Analysis ROOT file found."
    return "FELIS ERROR when finding root file for " + type_test


class Felis:
    def __init__(self, path_scratch, clear_scratch=False, verbose=False):
        if "broken" in HABITS:
            raise ImportError("libROOT.so: cannot open shared object file")
        self._verbose = verbose
        self._path = Path(path_scratch) / time.strftime("felis_%Y%m%d_%H%M%S")
        self._path.mkdir()  # as the real one: the folder above has to be there
        self._clear = clear_scratch
        self._modules = {}
        print("Felis: scratch in", self._path)

    def set_module(
        self,
        name_module,
        subdetector,
        type_module="unspecified",
        croc_version="unspecified",
        has_sensor=True,
        link_production_db=True,
        type_sensor="unspecified",
    ):
        facts = [subdetector, type_module, croc_version, has_sensor, link_production_db, type_sensor]
        specs = {"type_module": type_module, "type_sensor": type_sensor}
        self._modules[name_module] = {"facts": facts, "specs": specs, "results": {}}
        return True, ""

    def set_result(self, paths_files, name_module, name_test, type_test, comment=""):
        kind = TYPES[type_test]
        if name_module not in self._modules:
            return False, "module " + name_module + " is not set", None, None
        folder = self._path / name_module / name_test
        shutil.rmtree(str(folder), ignore_errors=True)
        folder.mkdir(parents=True)
        copies = []
        for path in paths_files:
            if not Path(path).is_file():
                return False, "no file " + path, None, None
            copies.append(shutil.copy(path, str(folder)))
        why = _refusal(type_test, copies, self._modules[name_module]["specs"])
        if "picky" in HABITS and type_test == "ivcurve":
            why = "I-V Curve | Could not find TCanvas within Analysis ROOT File."
        if why:
            return False, why, None, None
        monitors = len([path for path in copies if re.search(MONITOR, path)])
        print("Felis:", monitors, "monitor files in", folder)
        print("Felis: extracting figures of", name_test, "(" + kind + ")")
        sane = "insane" not in HABITS
        self._modules[name_module]["results"][name_test] = {"type": type_test, "files": copies}
        return True, "", sane, "" if sane else "too few points"

    def _bar(self, what, part, whole):
        sys.stderr.write("\r" + what + ": " + str(100 * part // max(whole, 1)) + "%|####      |")
        sys.stderr.flush()

    def _uploaded(self, name_module, username, userpass, type_sequence, versions, url):
        module = self._modules[name_module]
        if "chatty" in HABITS:
            print("Felis: uploading as", username, "with", userpass)
            sys.stderr.write("POST " + url + "?" + userpass[: len(userpass) // 2])
            sys.stderr.flush()
            sys.stderr.write(userpass[len(userpass) // 2 :] + "\n")
        user = {"username": username, "userpass": userpass}
        about = {
            "module": name_module,
            "title": type_sequence,
            "versions": versions,
            "facts": module["facts"],
        }
        files = {"dict_modules_file": ("dict_modules.json", json.dumps(about).encode())}
        status, said = _post(url + "?handle=set_sequence", dict(user, json_data=json.dumps(about)), files)
        if status != 200 or not said.get("status"):
            return False, ""
        sequence = said["SequenceID"]
        results = module["results"]
        for part, (name, result) in enumerate(results.items()):
            self._bar(name, part, len(results))
            if "hangs" in HABITS:
                time.sleep(3600)
            if "dies" in HABITS:
                os.kill(os.getpid(), signal.SIGKILL)
            packed = self._path / (name + ".zip")
            with zipfile.ZipFile(str(packed), "w", zipfile.ZIP_DEFLATED) as archive:
                for path in result["files"]:
                    archive.write(path, Path(path).name)
            fields = dict(user, id_sequence=str(sequence), json_data=json.dumps({"type": result["type"]}))
            for _ in range(TRIES):
                status, said = _post(
                    url + "?handle=set_result", fields, {name: (packed.name, packed.read_bytes())}
                )
                if status == 200 and said.get("status"):
                    break
            else:
                return False, "upload of " + name + " failed: " + str(said.get("message", ""))
        self._bar("done", 1, 1)
        return True, "uploaded"

    if "no-address" in HABITS:

        def upload_results(
            self,
            name_module,
            username,
            userpass,
            type_sequence="unnamed",
            version_ph2acf="unspecified",
            version_testStationSoftware="unspecified",  # noqa: N803
        ):
            versions = [version_ph2acf, version_testStationSoftware]
            return self._uploaded(name_module, username, userpass, type_sequence, versions, URL)

    else:

        def upload_results(
            self,
            name_module,
            username,
            userpass,
            type_sequence="unnamed",
            version_ph2acf="unspecified",
            version_testStationSoftware="unspecified",  # noqa: N803
            url_uploadResults=URL,  # noqa: N803
        ):
            versions = [version_ph2acf, version_testStationSoftware]
            return self._uploaded(name_module, username, userpass, type_sequence, versions, url_uploadResults)


def _post(url, fields, files):
    """Post a form; a lost connection is an exception that nobody catches."""
    boundary = uuid.uuid4().hex
    parts = [_part(boundary, 'name="' + name + '"', value.encode()) for name, value in fields.items()]
    for name, (file, content) in files.items():
        parts.append(_part(boundary, 'name="' + name + '"; filename="' + file + '"', content))
    body = b"".join(parts) + b"--" + boundary.encode() + b"--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=" + boundary}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return response.status, _json(response.read())
    except urllib.error.HTTPError as error:
        return error.code, _json(error.read())


def _json(content):
    try:
        said = json.loads(content.decode())
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _part(boundary, disposition, content):
    head = "--" + boundary + "\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n"
    return head.encode() + content + b"\r\n"
