#!/usr/bin/env python3
"""powercut.py - what a power cut may leave of a disk, and whether lsmfs makes of it what it promised.

    powercut.py expect SEED STEPS PROG DIRECTORY STATES
    powercut.py check BASE LOG STATES POINTS SEED LSMFS WORK

The disk's writes were recorded in the order in which they came, with the disk's flushes, by QEMU's
driver blklogwrites.  A cut after a flush leaves what was written before it, and of what came between
it and the next one nothing, all, or any part: whole writes, or the first sectors of one.

In the sector ACK stands how many steps had been acknowledged by a sync when it was written; so a cut
after a flush that came behind that write has to have these steps, and may have more.  What it must
not have is a state that never was: `expect` notes the digest of the tree after each step, and after
each page of a write of several, for it may come in several requests.
"""

import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time

SECTOR = 512
ACK = (192 << 20) // SECTOR  # behind the file system
PAGES_MAX = 26  # that the longest write of prog_steps touches
FLUSH, DISCARD, MARK = 1, 4, 8


def digest(directory):
    """Of names, kinds, modes, contents and attributes of all below."""
    sums = hashlib.blake2b()
    for folder, folders, files in os.walk(directory):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            told = [os.path.relpath(path, directory), oct(status.st_mode)]
            if os.path.islink(path):
                told.append(os.readlink(path))
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    told.append(hashlib.blake2b(file.read()).hexdigest())
                told.append(status.st_nlink)
                for key in sorted(os.listxattr(path)):
                    if key.startswith("user."):
                        told += [key, os.getxattr(path, key).hex()]
            sums.update(json.dumps(told).encode())
    return sums.hexdigest()


def expect(seed, steps, program, directory, states):
    """Writes the digests of all states that there are on the way, and to how many steps each belongs."""
    before, after = os.path.join(directory, "before"), os.path.join(directory, "after")
    found = {}

    def step(number, where, *pages):
        subprocess.run([program, seed, str(number), str(number + 1), where, *pages], check=True)

    os.mkdir(before)
    os.mkdir(after)
    found[digest(before)] = 0
    for number in range(int(steps)):
        step(number, after)
        whole = digest(after)
        for pages in range(1, PAGES_MAX + 1):
            step(number, before, "/dev/null", str(pages))
            part = digest(before)
            if part == whole:
                break
            found[part] = number
        if part != whole:
            sys.exit(f"step {number} is not the same in parts")
        found[whole] = number + 1
    with open(states, "w", encoding="ascii") as file:
        json.dump(found, file)


class Writes:
    """The log of blklogwrites, which has the form of the kernel's dm-log-writes."""

    def __init__(self, path):
        self.entries = []  # (sector, bytes), or None for a flush
        with open(path, "rb") as log:
            magic, version, count, size = struct.unpack("<QQQI", log.read(28))
            if magic != 0x6A736677736872 or version != 1 or size != SECTOR:
                sys.exit(f"{path}: not a log of writes")
            at = SECTOR
            for _ in range(count):
                log.seek(at)
                sector, sectors, flags, length = struct.unpack("<QQQQ", log.read(32))
                at += SECTOR
                if flags & MARK:
                    at += (length + SECTOR - 1) // SECTOR * SECTOR
                elif not flags & DISCARD:
                    if sectors > 0:
                        log.seek(at)
                        self.entries.append((sector, log.read(sectors * SECTOR)))
                        at += sectors * SECTOR
                    if flags & FLUSH:
                        self.entries.append(None)
        self.flushes = [i for i, entry in enumerate(self.entries) if entry is None]


def acknowledged(entry):
    """The steps that an entry acknowledges; None: it does not."""
    sector, data = entry
    at = (ACK - sector) * SECTOR
    if not 0 <= at < len(data):
        return None
    return int(data[at : at + 16].split()[0])


def write(image, entry):
    sector, data = entry
    os.pwrite(image, data, sector * SECTOR)


def left_of(some, chance):
    """What may be there of writes that no flush was waited for."""
    kind = chance.randrange(4)
    if kind == 0:
        return []
    if kind == 1:
        return some[: chance.randrange(len(some) + 1)]
    kept = [entry for entry in some if chance.randrange(2)]
    if kind == 3 and kept:
        sector, data = kept[-1]
        kept[-1] = (sector, data[: SECTOR * chance.randrange(len(data) // SECTOR + 1)])
    return kept


class Cut:
    """One image, mounted and looked at."""

    def __init__(self, work, lsmfs):
        self.disk, self.mount = os.path.join(work, "disk"), os.path.join(work, "mnt")
        self.image, self.store = os.path.join(work, "cut.img"), os.path.join(self.disk, "store")
        self.lsmfs = lsmfs
        os.makedirs(self.disk, exist_ok=True)
        os.makedirs(self.mount, exist_ok=True)

    def run(self, *command):
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = ran.stdout.decode(errors="replace").strip()
        return "" if ran.returncode == 0 else f"{' '.join(command)}: status {ran.returncode}: {text}"

    def unmount(self):
        """Others may have a copy of the mount for a moment: whoever makes a namespace."""
        subprocess.run(["fusermount3", "-uzq", self.mount], check=False)
        for _ in range(100):
            wrong = self.run("umount", self.disk)
            if not wrong:
                return
            time.sleep(0.1)
        sys.exit(wrong)

    def steps_of(self, states):
        """(steps, "") or (None, what is wrong)."""
        wrong = self.run("mount", "-o", "loop", self.image, self.disk)
        if wrong:
            return None, wrong
        try:
            wrong = self.run(self.lsmfs, "check", "--quiet", "--snapshots", self.store)
            wrong = wrong or self.run(self.lsmfs, "mount", "-o", "nocreate", self.store, self.mount)
            if wrong:
                return None, wrong
            try:
                found = digest(self.mount)
            except OSError as error:
                found, wrong = "", str(error)
            wrong = wrong or self.run(self.lsmfs, "umount", self.mount)
            wrong = wrong or self.run(self.lsmfs, "check", "--quiet", "--snapshots", self.store)
        finally:
            self.unmount()
        if not wrong and found not in states:
            wrong = "a state that never was"
        return (None, wrong) if wrong else (states[found], "")


def check(base, log, states, points, seed, lsmfs, work):
    with open(states, encoding="ascii") as file:
        known = json.load(file)
    writes, chance, cut = Writes(log), random.Random(int(seed)), Cut(work, lsmfs)
    flushes = [i for i in writes.flushes if i + 1 < len(writes.entries)]
    chosen = sorted(chance.choices(flushes, k=int(points)))
    now = os.path.join(work, "now.img")
    shutil.copyfile(base, now)
    image = os.open(now, os.O_RDWR)
    at, promised, looked, failed, beyond = 0, None, 0, 0, 0

    for flush in chosen:
        while at < flush:
            entry = writes.entries[at]
            if entry is not None:
                write(image, entry)
                steps = acknowledged(entry)
                promised = promised if steps is None else steps
            at += 1
        end = next(i for i in writes.flushes + [len(writes.entries)] if i > flush)
        kept = left_of(writes.entries[flush + 1 : end], chance)
        if promised is None:
            continue  # the store is being made
        subprocess.run(["cp", "--sparse=always", now, cut.image], check=True)
        copy = os.open(cut.image, os.O_RDWR)
        for entry in kept:
            write(copy, entry)
        os.close(copy)
        steps, wrong = cut.steps_of(known)
        looked += 1
        if not wrong and steps < promised:
            wrong = f"{promised} steps had been acknowledged, {steps} are there"
        if wrong:
            failed += 1
            print(f"flush {flush}, {len(kept)} writes behind it, {promised} steps: {wrong}")
        elif steps > promised:
            beyond += 1
    os.close(image)
    print(f"# {looked} cuts of {len(writes.flushes)} flushes, {failed} failed, "
          f"{beyond} with more than was acknowledged")
    return looked, failed


def main():
    what, *arguments = sys.argv[1:]
    if what == "expect":
        expect(*arguments)
        return 0
    looked, failed = check(*arguments)
    return 0 if looked > 0 and failed == 0 else 1


sys.exit(main())
