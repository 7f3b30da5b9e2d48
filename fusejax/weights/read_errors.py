"""Errors of reading a checkpoint: whether its files cause them, and what to show of them."""


def means_damage(error: Exception) -> bool:
    """Whether a read error is caused by the files, not by access, memory or the network."""
    not_the_files = ("PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
    kinds = (PermissionError, ConnectionError, TimeoutError, MemoryError)
    return not isinstance(error, kinds) and not any(code in str(error) for code in not_the_files)


def error_summary(error: BaseException) -> str:
    """The root cause of an error in one line; Orbax wraps it and adds long specifications."""
    while error.__cause__:
        error = error.__cause__
    text = f"{type(error).__name__}: {' '.join(str(error).split()).split(' [tensorstore_spec')[0]}"
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"
