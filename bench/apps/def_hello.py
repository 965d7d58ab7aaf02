"""The twin of def-hello.ts."""
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def hello():
    return {"message": "Hello from a thread"}
