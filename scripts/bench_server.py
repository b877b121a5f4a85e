#!/usr/bin/env python3
"""A web server on loopback that is as slow as an object store and counts what it is asked for.

    scripts/bench_server.py FOLDER [--first-byte-ms 30] [--mb-per-s 50]

Serves the files of FOLDER with GET and HEAD, single ranges (RFC 9110 §14.1.2), ETags and If-Match, over connections
that stay open. An answer begins --first-byte-ms after its request; its body comes at --mb-per-s (10^6 bytes) a
connection. Prints its port. Every line on standard input is answered by one line of JSON, {"requests", "bytes"},
counted since the line before; bytes are those of bodies. Ends with standard input, and so with what started it.
"""

import argparse
import json
import os
import re
import socketserver
import sys
import threading
import time
from pathlib import Path

# 2 ms of 50 MB/s: short enough that a body of a few tiles is slowed as a long one is.
PIECE = 100_000


class Counts:
    def __init__(self):
        self.lock, self.requests, self.bytes = threading.Lock(), 0, 0

    def add(self, requests=0, body=0):
        with self.lock:
            self.requests += requests
            self.bytes += body

    def take(self):
        with self.lock:
            taken = {"requests": self.requests, "bytes": self.bytes}
            self.requests = self.bytes = 0
        return taken


class Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        try:
            while self.answer_one():
                pass
        except (ConnectionError, TimeoutError):
            pass  # The client has what it wanted.

    def answer_one(self):
        words = self.rfile.readline().split()
        if len(words) != 3:
            return False
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin1").partition(":")
            headers[name.lower()] = value.strip()
        self.server.counts.add(requests=1)
        time.sleep(self.server.first_byte)
        method, name = words[0].decode("latin1"), words[1].decode("latin1").lstrip("/").partition("?")[0]
        path = self.server.folder / name
        if method not in ("GET", "HEAD"):
            return self.say("405 Method Not Allowed", 0)
        if "/" in name or name.startswith(".") or not path.is_file():
            return self.say("404 Not Found", 0)
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            size, etag = status.st_size, f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
            kept = ["Accept-Ranges: bytes", f"ETag: {etag}"]
            if headers.get("if-match", etag) not in (etag, "*"):
                return self.say("412 Precondition Failed", 0, kept)
            start, end, code = 0, size, "200 OK"
            asked = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
            if asked and any(asked.groups()):
                first, last = asked.groups()
                start = int(first) if first else max(size - int(last), 0)
                end = min(int(last) + 1, size) if first and last else size
                if start >= end:
                    return self.say("416 Range Not Satisfiable", 0, [*kept, f"Content-Range: bytes */{size}"])
                code = "206 Partial Content"
                kept.append(f"Content-Range: bytes {start}-{end - 1}/{size}")
            self.say(code, end - start, kept)
            if method == "GET":
                self.send_file(file, start, end)
        return True

    def say(self, code, length, more=()):
        self.wfile.write("\r\n".join([f"HTTP/1.1 {code}", f"Content-Length: {length}", *more, "", ""]).encode())
        return True

    def send_file(self, file, start, end):
        began, at = time.monotonic(), start
        while at < end:
            sent = self.connection.sendfile(file, at, min(PIECE, end - at))
            if not sent:
                raise ConnectionError
            self.server.counts.add(body=sent)
            at += sent
            early = (at - start) / self.server.rate - (time.monotonic() - began)
            if early > 0:
                time.sleep(early)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    block_on_close = False
    request_queue_size = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first-byte-ms", type=float, default=30)
    parser.add_argument("--mb-per-s", type=float, default=50)
    args = parser.parse_args()
    with Server(("127.0.0.1", 0), Connection) as server:
        server.folder, server.counts = args.folder.resolve(), Counts()
        server.first_byte, server.rate = args.first_byte_ms / 1e3, args.mb_per_s * 1e6
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        for _ in sys.stdin:
            print(json.dumps(server.counts.take()), flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
