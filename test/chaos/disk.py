"""A disk of its own for a node, with the faults that a disk has: an ext4 file system on a loop device. Needs root.

power_cut() is EXT4_IOC_SHUTDOWN without a flush: unsynced data and the unwritten journal are gone, as after the power
went; the file system answers EIO until it is mounted again. freeze() makes writers hang (in D state: thaw before a
kill). fill() leaves no space.
"""
import contextlib
import fcntl
import os
import struct
import subprocess
import time

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


def sh(*args, check=True):
    r = subprocess.run(args, capture_output=True, text=True, check=False)
    if check and r.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {r.stderr.strip() or r.returncode}")
    return r.stdout.strip()


class Disk:
    """Mounted at path. Without an image it is a tmpfs: it can be full, and nothing else."""

    def __init__(self, path, image=None, size_mb=256):
        self.path, self.image, self.size_mb = path, image, size_mb
        self.filler = os.path.join(path, "filler")
        self.loop = None
        self.is_mounted = self.is_frozen = False
        os.makedirs(path, exist_ok=True)
        if image is not None:
            with open(image, "wb") as f:
                f.truncate(size_mb << 20)
            sh("mkfs.ext4", "-q", "-F", "-m", "0", image)
            self.loop = sh("losetup", "--find", "--show", image)
        self.mount()

    def mount(self):
        if self.loop is not None:
            sh("mount", "-t", "ext4", self.loop, self.path)
        else:
            sh("mount", "-t", "tmpfs", "-o", f"size={self.size_mb}m", "none", self.path)
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
        """After power_cut() and the end of the process. A mount namespace that somebody else makes meanwhile (ip netns
        exec) has a copy of the mount and keeps the dead file system: then it is mounted again when that has ended."""
        end = time.monotonic() + 30
        while True:
            self.unmount()
            self.mount()
            try:
                with open(self.filler, "ab"):
                    pass
                return self.free()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def freeze(self):
        sh("fsfreeze", "--freeze", self.path)
        self.is_frozen = True

    def thaw(self):
        if self.is_frozen:
            self.is_frozen = False
            sh("fsfreeze", "--unfreeze", self.path)

    def fill(self, leave_bytes=0):
        s = os.statvfs(self.path)
        size = s.f_bavail * s.f_frsize - leave_bytes
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
