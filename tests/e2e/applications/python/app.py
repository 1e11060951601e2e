"""A web application as many are: two workers, pages from templates, a database, uploads, temporary files, another program.

GET /              a page from a template, with the newest notes
POST /notes        the body is a note
GET /notes/N       a note
POST /files        the body is a file; the answer is its name
GET /files/NAME    the file
GET /report        all notes, sorted by sort(1) and packed by gzip(1)
GET /run, /read, /fetch   three holes, for the attacks
SIGHUP to the first process: the log is opened anew
"""

import gzip
import http.client
import io
import os
import pathlib
import signal
import socketserver
import sqlite3
import string
import subprocess
import sys
import tempfile
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

ROOT = pathlib.Path("/srv/app")
DATA = pathlib.Path("/data")
LOG = DATA / "log" / "access.log"
WORKERS = 2


def database():
    connection = sqlite3.connect(DATA / "notes.db", timeout=30)
    connection.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)")
    return connection


def page(name, **values):
    template = string.Template((ROOT / "templates" / f"{name}.html").read_text())
    return template.substitute(values).encode()


def report():
    with database() as connection, tempfile.NamedTemporaryFile("w", suffix=".txt") as notes:
        notes.writelines(f"{text}\n" for (text,) in connection.execute("SELECT text FROM notes"))
        notes.flush()
        ordered = subprocess.run(["/usr/bin/sort", notes.name], stdout=subprocess.PIPE, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder) / "report"
        whole.write_bytes(ordered)
        subprocess.run(["/usr/bin/gzip", str(whole)], check=True)
        return gzip.decompress((pathlib.Path(folder) / "report.gz").read_bytes())


class Handler(BaseHTTPRequestHandler):
    def log_message(self, form, *values):
        self.server.log.write(f"{os.getpid()} {form % values}\n")
        self.server.log.flush()

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handled(self, work):
        try:
            self.answer(work())
        except FileNotFoundError:
            self.answer(b"not found\n", 404)
        except Exception as error:
            self.answer(f"{type(error).__name__}: {error}\n".encode(), 500)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        match url.path.split("/")[1:]:
            case [""]:
                self.handled(self.home)
            case ["notes", number]:
                self.handled(lambda: self.note(int(number)))
            case ["files", name]:
                self.handled((DATA / "files" / name).read_bytes)
            case ["report"]:
                self.handled(report)
            case ["run"]:
                self.handled(lambda: subprocess.run(query["what"], shell=True, stdout=subprocess.PIPE, check=True).stdout)
            case ["read"]:
                self.handled(pathlib.Path(query["what"]).read_bytes)
            case ["fetch"]:
                self.handled(lambda: self.fetch(query["what"]))
            case _:
                self.answer(b"not found\n", 404)

    def do_POST(self):
        body = io.BytesIO(self.rfile.read(int(self.headers["Content-Length"])))
        match self.path:
            case "/notes":
                self.handled(lambda: self.add(body.read().decode()))
            case "/files":
                self.handled(lambda: self.keep(body))
            case _:
                self.answer(b"not found\n", 404)

    def home(self):
        with database() as connection:
            notes = connection.execute("SELECT text FROM notes ORDER BY id DESC LIMIT 3").fetchall()
        return page("home", notes=", ".join(text for (text,) in notes))

    def note(self, number):
        with database() as connection:
            found = connection.execute("SELECT text FROM notes WHERE id = ?", (number,)).fetchone()
        if found is None:
            raise FileNotFoundError
        return page("note", text=found[0])

    def add(self, text):
        with database() as connection:
            return f"{connection.execute('INSERT INTO notes (text) VALUES (?)', (text,)).lastrowid}\n".encode()

    def keep(self, body):
        name = str(uuid.uuid4())
        with tempfile.NamedTemporaryFile(dir=DATA / "files", delete=False) as file:
            file.write(body.read())
        os.rename(file.name, DATA / "files" / name)
        return f"{name}\n".encode()

    def fetch(self, host):
        connection = http.client.HTTPConnection(host, timeout=3)
        connection.request("GET", "/")
        return connection.getresponse().read()


class Server(socketserver.ForkingMixIn, HTTPServer):
    request_queue_size = 32
    # A child a request, as many as there may be at once.
    max_children = 8


def work(server):
    def reopen(*_):
        server.log.close()
        server.log = LOG.open("a")

    signal.signal(signal.SIGHUP, reopen)
    server.serve_forever()


def main():
    for folder in ("files", "log"):
        (DATA / folder).mkdir(exist_ok=True)
    server = Server(("127.0.0.1", 8000), Handler)
    server.log = LOG.open("a")
    database().close()
    workers = []
    for _ in range(WORKERS):
        child = os.fork()
        if child == 0:
            work(server)
        workers.append(child)
    (DATA / "app.pid").write_text(f"{os.getpid()}\n")
    signal.signal(signal.SIGHUP, lambda *_: [os.kill(worker, signal.SIGHUP) for worker in workers])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit([os.kill(worker, signal.SIGTERM) for worker in workers] and 0))
    while True:
        signal.pause()


main()
