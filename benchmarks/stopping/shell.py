"""What a login shell does for a command: it leads the terminal's session, the command gets the foreground.

    shell.py PIDFILE COMMAND [...]       in a session of its own, stdin the terminal

It outlives its command, as a shell does: no hang-up comes of the command's end. The benchmark ends it.
"""

import fcntl
import os
import signal
import sys
import termios
import time
from pathlib import Path

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[2], sys.argv[2:])
scratch = Path(sys.argv[1] + ".new")
scratch.write_text(str(pid))
scratch.replace(sys.argv[1])
os.waitpid(pid, 0)
time.sleep(300)
