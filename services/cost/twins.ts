/**
 * The Python side of a calibration: the smallest applications whose requests cost a server or a framework nothing but itself, and programs
 * that look around. Each application also answers /process-time with the CPU time of its process in microseconds.
 */

/** Files to write into an empty directory, by name. */
export const TWINS: Readonly<Record<string, string>> = {
  'bare_wsgi.py': `import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/process-time":
        body = str(int(time.process_time() * 1e6)).encode()
    else:
        body = b'{"message":"hello"}\\n'
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
`,
  'with_flask.py': `import time
from flask import Flask

app = Flask(__name__)

@app.get("/")
def hello():
    return {"message": "hello"}

@app.get("/process-time")
def process_time():
    return str(int(time.process_time() * 1e6))
`,
  'one_core.py': `import os

def post_fork(server, worker):
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
`,
  'bare_asgi.py': `import time

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/process-time":
        body = str(int(time.process_time() * 1e6)).encode()
    else:
        body = b'{"message":"hello"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
`,
  'with_fastapi.py': `import time
from fastapi import FastAPI, Response

app = FastAPI()

@app.get("/")
async def hello():
    return {"message": "hello"}

@app.get("/def")
def hello_def():
    return {"message": "hello"}

@app.get("/process-time")
async def process_time():
    return Response(str(int(time.process_time() * 1e6)))
`,
};

/** Prints the versions of what a calibration needs as JSON, or the names of what is missing. */
export const VERSIONS_PROGRAM = `import importlib.metadata as metadata, json, platform
found, missing = {"python": platform.python_version()}, []
for name in ("gunicorn", "uvicorn", "flask", "fastapi", "uvloop", "httptools"):
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        if name not in ("uvloop", "httptools"):
            missing.append(name)
print(json.dumps({"versions": found, "missing": missing}))
`;

/**
 * Prints what a forced switch of the GIL costs in microseconds of CPU time: two threads do the work that one did before, and count how
 * often they find that the other ran last.
 */
export const SWITCH_PROGRAM = `import sys, threading, time
last, switches = None, 0

def work(rounds):
    global last, switches
    me = threading.get_ident()
    for _ in range(rounds):
        if last != me:
            last = me
            switches += 1

def cost(threads, rounds):
    global switches
    switches = 0
    before = time.process_time()
    started = [threading.Thread(target=work, args=(rounds // threads,)) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return time.process_time() - before, switches

sys.setswitchinterval(0.0002)
rounds = 8_000_000
alone, _ = cost(1, rounds)
together, count = cost(2, rounds)
print(max(0.0, (together - alone) * 1e6 / max(1, count)))
`;
