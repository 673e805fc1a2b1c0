"""A network between the processes under test and a server, which fails on command."""

import asyncio
import threading
from contextlib import suppress


class Proxy:
    """
    Forwards bytes to a server, or refuses connections, cuts them, or hangs.

    ``target`` is a port of this machine, an address as (host, port), or the path of a socket.
    """

    def __init__(self, target, host="127.0.0.1"):
        self.target = target
        self.host = host
        self.connections = 0
        self._streams = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = None
        self.port = 0
        self.accept()

    def accept(self):
        """Accept connections again, on the same port."""
        self._do(self._accept())

    def refuse(self):
        """Cut all connections, and refuse new ones."""
        self._do(self._refuse())

    def cut(self):
        """Cut all connections, but accept new ones; return how many there were."""
        return self._do(self._cut())

    def hang(self):
        """Accept connections, and forward nothing."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self):
        """Forward the bytes that were held back, and all new ones."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def close(self):
        self.flow()
        self._do(self._refuse())
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _accept(self):
        self._server = await asyncio.start_server(self._connect, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self):
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self):
        streams = list(self._streams)
        for writer in streams:
            writer.transport.abort()
        return len(streams) // 2

    async def _end(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=5) if others else None

    async def _connect(self, reader, writer):
        self.connections += 1
        try:
            there_reader, there_writer = await self._open()
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(
            self._pass_on(reader, there_writer), self._pass_on(there_reader, writer)
        )

    async def _open(self):
        if isinstance(self.target, str):
            return await asyncio.open_unix_connection(self.target)
        is_port = isinstance(self.target, int)
        host, port = ("127.0.0.1", self.target) if is_port else self.target
        return await asyncio.open_connection(host, port)

    async def _pass_on(self, reader, writer):
        self._streams.add(writer)
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    await self._flows.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            self._streams.discard(writer)
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
