"""The server that many write first: FastAPI and PyTorch, plainly, with two workers of one thread each.

`python fastapi_torch.py <backbone> <port>`: POST /invocations with a JPEG answers 133 logits. The weights are random.
"""

import io
import sys

import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image
from torchvision import transforms

_CLASSES = 133
_TRANSFORM = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)


def network(backbone: str) -> torch.nn.Module:
    """The network with a head of 133 classes."""
    if backbone == "efficientnet-lite0":
        import timm

        made: torch.nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=_CLASSES)
    else:
        import torchvision

        made = getattr(torchvision.models, backbone)(num_classes=_CLASSES)
    return made.eval()


def create() -> FastAPI:
    """The application, in each worker."""
    torch.set_num_threads(1)
    model, app = network(sys.argv[1]), FastAPI()

    def predict(body: bytes) -> list[list[float]]:
        image = _TRANSFORM(Image.open(io.BytesIO(body)).convert("RGB"))
        with torch.inference_mode():
            logits: list[list[float]] = model(image.unsqueeze(0)).tolist()
        return logits

    @app.get("/ping")
    async def ping() -> str:
        return "ok"

    @app.post("/invocations")
    async def invocations(request: Request) -> list[list[float]]:
        return await run_in_threadpool(predict, await request.body())

    return app


if __name__ == "__main__":
    uvicorn.run(
        "fastapi_torch:create",
        factory=True,
        workers=2,
        port=int(sys.argv[2]),
        log_level="warning",
        timeout_worker_healthcheck=120,  # uvicorn ends a worker that imports for longer
    )
