# syntax=docker/dockerfile:1
# docker build -t homegrown .                    for CPUs
# docker build -t homegrown --build-arg GPU=1 .  for NVIDIA GPUs (run it with --gpus all)
FROM python:3.11-slim

# libnuma: vLLM's CPU kernels link against it. g++: torch.compile, and vLLM's compilation, build C++ on the spot.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libnuma1 \
    && rm -rf /var/lib/apt/lists/*

ARG GPU=
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements /app/requirements
RUN --mount=type=cache,target=/root/.cache \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy \
    python /app/requirements/install.py /opt/venv --packages-only ${GPU:+--gpu} --torch-index "$TORCH_INDEX"

COPY . /app
RUN useradd --create-home --uid 1000 homegrown && install --directory --owner homegrown /data
USER homegrown
WORKDIR /data
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 HOMEGROWN_HOME=/data HOMEGROWN_HOST=0.0.0.0
VOLUME /data
EXPOSE 8000
# Growing the first assistant takes minutes, and a large model takes minutes to load.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["python", "/app/homegrown.py"]
CMD ["serve"]
