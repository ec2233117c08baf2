"""A server of one's own, and words with it: what the tests in Python share."""

import collections
import os
import socket
import struct
import subprocess
import sys
import threading
import time

# Seconds after which a test gives up: on a reply, a condition, the end of a process. No correct run comes near it, also on
# a slow machine; only a fault reaches it.
PATIENCE = 300


def expect(holds, *what):
    if not holds:
        raise AssertionError(" ".join(str(w) for w in what))


# ---------------------------------------------------------------- speaking

class Failure(Exception):
    """An error reply."""


def request(*words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


class Line:
    """A connection whose replies may hold any bytes. ConnectionError where the server is gone."""

    def __init__(self, port, timeout=None):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        self.incoming = self.socket.makefile("rb", buffering=1 << 18)

    def send(self, *words):
        self.socket.sendall(request(*words))

    def reply(self):
        line = self.incoming.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            n = int(rest)
            if n < 0:
                return None
            bulk = self.incoming.read(n + 2)
            if len(bulk) < n + 2:
                raise ConnectionError("the server closed the connection")
            return bulk[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))] if int(rest) >= 0 else None
        if kind == b":":
            return int(rest)
        if kind == b"-":
            return Failure(rest.decode())
        expect(kind == b"+", "no reply begins with", line[:100])
        return rest

    def call(self, *words):
        self.send(*words)
        reply = self.reply()
        if isinstance(reply, Failure):
            raise reply
        return reply

    def info(self, section):
        lines = self.call("INFO", section).decode().split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def cut(self, reset):
        """Ends the connection while another thread uses it; with `reset` the server sees an error instead of the end."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the server was faster
            pass

    def close(self):
        self.incoming.close()
        self.socket.close()


# ---------------------------------------------------------------- a server

class Server:
    def __init__(self, path, *options, clients=1000, wait=True, cwd=None):
        """On a free port: the server does not choose one, so ports are tried until one is still free at its start. With `wait`,
        ready to serve; without, the port may have been taken meanwhile (`lost_port`). A path of a configuration file is the
        first of the options."""
        conf, options = (options[:1], options[1:]) if options and not options[0].startswith("--") else ((), options)
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            self.process = subprocess.Popen(
                [os.path.abspath(path), *conf, "--port", str(self.port), "--bind", "127.0.0.1",
                 "--maxclients", str(clients + 10), *options],
                cwd=cwd, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace")
            self.said = collections.deque(maxlen=200)
            self.is_ready = False
            self.told = threading.Event()  # it is ready, or has ended
            self.reader = threading.Thread(target=self.listen, daemon=True)
            self.reader.start()
            if not wait:
                return
            self.told.wait()
            if self.is_ready:
                return
            self.process.wait()
            expect(self.lost_port(), "the server ended:\n" + self.words())

    def lost_port(self):
        """Whether the server ended because another program took its port before it did."""
        return self.process.poll() is not None and "Address already in use" in self.words()

    def listen(self):
        for line in self.process.stderr:
            self.said.append(line)
            if "is ready on" in line:
                self.is_ready = True
                self.told.set()
        self.told.set()

    def words(self):
        """The last that it said; all, when it has ended."""
        if self.process.poll() is not None:
            self.reader.join()
        return "".join(self.said)

    def kill(self):
        """With -9, and it is gone when this returns."""
        if self.process.stderr.closed:
            return
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.returncode is None:
            self.process.terminate()
        status = self.process.wait(PATIENCE)
        self.reader.join()
        if status and status != -9:
            sys.stdout.write(self.words())
            expect(kind, "the server ended with", status)

    def cpu(self):
        """Seconds of processor time it has had: clock_getcpuclockid(pid)."""
        return time.clock_gettime(((~self.process.pid) << 3) | 2)
