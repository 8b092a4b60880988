"""What a disk may hold after the power failed, made from the journal that pier_faults.cc writes of every change of a folder.

A file's writes are in memory, page by page, until the file is synced; a page that was not synced is on the disk as it was after any of its
writes, or torn between two of them. Names (creations, renames, removals) are in memory until their folder is synced; each may be lost on its
own, with what builds on it. The size may be ahead of the octets: then there are zeros.
"""
import os
import shutil
import struct
from pathlib import Path

HEAD = struct.Struct("<IIQQQ")
CREATE, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MAKE_FOLDER = range(1, 8)
PAGE = 4096
SECTOR = 512


class File:
    def __init__(self, octets=b""):
        self.durable = bytearray(octets)
        self.pending = []       # (offset, octets) of a write, (size, None) of a truncation

    def sync(self):
        for offset, octets in self.pending:
            change(self.durable, offset, octets)
        self.pending.clear()

    def after_power_loss(self, keep, dice):
        """Its octets, if what was not synced came to the disk with the chance `keep`."""
        disk, size = bytearray(self.durable), len(self.durable)
        writes = []
        for offset, octets in self.pending:
            if octets is not None:
                writes.append((offset, octets))
                size = max(size, offset + len(octets))
                continue
            lose_pages(disk, writes, keep, dice)
            writes = []
            if dice.random() < keep:
                change(disk, offset, None)
                size = offset
        lose_pages(disk, writes, keep, dice)
        if len(disk) < size and dice.random() < 0.3:
            disk.extend(bytes(size - len(disk)))
        return bytes(disk)


def change(octets, offset, what):
    if what is None:
        del octets[offset:]
        octets.extend(bytes(offset - len(octets)))
    else:
        octets.extend(bytes(max(0, offset - len(octets))))
        octets[offset:offset + len(what)] = what


def lose_pages(disk, writes, keep, dice):
    """Each page of `disk` that was written to becomes what it was after one of its writes, or none."""
    pages = {}
    for offset, octets in writes:
        for page in range(offset // PAGE, (offset + len(octets) - 1) // PAGE + 1):
            pages.setdefault(page, []).append((offset - page * PAGE, octets))
    for page, changes in pages.items():
        if dice.random() >= keep:
            continue
        reached = len(changes) if dice.random() < 0.8 else dice.randrange(len(changes) + 1)
        start = page * PAGE
        before = bytes(disk[start:start + PAGE])
        states = [before]
        for at, octets in changes[:reached]:
            state = bytearray(states[-1])
            change(state, max(at, 0), octets[max(0, -at):PAGE - at])
            states.append(bytes(state))
        new = states[-1]
        if dice.random() < 0.2:     # torn: the later sectors are older
            cut, older = SECTOR * dice.randrange(PAGE // SECTOR), dice.choice(states)
            new = new[:cut] + older[cut:]
        if len(disk) > start + PAGE:
            new = new.ljust(PAGE, b"\0")
        disk.extend(bytes(max(0, start - len(disk))))
        disk[start:start + PAGE] = new


class Folder:
    """A tree of files, as a journal changes it."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = {}         # path: File, as the process sees it
        self.durable = {}       # path: File, or None for a folder, as it is on the disk
        self.pending = {}       # folder: [(names touched, {path: File or None, to put}, [paths to take away])]
        self.inodes = {}        # of files
        self.folders = {}       # inode: path
        for path in [self.root, *sorted(self.root.rglob("*"))]:
            status = path.stat()
            if path.is_dir():
                self.folders[status.st_ino] = str(path)
                self.durable[str(path)] = None
            else:
                file = File(path.read_bytes())
                self.files[str(path)] = self.durable[str(path)] = self.inodes[status.st_ino] = file

    def replay(self, journal):
        """Reads what the server wrote, up to where it was killed."""
        for path in self.root.rglob("*"):   # folders that were made meanwhile
            if path.is_dir():
                self.folders[path.stat().st_ino] = str(path)
        octets = Path(journal).read_bytes() if Path(journal).exists() else b""
        at = 0
        while at + HEAD.size <= len(octets):
            op, name_octets, inode, offset, data_octets = HEAD.unpack_from(octets, at)
            at += HEAD.size
            if at + name_octets + data_octets > len(octets):
                break
            name = octets[at:at + name_octets].decode()
            at += name_octets
            self.step(op, name, inode, offset, octets[at:at + data_octets])
            at += data_octets

    def step(self, op, name, inode, offset, data):
        if op == CREATE:
            file = self.files[name] = self.inodes[inode] = File()
            self.rename_later(name, {name: file}, [])
        elif op == MAKE_FOLDER:
            self.rename_later(name, {name: None}, [])
        elif op == WRITE and inode in self.inodes:
            self.inodes[inode].pending.append((offset, data))
        elif op == TRUNCATE and inode in self.inodes:
            self.inodes[inode].pending.append((offset, None))
        elif op == RENAME:
            old, new = name.split("\n")
            self.files[new] = self.files.pop(old)
            self.rename_later(new, {new: self.files[new]}, [old])
        elif op == UNLINK:
            self.files.pop(name, None)
            self.rename_later(name, {}, [name])
        elif op == SYNC and inode in self.folders:
            for _, put, take in self.pending.pop(self.folders[inode], []):
                self.change_names(self.durable, put, take)
        elif op == SYNC and inode in self.inodes:
            self.inodes[inode].sync()

    def rename_later(self, path, put, take):
        self.pending.setdefault(str(Path(path).parent), []).append(({*put, *take}, put, take))

    @staticmethod
    def change_names(names, put, take):
        for path in take:
            names.pop(path, None)
        names.update(put)

    def lose_power(self, keep, dice):
        """Makes the real folder what the disk may hold."""
        names = dict(self.durable)
        for changes in self.pending.values():
            lost = set()
            for touched, put, take in changes:
                if touched & lost or dice.random() >= keep:
                    lost |= touched
                else:
                    self.change_names(names, put, take)
        shutil.rmtree(self.root)
        for path, file in sorted(names.items()):
            if file is None:
                Path(path).mkdir(exist_ok=True)
        for path, file in names.items():
            if file is not None and Path(path).parent.is_dir():
                Path(path).write_bytes(file.after_power_loss(keep, dice))
