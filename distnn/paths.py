"""What the names of files may be."""

from __future__ import annotations

import errno
import os
import re


def unreachable(path: str) -> str:
    """Why there can be no file of this name, or why it isn't where a shell would look; empty for all others."""
    try:
        os.stat(path)
    except ValueError as error:
        return f"no file can have that name ({error})"
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            return f"it can't be looked up ({error.strerror})"
        parts = path.split("/")
        for place, part in enumerate(parts):
            meant = (place == 0 and part.startswith("~")) or re.search(r"\$[A-Za-z_{]", part)
            if meant and not os.path.lexists("/".join(parts[: place + 1])):
                return f"~ and $NAME are not expanded here, and there is no {part!r}; write the path in full"
    return ""
