# syntax=docker/dockerfile:1
# docker build -t homegrown .                    for CPUs
# docker build -t homegrown --build-arg GPU=1 .  for NVIDIA GPUs (run it with --gpus all)
# docker run --stop-timeout 30 ...               lets running answers end; docs/deploy.md says the rest
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS packages
ARG GPU=
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements /requirements
RUN --mount=type=cache,target=/root/.cache \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy \
    python /requirements/install.py /opt/venv --packages-only ${GPU:+--gpu} --torch-index "$TORCH_INDEX"

FROM python:${PYTHON}
# libnuma: vLLM's CPU kernels link against it. g++: torch.compile builds C++ on the spot for larger models.
# Not pinned: a version that Debian has replaced by one with fewer holes can no longer be had.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libnuma1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 homegrown \
    && install --directory --owner homegrown /data
COPY --from=packages /opt/venv /opt/venv
COPY . /app
USER 1000
WORKDIR /data
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    HOMEGROWN_HOME=/data \
    HOMEGROWN_HOST=0.0.0.0
VOLUME /data
EXPOSE 8000
# That it lives, so that whoever restarts unhealthy containers lets a large model load in peace; /ready says more.
HEALTHCHECK --interval=10s --timeout=5s --start-period=1m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["python", "/app/homegrown.py"]
CMD ["serve"]
