"""Opens the lines that links run over: serial devices, pseudo-terminals, TCP, a program's own input and output."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import select
import socket
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import serial

from vipd.drivers.channel import Channel
from vipd.errors import EnvironmentProblem, LineError
from vipd.model.line import Flow, Place, Pty, Serial, Stdio, Tcp, TcpListen

_NEAR: Final = 2.0
_FAR: Final = 30.0
"Seconds between two tries, at most, where they cost nobody anything, and where somebody else has to answer."
_CONNECT: Final = 10.0
"Seconds that a host gets to answer, all its addresses together."
_LOOK: Final = 0.1
"Seconds between two looks whether a pseudo-terminal's other end was opened: nobody tells."
_TCP_NOTSENT_LOWAT: Final = 25
_UNSENT: Final = 1 << 16
"Octets that TCP may hold unsent: what waits there, nobody can drop in favour of what is newer."
_SILENCE: Final = 30
"Seconds after which TCP asks whether its other end is there; as long again, and it is not."
_PATIENCE: Final = 60.0
"Seconds that a caller may keep others out without a packet that could pass."
_TTY_FIELD: Final = 4
"Of /proc/PID/stat, counted after the command's name (proc(5): field 7)."


class Line(Protocol):
    """One way to a peer, opened again and again."""

    calls: bool
    "Whether it is we who choose the peer; else whoever comes is taken."
    longest: float
    "Seconds between two tries, at most."
    lasting: bool
    "Whether it can be opened again once it ended."
    patience: float
    "Seconds until packets must be able to pass, where a peer keeps others out; 0: any time."
    where: str
    "What a peer has to open, or is opened."
    refused: int
    "Peers that came while there was one."

    async def open(self) -> Channel:
        """As soon as there is a peer to talk to; `LineError` where there is none to be had now."""

    def close(self) -> None: ...


def line(place: Place, pty_link: Path) -> Line:
    """All that root is needed for is done here; `EnvironmentProblem` where it cannot be."""
    match place:
        case Serial():
            return SerialLine(place)
        case Pty():
            return PtyLine(pty_link)
        case Tcp():
            return TcpLine(place)
        case TcpListen():
            return TcpListenLine(place)
        case Stdio():
            return StdioLine()


class SerialLine:
    calls, longest, lasting, patience, refused = True, _NEAR, True, 0.0, 0

    def __init__(self, place: Serial) -> None:
        self.place, self.where = place, place.device
        try:
            self._first: serial.Serial | None = _opened(place)
        except LineError as error:
            raise EnvironmentProblem(str(error)) from None

    async def open(self) -> Channel:
        port, self._first = self._first or _opened(self.place), None

        def close() -> None:
            # The kernel would wait half a minute for a line that takes nothing.
            with suppress(termios.error):
                termios.tcflush(port.fileno(), termios.TCIOFLUSH)
            port.close()

        return Channel(port.fileno(), port.fileno(), close)

    def close(self) -> None:
        if self._first is not None:
            self._first.close()


def _opened(place: Serial) -> serial.Serial:
    rtscts, xonxoff = place.flow is Flow.RTSCTS, place.flow is Flow.XONXOFF
    try:
        port = serial.Serial(
            place.device, place.baud, timeout=0, write_timeout=0, rtscts=rtscts, xonxoff=xonxoff, exclusive=True
        )
        _tell_nothing_from_the_end(port.fileno())
    except serial.SerialException as error:
        raise LineError(f"{place.device}: cannot be opened: {_reason(error)}") from None
    except (OSError, ValueError, termios.error) as error:
        raise LineError(f"{place.device}: is no serial line of {place.baud} baud: {error}") from None
    return port


def _tell_nothing_from_the_end(descriptor: int) -> None:
    """pyserial asks for reads that return no octets where there are none; so does a line that ended."""
    attributes = termios.tcgetattr(descriptor)
    attributes[6][termios.VMIN] = 1
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _reason(error: serial.SerialException) -> str:
    """pyserial's own text quotes itself."""
    if error.errno in (errno.EAGAIN, errno.EBUSY):
        return "another program has locked it"
    if isinstance(error.errno, int):
        return os.strerror(error.errno)
    return "it is no serial line" if isinstance(error.__context__, termios.error) else str(error)


class PtyLine:
    """The peer opens `where`; `link` leads there as long as this lives."""

    calls, longest, lasting, patience, refused = False, _NEAR, True, 0.0, 0

    def __init__(self, link: Path) -> None:
        self._master, slave = os.openpty()
        try:
            tty.setraw(slave)
            self.where = os.ttyname(slave)
        finally:
            os.close(slave)
        self._link = link
        link.unlink(missing_ok=True)
        link.symlink_to(self.where)

    async def open(self) -> Channel:
        while _is_hung_up(self._master):
            await asyncio.sleep(_LOOK)
        return Channel(self._master, self._master, self._forget)

    def _forget(self) -> None:
        """What the last peer left unread is not for the next."""
        slave = os.open(self.where, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        termios.tcflush(slave, termios.TCIOFLUSH)
        os.close(slave)

    def close(self) -> None:
        self._link.unlink(missing_ok=True)
        os.close(self._master)


def _is_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


class TcpLine:
    calls, longest, lasting, patience, refused = True, _FAR, True, 0.0, 0

    def __init__(self, place: Tcp) -> None:
        self.place, self.where = place, str(place)

    async def open(self) -> Channel:
        loop, reason = asyncio.get_running_loop(), "no address"
        try:
            async with asyncio.timeout(_CONNECT):
                found = await loop.getaddrinfo(self.place.host, self.place.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise LineError(f"{self.where}: {error.strerror or 'its name is not answered for'}") from None
        for family, kind, protocol, _, address in found:
            peer = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
            try:
                # One address that is silent must leave time for the others, of another family perhaps.
                async with asyncio.timeout(_CONNECT / len(found)):
                    await loop.sock_connect(peer, address)
            except OSError as error:
                peer.close()
                # asyncio puts words of its own in the place of the kernel's.
                reason = os.strerror(error.errno) if error.errno else f"no answer within {_CONNECT:g} s"
            except BaseException:
                peer.close()
                raise
            else:
                return _tcp_channel(peer, lambda: None)
        raise LineError(f"{self.where}: {reason}")

    def close(self) -> None:
        return


class TcpListenLine:
    """One peer at a time; who comes while there is one is closed at once."""

    calls, longest, lasting, patience = False, _NEAR, True, _PATIENCE

    def __init__(self, place: TcpListen) -> None:
        self.where, self.refused = str(place), 0
        family = socket.AF_INET6 if place.address.version == 6 else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((str(place.address), place.port))
            self._listener.listen(4)
        except OSError as error:
            self._listener.close()
            raise EnvironmentProblem(f"{place}: cannot listen there: {error.strerror}") from None
        self._come: asyncio.Queue[socket.socket] = asyncio.Queue(1)
        self._busy = False

    async def open(self) -> Channel:
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        peer = await self._come.get()
        self._busy = True
        return _tcp_channel(peer, self._leave)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        if self._busy or self._come.full():
            self.refused += 1
            peer.close()
        else:
            self._come.put_nowait(peer)

    def _leave(self) -> None:
        self._busy = False

    def close(self) -> None:
        with suppress(RuntimeError):  # no loop runs any more
            asyncio.get_running_loop().remove_reader(self._listener)
        while not self._come.empty():
            self._come.get_nowait().close()
        self._listener.close()


def _tcp_channel(peer: socket.socket, leave: Callable[[], None]) -> Channel:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT)
    # Also a link without keep-alives of its own must notice that its peer's machine is gone.
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENCE)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _SILENCE)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2000 * _SILENCE)

    def close() -> None:
        peer.close()
        leave()

    return Channel(peer.fileno(), peer.fileno(), close)


class StdioLine:
    """The program that started us is the line: ssh, pppd's `pty`, socat."""

    calls, longest, lasting, patience, where, refused = True, _NEAR, False, 0.0, "stdio", 0

    def __init__(self) -> None:
        if not (_can_be_waited_for(0) and _can_be_waited_for(1)):
            raise EnvironmentProblem(
                "stdio: standard input or output is a plain file or nothing; 'stdio' is for a program that starts "
                "vipd with its own two ends there: ssh, socat, pppd's 'pty'"
            )
        if _is_own_terminal(0) or _is_own_terminal(1):
            raise EnvironmentProblem(
                "stdio: standard input or output is your terminal; 'stdio' is for a program that starts vipd with "
                "its own two ends there: ssh, socat, pppd's 'pty'"
            )

    async def open(self) -> Channel:
        before = {descriptor: fcntl.fcntl(descriptor, fcntl.F_GETFL) for descriptor in (0, 1)}

        def restore() -> None:
            for descriptor, flags in before.items():
                with suppress(OSError):
                    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)

        _make_raw(0)
        return Channel(0, 1, restore)

    def close(self) -> None:
        return


def _can_be_waited_for(descriptor: int) -> bool:
    with select.epoll() as poll:
        try:
            poll.register(descriptor)
        except OSError:
            return False
        return True


def _is_own_terminal(descriptor: int) -> bool:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    terminal = int(fields[_TTY_FIELD])
    return terminal > 0 and os.fstat(descriptor).st_rdev == terminal


def _make_raw(descriptor: int) -> None:
    if os.isatty(descriptor):
        tty.setraw(descriptor)
