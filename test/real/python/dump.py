"""Applications that answer with what their server gave them."""
import json

LEFT_OUT = {"REMOTE_PORT", "SERVER_PORT"}


def wsgi(environ, start_response):
    body = environ["wsgi.input"].read()
    seen = {name: value for name, value in environ.items() if isinstance(value, str) and name not in LEFT_OUT}
    seen["body"] = body.decode("latin1")
    out = json.dumps(seen, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("latin1")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(out)))])
    return [out]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("latin1"),
        "query_string": scope["query_string"].decode("latin1"),
        "http_version": scope["http_version"],
        "scheme": scope["scheme"],
        "headers": [[name.decode("latin1"), value.decode("latin1")] for name, value in scope["headers"]],
        "body": body.decode("latin1"),
    }
    out = json.dumps(seen, separators=(",", ":"), ensure_ascii=False).encode("utf8")
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(out)).encode())]}
    )
    await send({"type": "http.response.body", "body": out})
