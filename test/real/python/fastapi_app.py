"""The twin of services/apps/fastapi.ts."""
import asyncio
import os
import socket
import threading
import time
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from work import burn, native, native_holding_gil, plain

app = FastAPI(title="Portico demo", version="1.0")
Ms = Annotated[float, Query(ge=0)]
Count = Annotated[int, Query(ge=0)]


@app.get("/")
async def hello():
    return {"message": "Hello from FastAPI"}


@app.get("/io")
async def io(ms: Ms = 0):
    await asyncio.sleep(ms / 1000)
    return {"io_ms": plain(ms)}


@app.get("/cpu")
async def cpu(ms: Ms = 0):
    burn(ms)
    return {"cpu_ms": plain(ms)}


@app.get("/native", name="native")
async def native_code(ms: Ms = 0, hold: bool = False):
    (native_holding_gil if hold else native)(ms)
    return {"native_ms": plain(ms)}


@app.get("/block")
async def block(ms: Ms = 0):
    time.sleep(ms / 1000)
    return {"block_ms": plain(ms)}


@app.get("/sync/hello")
def sync_hello():
    return {"message": "Hello from FastAPI"}


@app.get("/sync/io")
def sync_io(ms: Ms = 0):
    time.sleep(ms / 1000)
    return {"io_ms": plain(ms), "thread": threading.current_thread().name}


@app.get("/sync/cpu")
def sync_cpu(ms: Ms = 0):
    burn(ms)
    return {"cpu_ms": plain(ms), "thread": threading.current_thread().name}


@app.get("/sync/native")
def sync_native(ms: Ms = 0):
    native(ms)
    return {"native_ms": plain(ms), "thread": threading.current_thread().name}


@app.get("/headers")
async def headers(request: Request):
    scope = request.scope
    return {
        "headers": dict(request.headers),
        "method": request.method,
        "path": scope["path"],
        "root_path": scope["root_path"],
        "query_string": scope["query_string"].decode("latin1"),
        "scheme": scope["scheme"],
        "http_version": scope["http_version"],
        "client": scope["client"],
        "server": scope["server"],
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "worker_class": "uvicorn",
        "thread": threading.current_thread().name,
    }


@app.post("/echo")
async def echo(request: Request):
    return Response(await request.body(), media_type=request.headers.get("content-type", "application/octet-stream"))


@app.get("/stream")
async def stream(n: Count = 5, ms: Ms = 0):
    async def chunks():
        for index in range(n):
            if index > 0:
                await asyncio.sleep(ms / 1000)
            yield f"chunk {index}\n"

    return StreamingResponse(chunks(), media_type="text/plain")


@app.get("/sse")
async def sse(n: Count = 5, ms: Ms = 0):
    async def events():
        for index in range(n):
            if index > 0:
                await asyncio.sleep(ms / 1000)
            yield f'id: {index}\nevent: tick\ndata: {{"n": {index}}}\n\n'

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-cache"})


@app.get("/size")
async def size(bytes: Count):
    return Response(b"x" * bytes, media_type="application/octet-stream")


@app.get("/crash")
async def crash():
    os._exit(1)


@app.get("/raise", name="raise")
async def raise_error():
    raise RuntimeError("raised by /raise")


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float = Field(gt=0)
    tags: list[str] = []
    description: str | None = None


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}


@app.post("/items", status_code=201)
async def create_item(item: Item) -> Item:
    return item


@app.websocket("/ws")
async def echo_messages(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass
