"""A disk of its own for a node: an ext4 file system on a loop device, with the faults that a disk has.

power_cut() is EXT4_IOC_SHUTDOWN without a flush: unsynced data and the unwritten journal are gone, as after the power
went; the file system answers EIO until it is mounted again. freeze() makes writers hang (in D state: thaw before a
kill). fill() leaves no space.
"""
import contextlib
import fcntl
import os
import struct
import subprocess

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


def sh(*args, check=True):
    r = subprocess.run(args, capture_output=True, text=True, check=False)
    if check and r.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {r.stderr.strip() or r.returncode}")
    return r.stdout.strip()


class Disk:
    def __init__(self, directory, size_mb=256):
        os.makedirs(directory, exist_ok=True)
        self.image = os.path.join(directory, "disk.img")
        self.path = os.path.join(directory, "disk")
        self.filler = os.path.join(self.path, "filler")
        self.loop = None
        self.is_mounted = self.is_frozen = False
        os.makedirs(self.path, exist_ok=True)
        with open(self.image, "wb") as f:
            f.truncate(size_mb << 20)
        sh("mkfs.ext4", "-q", "-F", "-m", "0", self.image)
        self.loop = sh("losetup", "--find", "--show", self.image)
        self.mount()

    def mount(self):
        sh("mount", "-t", "ext4", self.loop, self.path)
        self.is_mounted = True

    def unmount(self):
        if self.is_mounted:
            sh("umount", self.path)
            self.is_mounted = False

    def power_cut(self):
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def power_on(self):
        """After power_cut() and the end of the process."""
        self.unmount()
        self.mount()

    def freeze(self):
        sh("fsfreeze", "--freeze", self.path)
        self.is_frozen = True

    def thaw(self):
        if self.is_frozen:
            self.is_frozen = False
            sh("fsfreeze", "--unfreeze", self.path)

    def fill(self, leave_kb=0):
        s = os.statvfs(self.path)
        size = s.f_bavail * s.f_frsize - (leave_kb << 10)
        with open(self.filler, "ab") as f:
            if size > 0:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(f.fileno(), os.path.getsize(self.filler), size)

    def free(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.filler)

    def destroy(self):
        self.thaw()
        if self.is_mounted:
            sh("umount", "-l", self.path, check=False)
        if self.loop is not None:
            sh("losetup", "--detach", self.loop, check=False)
