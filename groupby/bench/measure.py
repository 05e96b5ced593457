"""For the scripts beside this: data, runs of a program with its time and memory, and
whether an output is the group-by of an input."""

import dataclasses
import os
import re
import resource
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MIB = 1 << 20


class Failed(Exception):
    """A program that did not do its work, and what it said."""


def size_bytes(text):
    """"448MiB" as a number, as base/size.h has it."""
    match = re.fullmatch(r"(\d+) ?(?:([kmgt])(i?)b|b)?", text.lower())
    if not match:
        raise ValueError(f"{text} is no size")
    return int(match[1]) * (1024 if match[3] else 1000) ** " kmgt".find(match[2] or " ")


@dataclasses.dataclass
class Run:
    seconds: float    # from the start of the first process to the end of the last
    cpu: float        # processor time, of user and system
    resident: int     # bytes at the peak, files that are mapped included
    anonymous: int    # without them, as seen every 10 ms
    stderr: str

    def stat(self, name):
        """A counter of `name=number` on stderr; None where there is none."""
        found = re.findall(rf"\b{name}=(\d+)", self.stderr)
        return int(found[-1]) if found else None


def median(runs, field):
    return statistics.median(getattr(run, field) for run in runs)


class Sampler(threading.Thread):
    """Watches the memory of processes and their children until stop()."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids, self.ended = pids, threading.Event()
        self.peaks = {}  # VmHWM by process
        self.anonymous = 0
        self.start()

    def run(self):
        while True:
            total, seen = 0, list(self.pids)
            for pid in seen:
                try:
                    with open(f"/proc/{pid}/status") as status:
                        fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", status.read(), re.M))
                    with open(f"/proc/{pid}/task/{pid}/children") as children:
                        seen += [int(child) for child in children.read().split()]
                except OSError:
                    continue
                total += 1024 * (int(fields.get("RssAnon", 0)) + int(fields.get("RssShmem", 0)))
                peak = 1024 * int(fields.get("VmHWM", 0))  # none of a process that has ended
                self.peaks[pid] = max(self.peaks.get(pid, 0), peak)
            self.anonymous = max(self.anonymous, total)
            if self.ended.wait(0.01):
                break

    def stop(self):
        self.ended.set()
        self.join()


def run(*commands, output=None, env=None):
    """Runs commands as a pipeline; `output` takes what the last one prints. Resident
    memory is the sum of the processes' peaks, of which the kernel keeps count; of one
    that takes less than this script, it is this script's."""
    with tempfile.TemporaryFile("w+", errors="replace") as stderr, \
            open(output or os.devnull, "wb") as stdout:
        # Of a process that stays below this, the kernel's count is ours, from before exec.
        floor = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.monotonic()
        processes, source = [], subprocess.DEVNULL
        for i, command in enumerate(commands):
            last = i + 1 == len(commands)
            process = subprocess.Popen(command, stdin=source, stderr=stderr,
                                       stdout=stdout if last else subprocess.PIPE,
                                       env={**os.environ, "LC_ALL": "C", **(env or {})})
            if source != subprocess.DEVNULL:
                source.close()
            source = process.stdout
            processes.append(process)
        sampler = Sampler([process.pid for process in processes])
        cpu, resident, codes = 0, 0, []
        try:
            for process in processes:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                codes.append(process.returncode)
                cpu += usage.ru_utime + usage.ru_stime
                peak = 1024 * usage.ru_maxrss
                if peak <= floor and len(commands) > 1:
                    peak = sampler.peaks.get(process.pid) or peak
                resident += peak
        except BaseException:  # interrupted
            for process in processes:
                process.kill()
            raise
        seconds = time.monotonic() - start
        sampler.stop()
        stderr.seek(0)
        said = stderr.read()
    if any(codes):
        lines = [line for line in said.splitlines() if line.strip()]
        raise Failed(f"exit {codes}: " + (lines[-1][:300] if lines else "without a word"))
    return Run(seconds, cpu, resident, sampler.anonymous, said)


class Folder:
    """A folder for data, outputs and temporary files, removed at the end of `with`."""

    def __init__(self, parent=None):
        self.parent = parent

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
        if self.parent:
            os.makedirs(self.parent, exist_ok=True)
        self.path = tempfile.mkdtemp(prefix="groupby_bench.", dir=self.parent)
        self.temp = os.path.join(self.path, "temp")
        self.output = os.path.join(self.path, "output")
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, name):
        return os.path.join(self.path, name)

    def clear(self):
        """No output, an empty temporary folder, and nothing left to write to disk."""
        shutil.rmtree(self.temp, ignore_errors=True)
        os.mkdir(self.temp)
        if os.path.exists(self.output):
            os.remove(self.output)
        os.sync()


def add_flags(parser):
    """The programs of the tree that are needed."""
    built = os.path.join(ROOT, "bazel-bin")
    parser.add_argument("--group_by", default=os.path.join(built, "apps/group_by"),
                        help="the program (%(default)s)")
    parser.add_argument("--group_by_flags", default="", help="more flags for it, as one word")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bin", default=os.path.join(built, "groupby/bench"),
                        help="where generate and digest are (%(default)s)")
    parser.add_argument("--dir", help="a folder for data and temporary files; each run makes "
                        "one of its own in it, and removes it ($TMPDIR)")


def check_programs(args, *more):
    for program in [args.group_by, f"{args.bin}/generate", f"{args.bin}/digest", *more]:
        if shutil.which(program) is None:
            sys.exit(f"{os.path.basename(sys.argv[0])}: {program} is not there; build "
                     "//apps:group_by and //groupby/bench/..., or see --help")


def group_by(args, folder, source, memory, *flags):
    """One run of the program, from a text to folder.output."""
    folder.clear()
    return run([args.group_by, f"--input={source}", f"--output={folder.output}",
                f"--memory={memory}", f"--threads={args.threads}", f"--temp_dir={folder.temp}",
                "--stats", *shlex.split(args.group_by_flags), *flags])


def generate(args, path, **options):
    """Writes data, and has it in the page cache; options are the program's flags."""
    flags = [f"--{name}={str(value).lower()}" for name, value in options.items()]
    run([f"{args.bin}/generate", f"--output={path}", *flags])


def digest(args, path, groups=False):
    """"rows=... keys=... sum=..." and, of groups, whether lists are in order."""
    out = subprocess.run([f"{args.bin}/digest", f"--groups={str(groups).lower()}", path],
                         capture_output=True, text=True)
    if out.returncode != 0:
        raise Failed(out.stderr.strip())
    said, _, ordered = out.stdout.strip().partition(" ordered=")
    return (said, ordered == "1") if groups else said


def check_output(args, folder, expected, ordered=True):
    """That folder.output has the groups of a digest; in the order of rows, if asked for."""
    said, in_order = digest(args, folder.output, groups=True)
    if said != expected:
        raise Failed(f"the output is wrong: {said}; the input has {expected}")
    if ordered and not in_order:
        raise Failed("a group's values are not in the order of the input")
