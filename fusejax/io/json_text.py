"""JSON from files of others: whatever is wrong with it, the error is one line."""

import json
from pathlib import Path
from typing import Any


def read_json(path: str | Path) -> Any:
    """Reads a JSON file.

    Args:
        path: local file, in UTF-8, with or without a byte order mark.

    Returns:
        The value.

    Raises:
        ValueError: if it is not JSON; says where, without the name of the file.
        OSError: if it cannot be read.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not a text file ({error.reason})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON in line {error.lineno} ({error.msg})") from error
    except RecursionError as error:
        raise ValueError("malformed JSON (nested too deeply)") from error
    except ValueError as error:  # an integer of thousands of digits
        raise ValueError(f"malformed JSON ({str(error).partition(';')[0]})") from error
