"""The twin of services/apps/flask.ts."""
import os
import socket
import threading
import time

from flask import Flask, Response, abort, jsonify, request

from work import burn, native, native_holding_gil, plain

app = Flask("flask")


def number(name, default=None):
    try:
        return plain(float(request.args[name]))
    except (KeyError, ValueError):
        if default is None:
            abort(400)
        return default


@app.get("/")
def hello():
    return {"message": "Hello from Flask"}


@app.get("/io")
def io():
    ms = number("ms", 0)
    time.sleep(ms / 1000)
    return {"io_ms": ms}


@app.get("/cpu")
def cpu():
    ms = number("ms", 0)
    burn(ms)
    return {"cpu_ms": ms}


@app.get("/native")
def native_code():
    ms = number("ms", 0)
    (native_holding_gil if "hold" in request.args else native)(ms)
    return {"native_ms": ms}


@app.get("/headers")
def headers():
    environ = request.environ
    return jsonify(
        headers=dict(request.headers),
        method=request.method,
        path=request.path,
        root_path=request.script_root,
        query_string=request.query_string.decode("latin1"),
        scheme=request.scheme,
        http_version=environ["SERVER_PROTOCOL"][5:],
        client=[request.remote_addr, int(environ.get("REMOTE_PORT", 0))],
        server=[environ["SERVER_NAME"], int(environ["SERVER_PORT"])],
        hostname=socket.gethostname(),
        pid=os.getpid(),
        worker_class=os.environ.get("WORKER_CLASS", "sync"),
        thread=threading.current_thread().name,
    )


@app.post("/echo")
def echo():
    return Response(request.get_data(), content_type=request.content_type or "application/octet-stream")


@app.get("/stream")
def stream():
    count, ms = number("n", 5), number("ms", 0)

    def chunks():
        for index in range(count):
            if index > 0:
                time.sleep(ms / 1000)
            yield f"chunk {index}\n"

    return Response(chunks(), mimetype="text/plain")


@app.get("/sse")
def sse():
    count, ms = number("n", 5), number("ms", 0)

    def events():
        for index in range(count):
            if index > 0:
                time.sleep(ms / 1000)
            yield f'id: {index}\nevent: tick\ndata: {{"n": {index}}}\n\n'

    return Response(events(), mimetype="text/event-stream", headers={"Cache-Control": "no-cache"})


@app.get("/size")
def size():
    count = number("bytes")
    if count < 0:
        abort(400)
    return Response(b"x" * count, mimetype="application/octet-stream")


@app.get("/crash")
def crash():
    os._exit(1)


@app.get("/raise")
def raise_error():
    raise RuntimeError("raised by /raise")
