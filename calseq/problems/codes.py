"""Every kind of problem: its number, its name and its meaning."""

from calseq.problems.problem import Code, Severity

_CODES: dict[str, Code] = {}


def _code(id_: str, name: str, meaning: str, severity: Severity = Severity.ERROR) -> Code:
    code = Code(id_, name, meaning, severity)
    if id_ in _CODES:
        raise ValueError(f"code {id_} is given twice")
    _CODES[id_] = code
    return code


_WARN = Severity.WARNING

UNREADABLE = _code("CS101", "unreadable-file", "the file is missing, not a file, or may not be read")
NOT_UTF8 = _code("CS102", "not-utf8", "the file is not UTF-8 text")
BAD_CHARACTER = _code(
    "CS103", "bad-character", "a character that cannot be seen, or that only looks like another"
)
BAD_SYNTAX = _code("CS104", "bad-syntax", "not YAML, or not JSON where JSON belongs")
DUPLICATE_KEY = _code("CS105", "duplicate-key", "a mapping has the same key twice")
AMBIGUOUS = _code("CS106", "ambiguous-scalar", "YAML 1.1 and 1.2 read this text as different things")
NOT_FINITE = _code("CS107", "not-finite", "not a number, infinite, or too large for one")
NOT_PLAIN = _code("CS108", "not-plain", "a YAML feature that calibration files do without")
TOO_LARGE = _code("CS109", "too-large", "beyond a limit of size, depth or number")
EMPTY = _code("CS110", "empty-file", "there is nothing in the file")
NOTHING_TO_CHECK = _code(
    "CS111", "nothing-to-check", "no file of calseq's in the folders that were to be checked"
)

WRONG_TYPE = _code("CS201", "wrong-type", "a value of another type belongs here")
MISSING_KEY = _code("CS202", "missing-key", "a key that must be there is not")
UNKNOWN_CALIBRATION = _code("CS203", "unknown-calibration", "no calibration of dirigent, nor of this site")
UNKNOWN_KEY = _code("CS204", "unknown-key", "a key that has no meaning here")
UNKNOWN_OPTION = _code("CS205", "unknown-option", "an option that the calibration does not have")
BAD_VALUE = _code("CS206", "bad-value", "the right type, but not a value that is allowed")
MISSING_TUNING = _code("CS207", "missing-tuning", "a tuning calibration without its tuning")
UNEXPECTED_TUNING = _code("CS208", "unexpected-tuning", "a tuning for a calibration that takes none")
BAD_DURATION = _code("CS209", "bad-duration", "not a duration such as 45s, 90m or 1h30m")
WRONG_FORMAT = _code("CS210", "wrong-format", "a format version that this calseq does not read")

DUPLICATE_NAME = _code("CS301", "duplicate-name", "two steps of one name")
BIAS_WITHOUT_CURVE = _code("CS302", "bias-without-curve", "bias with no IV curve earlier in the run", _WARN)
CONTRADICTING_TYPE = _code("CS303", "contradicting-type", "a type that contradicts the catalogue")
OWNED_ARGUMENT = _code("CS304", "owned-argument", "an argument that calseq itself decides")
CURVE_AFTER_TUNING = _code("CS305", "curve-after-tuning", "an IV curve after a tuning", _WARN)
SHORT_TIMEOUT = _code("CS306", "short-timeout", "a time-out below the time that the step takes", _WARN)
UNKNOWN_STEP = _code("CS307", "unknown-step", "no step of that name")
SWEEP_END_UNKNOWN = _code("CS308", "sweep-end-unknown", "it is not said how far the IV curve goes", _WARN)
BAD_SETTING = _code("CS309", "bad-setting", "not of the form step.option=value")
BAD_SELECTION = _code("CS310", "bad-selection", "a choice of steps that names none, or leaves none to run")
NEEDLESS_IGNORE = _code("CS311", "needless-ignore", "an ignore comment that silences nothing", _WARN)
UNUSED_ANCHOR = _code("CS312", "unused-anchor", "an anchor that no alias uses", _WARN)
UNKNOWN_ARGUMENT = _code("CS313", "unknown-argument", "an argument that the catalogue does not know", _WARN)
NEVER_RUNS = _code("CS314", "never-runs", "a step that can never run", _WARN)
UNREACHABLE_LIMIT = _code("CS315", "unreachable-limit", "a limit that nothing can reach", _WARN)
PLACEHOLDER = _code(
    "CS340", "to-be-filled-in", "a text of a new sequence that is still to be filled in", _WARN
)
NO_LAYOUT = _code("CS341", "no-layout", "a layout that cannot be changed without changing what the file says")
NOT_OURS = _code("CS342", "not-ours", "a YAML file that is not one of calseq's")
NOT_LITERAL = _code("CS343", "not-literal", "Python that has to be run to know what it means")
NOT_EXPRESSIBLE = _code("CS344", "not-expressible", "what the other format cannot say")
NO_CLASS = _code("CS345", "no-class", "no calibration sequence in a Python file, or not that one")
NO_BASE = _code("CS360", "no-base", "the sequence that a variant extends is not there")
BASE_IS_VARIANT = _code("CS361", "base-is-variant", "a variant of a variant, or of itself")
CHANGED_AND_DROPPED = _code("CS362", "changed-and-dropped", "a variant changes a step that it drops")
SET_TWICE = _code("CS363", "set-twice", "a variant gives an option twice")

MISSING_INSTRUMENT = _code("CS401", "missing-instrument", "a required role has no instrument on this bench")
BAD_CHANNEL = _code("CS402", "bad-channel", "a channel that names no instrument, or an unknown role")
UNSAFE_KEY = _code("CS403", "unsafe-key", "text that icicle would execute as code")
BAD_DEFAULT = _code("CS404", "bad-default", "a default voltage, current or ramp that cannot be used")
NO_DIRIGENT = _code("CS405", "no-dirigent", "dirigent is not there or cannot be started")
WRONG_DIRIGENT = _code("CS406", "wrong-dirigent", "a program named dirigent, but not the CMS one")
NO_BENCH = _code("CS407", "no-bench", "no bench to run on")
UNKNOWN_MODULE = _code("CS408", "unknown-module", "a module that modules.json does not list")
NO_RUN_FOLDER = _code("CS409", "no-run-folder", "the run folder cannot be made or written")
SWEEP_BEYOND_RANGE = _code("CS410", "sweep-beyond-range", "an IV curve beyond the supply's range", _WARN)
DISK_LOW = _code("CS411", "disk-low", "too little free disk for a run")
NO_SEQUENCE = _code("CS412", "no-sequence", "no sequence file or shipped sequence of that name")
BENCH_BUSY = _code("CS413", "bench-busy", "another run holds an instrument of this bench")
SWEEP_TOO_SHORT = _code("CS415", "sweep-too-short", "an IV curve that ends before the bias it is to allow")
BAD_FAULT = _code("CS416", "unknown-fault", "a misbehaviour that the simulator does not know")
CHANGED_FILE = _code("CS417", "changed-file", "a file that changed after the plan was made of it")
UNKNOWN_STATE = _code(
    "CS418", "unknown-state", "the last run on this bench left the rails in an unknown state"
)
BEYOND_LIMIT = _code("CS419", "beyond-limit", "a voltage beyond the HV limit of the sequence or the bench")
FORWARD_SWEEP = _code("CS420", "forward-sweep", "an IV curve that biases the sensor forward")
NO_RUN = _code("CS421", "no-run", "no run of that name, or several")
NOT_RESUMABLE = _code("CS422", "not-resumable", "a run that cannot be gone on with")
DAMAGED_RUN = _code("CS423", "damaged-run", "a run folder whose record cannot be read")
SHORT_GRACE = _code(
    "CS424", "short-grace", "a stop_grace in which a child cannot switch its supplies off", _WARN
)
COARSE_RAMP = _code("CS425", "coarse-ramp", "an HV ramp in steps that are jumps for a sensor", _WARN)
HV_BOX = _code("CS426", "hv-box", "bias behind an HV box that calseq does not control")
IMPLAUSIBLE_VALUE = _code("CS430", "implausible-value", "a value that no supply or sweep has", _WARN)
UNFIT_BENCH = _code("CS431", "unfit-bench", "instruments and modules that do not fit each other", _WARN)
NOT_OFFICIAL = _code(
    "CS440", "not-official", "a sequence that is not the official one, where only that may run"
)
FILE_EXISTS = _code("CS441", "file-exists", "a file that would be written over")
CANNOT_WRITE = _code("CS442", "cannot-write", "a file or folder that cannot be written")
MISSING_EXTRA = _code("CS443", "missing-extra", "a library of an extra that is not installed")
NOT_UPLOADABLE = _code("CS460", "not-uploadable", "a run of which nothing can be uploaded, or not now")
NO_UPLOAD_COMMAND = _code(
    "CS461", "no-upload-command", "the command of a bench's 'upload:' is not there, or may not be executed"
)
NO_UPLOAD_FOLDER = _code(
    "CS462", "no-upload-folder", "the folder of a bench's 'upload:' cannot be made, or not be written", _WARN
)

NOT_FOR_FELIS = _code("CS463", "not-for-felis", "a step of which Felis will take no result", _WARN)
OTHER_SENSOR = _code("CS464", "other-sensor", "a sequence for other sensors than the bench has")

SHARED_ADDRESS = _code("CS470", "shared-address", "two instruments at one address")
LOCKS_OUT_OF_REACH = _code(
    "CS471", "locks-out-of-reach", "locks that a run in another container would not see", _WARN
)

OTHER_SETTINGS = _code(
    "CS472", "other-settings", "a setting of dirigent.toml that contradicts the bench file", _WARN
)

NO_MONITOR = _code("CS473", "no-monitor", "the command of a monitor is not there, or may not be executed")
NO_NOTICE = _code(
    "CS474", "no-notice", "the command of 'on_finish' is not there, or may not be executed", _WARN
)
NOT_FILLED_IN = _code("CS475", "not-filled-in", "an example's text where a real run needs a value")
NO_TIMEOUT = _code("CS476", "no-timeout", "a step that may run without end", _WARN)

COLD_BOX_GIVEN = _code("CS477", "cold-box-given", "a calibration that would be given the cold box")
SIM_BESIDE_REAL = _code("CS478", "sim-beside-real", "a simulated instrument where calseq holds real supplies")
TAKEN_KEY = _code("CS479", "taken-key", "a key in instruments.json that icicle's instruments have already")
UNKNOWN_CLASS = _code("CS480", "no-such-class", "a supply of a class that icicle is not known to have", _WARN)

INTERNAL = _code("CS901", "internal-error", "a bug in calseq")

CODES: dict[str, Code] = dict(_CODES)
"""Every code by its id."""
