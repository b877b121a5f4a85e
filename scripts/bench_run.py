#!/usr/bin/env python3
"""Runs a command and prints what it took, as one line of JSON.

    scripts/bench_run.py SECONDS FILE COMMAND...

{"code", "wall", "cpu", "peak"}: the exit code, seconds from start to end, seconds of CPU (user and system), and the
peak of resident memory in MiB. What the command says goes to FILE. After SECONDS it is killed,
and when this is ended.

A process of its own, because Linux hands a parent's peak down through fork and exec: a child of a Python that has
imported numpy would never seem to take less than that. This one takes about 10 MiB, and no command measured takes less.
"""

import json
import os
import signal
import sys
import time


def main():
    seconds, said, command = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    to_file = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    start = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=to_file)
    for reason in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(reason, lambda *_: os.kill(child, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        _, status, usage = os.wait4(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    wall = time.perf_counter() - start
    print(
        json.dumps(
            {
                "code": os.waitstatus_to_exitcode(status),
                "wall": wall,
                "cpu": usage.ru_utime + usage.ru_stime,
                "peak": usage.ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
