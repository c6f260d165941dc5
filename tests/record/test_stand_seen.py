"""What cannot be seen is not absent: another user's run, where /proc hides it."""

import fcntl
import json
import os
import subprocess
import sys

from stands import IS_ROOT, NOBODY, as_user, until

from calseq.record.processes import is_held
from calseq.record.status import Phase, stand
from calseq.system.proc import is_hidden

OTHER = 1
"""Another user than the one who runs: neither has the right to look at the other's processes."""


HIDING = ("unshare", "-m", "sh", "-c", 'mount -o remount,hidepid=2 /proc; exec "$@"', "sh") if IS_ROOT else ()
"""What starts a program in mounts of its own in which /proc hides the processes of others, where root can have that."""


def test_another_user_sees_a_run_of_which_no_process_is_shown(stand):
    stand.folder.chmod(0o777)
    first = stand.begun(before=as_user(NOBODY), HOME="/nonexistent")
    (folder,) = stand.folders()
    own = json.loads(stand.calseq("status", folder.name, "--format", "json")[1])
    assert own["state"] == "running"
    if IS_ROOT:  # as in a site where users may read each other's runs
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    before = (*HIDING, *as_user(OTHER))
    told = json.loads(stand.calseq("status", folder.name, "--format", "json", before=before)[1])
    assert told["state"] == "running"
    assert told["safe"] is None
    assert stand.go(first) == 0


def test_a_run_folder_that_is_locked_goes_on_and_one_that_is_free_does_not(stand):
    process = stand.begun()
    (folder,) = stand.folders()
    assert is_held(folder)
    assert stand.go(process) == 0
    until(lambda: is_held(folder) is False)
    assert is_held(stand.folder / "none") is None


def test_what_is_left_of_a_run_holds_its_folder_though_its_mark_cannot_be_read(stand):
    process = stand.begun()
    (folder,) = stand.folders()
    record = json.loads((folder / "run.json").read_text())
    assert stand.go(process) == 0
    (folder / "run.json").write_text(json.dumps({**record, "state": "running", "pid": 2**22 + 1}))
    (folder / "events.jsonl").write_bytes(b"")
    assert stand_of(folder) is Phase.DIED
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=[held := os.open(folder, os.O_RDONLY)],
    )
    fcntl.flock(held, fcntl.LOCK_EX)
    os.close(held)
    assert stand_of(folder) is Phase.DYING
    orphan.communicate()
    assert stand_of(folder) is Phase.DIED


def stand_of(folder):
    return stand(folder).phase


def test_a_process_is_hidden_only_if_it_is_there_and_not_shown():
    assert not is_hidden(os.getpid())
    assert not is_hidden(2**22 + 1)
    assert not is_hidden(0)
