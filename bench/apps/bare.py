"""The twin of bare.ts."""
TYPE = "text/plain; charset=utf-8"
BODY = b"hello from the app, 28 bytes"


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", TYPE), ("Content-Length", str(len(BODY)))])
    return [BODY]


HEADERS = [(b"content-type", TYPE.encode()), (b"content-length", str(len(BODY)).encode())]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
