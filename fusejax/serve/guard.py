"""What every request must pass before it is read: the token, the size, the time."""

import asyncio
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

Scope, Message = dict[str, Any], dict[str, Any]
Receive, Send = Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]
_OPEN = ("/health",)


class _Refused(Exception):
    """A request that is refused while its body is being read."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class Guard:
    """ASGI middleware; a request that is too large or too slow is refused while it is read."""

    def __init__(self, app: Any, *, token: str | None, most_bytes: int, timeout: float):
        """Stores the limits.

        Args:
            app: the service.
            token: that requests must carry as `Authorization: Bearer TOKEN`; None for no token.
            most_bytes: largest body.
            timeout: seconds in which a body must have arrived.
        """
        self._app, self._token, self._most, self._timeout = app, token, most_bytes, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._token is not None and scope["path"] not in _OPEN:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                await _answer(send, 401, "send the token of the service as Authorization: Bearer TOKEN")
                return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._most:
            await _answer(send, 413, self._too_large())
            return
        refused: list[_Refused] = []
        started = False

        async def pass_on(message: Message) -> None:
            nonlocal started
            if not refused or started:  # what the service says about a body that was cut off is dropped
                started = True
                await send(message)

        with contextlib.suppress(_Refused):
            await self._app(scope, self._limited(receive, refused), pass_on)
        if refused and not started:
            await _answer(send, refused[0].status, str(refused[0]))

    def _limited(self, receive: Receive, refused: list[_Refused]) -> Receive:
        """Counts bytes and time of the body; notes a refusal before it raises it."""
        end, received, complete = asyncio.get_running_loop().time() + self._timeout, 0, False

        async def limited() -> Message:
            nonlocal received, complete
            if complete:  # waits for the end of the connection, as long as that takes
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), end - asyncio.get_running_loop().time())
            except TimeoutError as error:
                refused.append(_Refused(408, f"the request did not arrive within {self._timeout:g} s"))
                raise refused[0] from error
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > self._most:
                refused.append(_Refused(413, self._too_large()))
                raise refused[0]
            return message

        return limited

    def _too_large(self) -> str:
        return f"the request is larger than {self._most / 1e6:g} MB"


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({"detail": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
