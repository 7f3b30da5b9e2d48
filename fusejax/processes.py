"""Child processes that end with their parent."""

import os
import threading
import time

_SECONDS_BETWEEN_LOOKS = 0.5


def end_with_parent() -> None:
    """Ends this process soon after its parent, even if the parent was killed.

    For entry points of child processes that compute for a long time and that nobody could stop
    otherwise.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
