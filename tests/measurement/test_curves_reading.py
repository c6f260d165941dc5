"""Files of curves are read as they are meant, or it is said why not, and where."""

import os

import pytest
from curve_texts import DOUBLE, FILE, IV, MODULES, VI, curve, iv, vi
from msgspec.structs import replace

from calseq.measurement.curves import IvCurve, NotUnderstood, read_curves
from calseq.measurement.headings import UNITS, read_heading
from calseq.measurement.table import MAX_BYTES, MAX_ROWS
from calseq.model.plan import Column, CurveTable, Module, Step
from calseq.model.rails import BOTH_OFF, StepType

GOOD = curve((0, 0), (-5, -1.5e-7))


@pytest.mark.parametrize(
    "text",
    [
        "Voltage (V),Current (A)\n0,0\n-5,-1.5e-7\n",
        "Voltage (V);Current (A)\n0;0\n-5;-1.5e-7\n",
        "Voltage (V)\tCurrent (A)\n0\t0\n-5\t-1.5e-7",
        "\ufeffVoltage (V),Current (A)\r\n0,0\r\n-5,-1.5e-7\r\n",
        "# dirigent 3\n\n   \nVoltage (V),Current (A)\n# ramp\n0,0\n,\n-5,-1.5e-7\n\n",
        "  VOLTAGE [v] , current [ua]\n 0 , 0 \n -5 , -0.15\n",
        "Voltage,Current\nV,nA\n0,0\n-5,-150\n",
        "Voltage,Current\n(V),(A)\n0,0\n-5,-1.5E-07\n",
        "bias_voltage,I_leak/µA\n0,0\n-5,-.15\n",
        "Voltage_mV,Current_mA\n0,0\n-5000,-0.00015\n",
        'time,Current (A),note,Voltage (V)\n12:00,0,start,0\n,-1.5e-7,"a, b",-5\n',
        '"Voltage (V)","Current (A)"\n"0","0"\n"-5","-1.5e-7"\n',
        "Voltage (V),Current (A),\n0,0,\n-5,-1.5e-7,,,\n",
        "Voltage (kV),Current (pA)\n0,0\n-0.005,-150000\n",
    ],
)
def test_one_curve_in_many_spellings(text):
    assert iv(text) == GOOD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("\n  \n# only words\n", "the file is empty"),
        ("0,0\n-5,-1.5e-7\n", "no row of headings: line 1 has none; write one, as 'Voltage (V),Current (A)'"),
        ("a,b\n0,0\n", "no heading is known as 'voltage': 'a', 'b'; the site's calibrations can name it"),
        ("Voltage (V),b\n0,0\n", "no heading is known as 'current': 'Voltage (V)', 'b'; the site's calibrations can name it"),
        ("Voltage (V),Current\n0,0\n-5,0.15\n",
         "line 3: heading 'Current' has no unit, and in amperes 0.15 would be no current of a sensor; the site's calibrations can say its unit"),
        ("Voltage (V),Current (MA)\n0,0\n", "'MA', the unit of heading 'Current (MA)', is not known"),
        ("Voltage (V),Current (V)\n0,0\n", "heading 'Current (V)' is in V, and should be in A"),
        ("Voltage (V),Current (A)\nV,mA\n0,0\n", "heading 'Current (A)' has another unit than the row below it, 'mA'"),
        ("Voltage (V),Current (A),Current (uA)\n0,0,0\n", "'Current (A)' and 'Current (uA)' are both headings of 'current'"),
        ("Voltage (V),Current (A)\n0,0\n-5,oops\n", "line 3, 'Current (A)': 'oops' is no number"),
        ("Voltage (V),Current (A)\n0,0\n-5,\n", "line 3, 'Current (A)': nothing stands where a number should be"),
        ("Voltage (V),Current (A)\n0,nan\n", "line 2, 'Current (A)': 'nan' is no finite number"),
        ("Voltage (V),Current (A)\n0,-Infinity\n", "line 2, 'Current (A)': '-Infinity' is no finite number"),
        ("Voltage (V),Current (A)\n0,1e999\n", "line 2, 'Current (A)': '1e999' is no finite number"),
        ("Voltage (V),Current (uA)\n0," + "1" * 1_100_000 + "\n", "line 2, 'Current (uA)': '111111111111111111111111111111111111111…' is no finite number"),
        ("Voltage (V),Current (A),Current (A).1\n0,0,0\n", "'Current (A).1' is a heading that is there twice"),
        ("Voltage (V),Current (A)\n0,trip\nVoltage (V),Current (A)\n0,0\n", "line 2, 'Current (A)': 'trip' is no number"),
        ("Voltage (V),Current (A)\n0,1_0\n", "line 2, 'Current (A)': '1_0' is no number"),
        ("Voltage (V),Current (A)\n0,٣\n", "line 2, 'Current (A)': '٣' is no number"),
        ("Voltage (V);Current (A)\n0;1,5\n-5.5;2,5\n", "line 2, 'Current (A)': '1,5' has a decimal comma; write a point"),
        ("Voltage (V),Current (A)\n0,5,1,5\n", "line 2 has 4 cells, and there are 2 headings; a decimal comma?"),
        ("Voltage (V),Current (A)\n0\n", "line 2 has 1 cells, and there are 2 headings"),
        ('Voltage (V),Current (A)\n"0,0\n', "line 2: a quote is not closed; close it, or take it out"),
        (b"Voltage (V),Current (A)\n0,\0\n", "binary, no text: line 2 has a NUL byte"),
        (b"\x89PNG\r\n\x1a\n", "no text, but a picture"),
        (b"Voltage (V),Current (A)\n0,\xff\n", "line 2: byte 0xff is no UTF-8 text; save it as UTF-8"),
        ("Voltage (V),Current (\x1b[31m)\n0,0\n", "'\\e[31m', the unit of heading 'Current (\\e[31m)', is not known"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said_with_its_line(text, reason):
    found = iv(text)
    assert isinstance(found, NotUnderstood)
    assert (found.file, found.reason) == (FILE, reason)


def test_only_what_has_nothing_of_a_curve_in_it_may_be_none():
    """A file that was torn is no file of temperatures: beside a good curve it is a doubt."""
    for torn in (
        b"Voltage (V),Current (A)\n0,0\n\0\0\0",
        "Voltage,Current\n0,0\n".encode("utf-16") + b"5",
        b"",
    ):
        assert not iv(torn).foreign
    for other in ("time,T\n12:00,20\n", b"\x89PNG\r\n"):
        assert iv(other).foreign


V_I_T = "Voltage (V),Current (A),Temperature (C)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # decimal commas, and a last column that is empty: three numbers, as many as there are headings
        (f"{V_I_T}\n-5,1,5e-7,\n", "line 2 has 4 cells, and there are 3 headings; a decimal comma?"),
        (f"{V_I_T},\n-5,1,5e-7,,\n", "line 2 has 5 cells, and there are 3 headings; a decimal comma?"),
        (f"{V_I_T}\n-5,0,1,,,\n", "line 2 has 6 cells, and there are 3 headings; a decimal comma?"),
        ("Voltage (V),Current (A)\n-5,15,\n", "line 2 has 3 cells, and there are 2 headings; a decimal comma?"),
        # in a column between that has no heading
        ("Voltage (V),,Current (A)\n-5,1,5\n", "line 2: '1' stands below no heading; a decimal comma?"),
        # a comma for thousands
        (f"{V_I_T}\n-1,234.5,1e-7,\n", "line 2 has 4 cells, and there are 3 headings; a decimal comma?"),
        ("Voltage (V);Current (nA)\n-5;1,234.5\n", "line 2, 'Current (nA)': '1,234.5' is no number"),
        ("Voltage (V);Current (nA)\n-5;1.234,5\n", "line 2, 'Current (nA)': '1.234,5' is no number"),
        ("Voltage (V),Current (nA)\n-5,1 234\n", "line 2, 'Current (nA)': '1 234' is no number"),
        ("Voltage (V),Current (nA)\n-5,1'234\n", "line 2, 'Current (nA)': '1'234' is no number"),
        # parted in two ways
        ("Voltage (V),T,Current (A)\n1,5;2,5\n", "line 2 parts its numbers in another way than the headings"),
        ("Voltage (V),T,Current (A)\n1,5\t-2,5\n", "line 2 parts its numbers in another way than the headings"),
        ("Voltage (V);Current (A)\n1,5,2,5\n", "line 2 has 1 cells, and there are 2 headings"),
        ("Voltage (V),Current (A)\n1,5;2,5\n", "line 2 has 3 cells, and there are 2 headings"),
        ("Voltage (V);Current (nA)\n-5;1,234\n", "line 2, 'Current (nA)': '1,234' has a decimal comma; write a point"),
        ('Voltage (V),Current (A)\n"1,5","2,5"\n', "line 2, 'Voltage (V)': '1,5' has a decimal comma; write a point"),
        # as many cells as there are headings, or it is not known which is which
        ("Voltage (V),Current (A)\n1,-5,-1e-7\n", "line 2 has 3 cells, and there are 2 headings"),
        (f"{V_I_T}\n-5,-1e-7\n", "line 2 has 2 cells, and there are 3 headings"),
        # what is no number of a measurement
        *((f"Voltage (V),Current (A)\n-5,{cell}\n", f"line 2, 'Current (A)': '{cell}' is no finite number")
          for cell in ("NaN", "-nan", "inf", "+Inf", "-INFINITY", "9.9e400")),
        *((f"Voltage (V),Current (A)\n-5,{cell}\n", f"line 2, 'Current (A)': '{cell}' is no number")
          for cell in ("1.#QNAN", "nan(ind)", "OVERLOAD", "0x10", "--1", "1e", "1.5.2")),
        ("Voltage (V),Current (A)\n-5,\u22121\n", "line 2, 'Current (A)': '\u22121' begins with the minus sign U+2212; write '-'"),
        # headings twice
        ("Voltage (V),voltage (mV),Current (A)\n0,0,0\n", "'Voltage (V)' and 'voltage (mV)' are both headings of 'voltage'"),
        ("Voltage (V),Current (A),Current (A)\n0,0,0\n", "'Current (A)' and 'Current (A)' are both headings of 'current'"),
        # units that would be a guess
        ("Voltage (V),Current (uA/cm2)\n0,0\n", "'uA/cm2', the unit of heading 'Current (uA/cm2)', is not known"),
        ("Voltage (V),Current (1e-6 A)\n0,0\n", "'1e-6 A', the unit of heading 'Current (1e-6 A)', is not known"),
    ],
)  # fmt: skip
def test_no_number_is_made_of_what_may_be_read_in_two_ways(text, reason):
    found = iv(text)
    assert isinstance(found, NotUnderstood)
    assert (found.file, found.reason) == (FILE, reason)


@pytest.mark.parametrize(
    "text",
    [
        ",Voltage (V),Current (A)\n0,0,0\n1,-5,-1.5e-7\n",  # numbered rows, as data frames write them
        "Voltage (V),,Current (A)\n0,,0\n-5,,-1.5e-7\n",
        f"{V_I_T}\n0,0,\n-5,-1.5e-7,\n",  # nothing was measured in the last column
        f"{V_I_T},\n0,0,20,\n-5,-1.5e-7,21,\n",
        f"{V_I_T}\n0,0,20\n-5.0,-1.5e-7,20.5,\n",
        "Voltage (V),Current (mA)\n0,0\n-5,-0.00015\n",
        "Voltage (V),Current (uA)\n0,0\n-5,-0.15\n",
        "Voltage (V),Current [\u00b5A]\n0,0\n-5,-0.15\n",
        "Voltage (V),I_leak_nA\n0,0\n-5,-150\n",
        "Voltage (V);T;Current (A)\n0;21,5;0\n-5;21,5;-1.5e-7\n",
        "Voltage (V)\tCurrent (A)\t\n0\t0\t\t\n-5\t-1.5e-7\n",
    ],
)
def test_what_can_be_read_in_one_way_only_is_read(text):
    assert iv(text) == GOOD


def test_what_is_too_large_is_not_read():
    head = b"Voltage (V),Current (A)\n"
    assert iv(head + b"0,0\n" * (MAX_ROWS + 1)).reason == "more than 100,000 rows"
    assert iv(head + b"#" * MAX_BYTES).reason == "larger than 16 MiB; no curve is"
    assert iv(",".join(["a"] * 1001) + "\n").reason == "more than 1,000 columns"
    assert len(iv(head + b"0,0\n" * MAX_ROWS).points) == MAX_ROWS


def test_a_file_with_headings_only_is_a_curve_without_points():
    assert iv("Voltage (V),Current (A)\n") == curve()


def test_a_factor_moves_the_decimal_point_and_no_digit():
    read = iv("Voltage (V),Current (uA)\n1,12.3\n2,0.1\n3,-7e-3\n")
    assert [point.current_a for point in read.points] == [12.3e-6, 0.1e-6, -7e-9]


def test_a_remark_may_say_what_it_likes():
    read = iv("Voltage (V),Current (A),Remark\n-5,-1e-7,ramp 1;2 done\n-10,-2e-7,ok\n")
    assert [point.voltage_v for point in read.points] == [-5.0, -10.0]


def test_no_spelling_of_a_unit_is_guessed():
    assert "MA" not in UNITS
    assert {UNITS[word] for word in ("uA", "µA", "\u03bcA")} == {("A", -6)}


def test_the_regulators_of_every_chip_are_traces():
    read = vi(
        "Current (A),Voltage (V),VIN,VOFS,VDDD_ROC0,VDDA_ROC0,VDDD_ROC1,vdda_roc1,Temp\n"
        "1,2,1.5,0.5,1.1,1.2,1.3,1.4,20\n2,3,2.5,0.5,1.1,1.2,1.3,1.4,warm\n"
    )
    told = {(trace.name, trace.chip): (trace.unit, trace.points) for trace in read.traces}
    assert set(told) == {
        ("supply", ""), ("VIN", ""), ("VOFS", ""), ("VDDD", "0"), ("VDDA", "0"), ("VDDD", "1"), ("VDDA", "1"),
    }  # fmt: skip
    assert told["VIN", ""] == ("V", ((1.0, 1.5), (2.0, 2.5)))
    assert told["VDDA", "1"] == ("V", ((1.0, 1.4), (2.0, 1.4)))


def test_a_regulator_in_another_unit_is_brought_to_volts_or_refused():
    assert vi("Current (mA),VIN (mV)\n1000,1500\n").traces[0].points == ((1.0, 1.5),)
    refused = vi("Current (A),VIN (ADC)\n1,500\n")
    assert refused.reason == "'ADC', the unit of heading 'VIN (ADC)', is not known"


def test_a_quantity_of_the_sites_own_keeps_its_unit():
    columns = (Column("current", ("I",), "A"), Column("NTC", ("T ntc",), "C"))
    read = iv("I,T_NTC,other\n1,20,x\n", table=CurveTable("*.csv", "vi", columns))
    assert [(trace.name, trace.unit, trace.points) for trace in read.traces] == [("NTC", "C", ((1.0, 20.0),))]


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("data/03-iv_curve/IV_R1Q17.csv", "R1Q17"),
        ("data/03-iv_curve/R1Q18-2026-11-23.csv", "R1Q18"),
        ("data/03-iv_curve/R1Q18/IV.csv", "R1Q18"),
        ("data/03-iv_curve/IV_R1Q177.csv", ""),
        ("data/03-iv_curve/IV_XR1Q17.csv", ""),
        ("data/03-iv_curve/IV_r1q17.csv", ""),
        ("data/03-iv_curve/IV_R1Q17_R1Q18.csv", ""),
        ("data/03-R1Q17/IV.csv", ""),
        ("data/03-iv_curve/IV.csv", ""),
    ],
)
def test_the_module_is_the_one_whose_name_stands_in_the_files_name(file, module):
    assert iv("Voltage (V),Current (A)\n", file, MODULES).module == module


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("IV_M1.csv", "M1"), ("IV_M1-2.csv", "M1-2"), ("IV_M1_2.csv", "M1_2"), ("M1_IV.csv", "M1"),
        ("IV_M1-2_M1.csv", ""), ("M1-3.csv", "M1"), ("M1/IV.csv", "M1"), ("M1-2/IV.csv", "M1-2"),
    ],
)  # fmt: skip
def test_a_file_of_a_longer_name_is_not_the_shorter_ones(file, module):
    modules = tuple(Module(str(place), name) for place, name in enumerate(("M1", "M1-2", "M1_2")))
    assert iv("Voltage (V),Current (A)\n", f"data/03-iv/{file}", modules).module == module


def test_of_two_names_of_which_one_has_the_other_the_longer_counts():
    modules = (Module("0", "R1"), Module("1", "R1-2"))
    assert iv("Voltage (V),Current (A)\n", "data/03-iv/IV_R1-2.csv", modules).module == "R1-2"


def a_step(*tables):
    return Step(
        3, "iv_curve", "iv_curve", StepType.IVCURVE, "", (), BOTH_OFF, BOTH_OFF, (), (), curves=tables
    )


def test_only_the_files_that_the_plan_calls_curves_are_read(tmp_path):
    for name in ("IV_C2HQ0.csv", "log.csv.txt", "breakdowns.json"):
        (tmp_path / name).write_text("Voltage (V),Current (A)\n0,0\n-5,-1.5e-7\n")
    files = ["IV_C2HQ0.csv", "log.csv.txt", "breakdowns.json"]
    assert read_curves(a_step(IV), tmp_path, files, (DOUBLE,)) == (replace(GOOD, file="IV_C2HQ0.csv"),)
    assert read_curves(a_step(), tmp_path, files, (DOUBLE,)) == ()


def test_of_several_tables_the_first_that_fits_the_name_counts(tmp_path):
    (tmp_path / "a.csv").write_text("Voltage (V),Current (A)\n0,0\n")
    other = CurveTable("a*", "iv", (Column("voltage", ("x",)), Column("current", ("y",))))
    [refused] = read_curves(a_step(other, IV), tmp_path, ["a.csv"], ())
    assert isinstance(refused, NotUnderstood)
    assert isinstance(read_curves(a_step(IV, other), tmp_path, ["a.csv"], ())[0], IvCurve)


def test_nothing_is_read_that_is_no_file_of_the_run_folder(tmp_path):
    (tmp_path / "real.csv").write_text("Voltage (V),Current (A)\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link.csv").symlink_to(tmp_path / "real.csv")
    os.mkfifo(tmp_path / "run" / "pipe.csv")
    (tmp_path / "run" / "folder.csv").mkdir()
    (tmp_path / "run" / "elsewhere").symlink_to(tmp_path)
    files = [
        "elsewhere/real.csv",
        "a\0.csv",
        "link.csv",
        "pipe.csv",
        "folder.csv",
        "gone.csv",
        "../real.csv",
        str(tmp_path / "real.csv"),
    ]
    read = read_curves(a_step(IV), tmp_path / "run", files, ())
    assert [type(each) for each in read] == [NotUnderstood] * 8
    assert [each.reason for each in read] == [
        "no file of the run folder", "cannot be read: no such file or directory", *["cannot be read: it is no regular file"] * 3,
        "cannot be read: no such file or directory", "no file of the run folder", "no file of the run folder",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("heading", "quantity", "chip", "unit"),
    [
        ("Current (A)", "current", "", "A"),
        ("VDDD_ROC12", "VDDD", "12", ""),
        ("vddd chip 3 [mV]", "VDDD", "3", "mV"),
        ("V_in", "VIN", "", ""),
        ("I_in", "current", "", ""),
    ],
)
def test_a_heading_tells_quantity_chip_and_unit(heading, quantity, chip, unit):
    found = read_heading(heading, VI.columns)
    assert (found.quantity, found.chip, found.unit) == (quantity, chip, unit)


@pytest.mark.parametrize("heading", ["", "VDDD_ROC", "VDDD_ROCx", "Currents (A)", "A" * 10_000, " (" * 5000])
def test_a_heading_that_is_not_listed_is_no_column(heading):
    assert read_heading(heading, VI.columns) is None
